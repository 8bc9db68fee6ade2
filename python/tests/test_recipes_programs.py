"""The recipes that are programs of their own: a project of dbt and a service."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import pytest

import duckdb_sam
from conftest import PHOTOS
from pages import PATH
from recipes import Recipes, files, recipes  # noqa: F401


def write(recipes: Recipes, page: str) -> None:  # noqa: F811
    for name, text in files(page).items():
        path = recipes.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace(PATH, str(duckdb_sam.extension_path())), encoding="utf-8")


# Two runs in one process: dbt takes longer to start than to run.
DBT = """
import os, shutil
from dbt.cli.main import dbtRunner

for number in (1, 2):
    done = dbtRunner().invoke(["--quiet", "run", "--no-version-check"])
    assert done.success, done
    for file in ("photos.db", "photos.db.wal"):
        if os.path.exists(file):
            shutil.copy(file, file.replace("photos", f"run{number}"))
    shutil.copy(os.environ["PHOTOS"] + "/chelsea.jpg", "photos")
    shutil.copy(os.environ["PHOTOS"] + "/coins.jpg", "photos/coins2.jpg")
"""


def test_dbt(recipes: Recipes, con: duckdb.DuckDBPyConnection) -> None:  # noqa: F811
    write(recipes, "docs/recipes/dbt.md")
    photos = recipes.folder / "photos"
    photos.mkdir()
    for name in ("coffee.jpg", "coins.jpg"):
        shutil.copy(PHOTOS / name, photos)
    shutil.copy(PHOTOS / "coffee.jpg", photos / "again.jpg")
    (photos / "broken.jpg").write_bytes(b"no image")

    recipes.run(DBT, DBT_SEND_ANONYMOUS_USAGE_STATS="false", PHOTOS=str(PHOTOS))
    runs = []
    for number in (1, 2):
        with duckdb.connect(str(recipes.folder / f"run{number}.db")) as stored:
            [message] = stored.execute("SELECT message FROM failures").fetchall()
            assert "not a picture that can be decoded: 8 bytes" in message[0]
            runs.append(stored.execute("FROM masks ORDER BY segmented_at, hash").fetchall())
    first, second = runs
    assert len(first) == 3
    assert second[:3] == first  # with the times at which they were segmented
    names = {"coffee.jpg", "coins.jpg", "chelsea.jpg"}
    expected = con.execute(
        "SELECT sha256(content), sam_annotate('nano', content, [0.5, 0.6]) FROM read_blob(?)",
        [[str(PHOTOS / name) for name in names]],
    ).fetchall()
    broken = con.execute("SELECT sha256('no image'::BLOB)").fetchone()
    assert broken is not None
    assert {hash_: seg for hash_, seg, _ in second} == dict(expected) | {broken[0]: None}
    assert (
        second[3][0]
        == con.execute("SELECT sha256(content) FROM read_blob(?)", [str(PHOTOS / "chelsea.jpg")]).fetchone()[0]
    )


@pytest.fixture
def service(recipes: Recipes) -> Iterator[str]:  # noqa: F811
    write(recipes, "docs/recipes/service.md")
    command = [recipes.python, "-m", "uvicorn", "--port", "0", "service:app"]
    with subprocess.Popen(
        list(map(os.fspath, command)), cwd=recipes.folder, env=recipes.environ, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        lines = (re.search(r"running on (http://\S+)", line) for line in process.stderr)
        yield next(found[1] for found in lines if found)
        process.terminate()


def _kind(name: str) -> str:
    return "gauge" if name in ("sam_cache_entries", "sam_cache_bytes") else "counter"


def test_service(service: str, con: duckdb.DuckDBPyConnection) -> None:
    def ask(image: bytes, x: float = 0.5) -> Any:
        with urllib.request.urlopen(f"{service}/mask?x={x}&y=0.6", data=image, timeout=60) as answer:
            return json.load(answer)

    images = [(PHOTOS / name).read_bytes() for name in ("coffee.jpg", "coins.jpg", "chelsea.jpg", "camera.jpg")] * 3
    expected = [
        con.execute("SELECT to_json(sam_annotate('nano', ?::BLOB, [0.5, 0.6]))::VARCHAR", [image]).fetchone()
        for image in images[:4]
    ]
    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(ask, images))
    assert answers == [json.loads(row[0]) for row in expected if row] * 3
    for image, x, reason in ((b"no image", 0.5, "not a picture that can be decoded"), (images[0], 1.5, "1.5")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(image, x)
        assert refused.value.code == 422
        assert reason in json.load(refused.value)["detail"]
    with urllib.request.urlopen(f"{service}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    values = {line.split()[0]: float(line.split()[1]) for line in lines if not line.startswith("#")}
    assert lines[0::2] == [f"# TYPE {name.split('{')[0]} {_kind(name)}" for name in values]
    assert all(re.fullmatch(r'sam_[a-z_]+(\{model="nano",precision="[a-z0-9]+"\})?', name) for name in values)
    assert [value for name, value in values.items() if name.startswith("sam_model_encodes")] == [4]
    # Twelve requests for four images, and two that were wrong.
    assert (values["sam_encodes"], values["sam_images_decoded"], values["sam_models_loaded"]) == (4, 4, 1)
