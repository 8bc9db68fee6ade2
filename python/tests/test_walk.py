"""A new user's walk: install, pull, segment 500 photographs, be killed, go on, look, export, a cell of a notebook."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image
from pycocotools.coco import COCO

from conftest import PHOTOS, ROOT
from environment import Environment
from model_server import serving

COUNT = 500
BROKEN = {"empty.jpg": b"", "cut.jpg": (PHOTOS / "coffee.jpg").read_bytes()[:3000], "notes.png": b"not an image"}
NEEDED = ("duckdb", "pyarrow", "numpy", "rich", "markdown-it-py", "mdurl", "pygments", "click", "pyyaml")

CELL = """
import sys
from duckdb_sam import Segmenter

mask = Segmenter("tinysam").predict(sys.argv[1], [0.5, 0.6])
html = mask._repr_html_()  # what the notebook shows
assert "<img" in html and mask.to_numpy().sum() == mask.area > 0
print(mask)
"""


def photographs(folder: Path) -> None:
    """Write small photographs, each another one."""
    folder.mkdir()
    sources = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.glob("*.jpg"))]
    for number in range(COUNT):
        source = sources[number % len(sources)]
        left, top = number * 7 % (source.width // 3), number * 5 % (source.height // 3)
        part = source.crop((left, top, left + source.width // 2, top + source.height // 2))
        part.resize((160, 120)).save(folder / f"photo {number:03}.jpg", quality=85)
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)


def test_walk(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "env", NEEDED)
    environment.pip("install", "--no-index", "--no-deps", str(wheel))
    command = str(environment.scripts / "duckdb-sam")
    photographs(tmp_path / "photos")

    with serving((ROOT / "extension" / "model" / "assets" / "nano.safetensors").read_bytes()) as server:
        models = {"SAM_MODEL_DIR": str(tmp_path / "models"), "SAM_MODEL_MIRROR": server.url}
        environment.variables = models
        environment.call(command, "pull", "tinysam")
        assert server.requests
    assert "tinysam" in environment.call(command, "models")

    work = tmp_path / "work"
    work.mkdir()
    run = [command, "run", str(tmp_path / "photos"), "--point", "0.5", "0.6", "--model", "tinysam", "--batch", "40"]
    run += ["--into", "masks.parquet", "--overlay", "overlays", "--coco", "masks.json"]

    # Killed when some batches are there, and once more.
    for batches in (2, 5):
        process = subprocess.Popen(
            run, cwd=work, env=environment.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        parts = work / "masks.parquet.parts"
        while process.poll() is None and len(list(parts.glob("*.parquet"))) < batches:
            time.sleep(0.02)
        process.kill()
        process.communicate()
        assert process.returncode == -9, "the job was to be killed while it ran"
        assert not (work / "masks.parquet").exists()
    summary = json.loads(environment.call(*run, "--json", cwd=work, status=3))
    assert summary["run"]["skipped"] >= 5 and summary["rows"] == COUNT

    table = pq.read_table(work / "masks.parquet")
    assert len(table) == COUNT and len(set(table["path"].to_pylist())) == COUNT
    errors = pq.read_table(work / "masks_errors.parquet").to_pylist()
    assert {Path(error["path"]).name for error in errors} == BROKEN.keys()
    assert all(error["reason"] for error in errors)

    overlays = list((work / "overlays").rglob("*.jpg"))
    assert len(overlays) == COUNT
    with Image.open(overlays[0]) as overlay:
        assert overlay.size == (160, 120)
    coco = COCO(work / "masks.json")
    areas = {
        path: mask["area"] for path, mask in zip(table["path"].to_pylist(), table["mask"].to_pylist(), strict=True)
    }
    assert len(coco.getImgIds()) == COUNT
    for annotation in coco.loadAnns(coco.getAnnIds())[::50]:
        [image] = coco.loadImgs(annotation["image_id"])
        [area] = [area for path, area in areas.items() if path.endswith(image["file_name"])]
        assert coco.annToMask(annotation).sum() == area

    photo = str(tmp_path / "photos" / "photo 007.jpg")
    assert environment.run("-W", "error", "-c", CELL, photo)[-1].startswith("Mask(160 x 120")
