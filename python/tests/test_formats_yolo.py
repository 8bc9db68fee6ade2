"""``to_yolo`` and ``from_yolo``; supervision reads such folders in test_formats_others.py, where it is installed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import PHOTOS
from duckdb_sam import Segmenter, from_yolo, to_coco, to_yolo
from formats import PARTS, RING, blank, drawn, encoded, random_rows


def labels(folder: Path) -> dict[str, list[list[float]]]:
    """The lines of each label file, as numbers."""
    return {
        path.relative_to(folder / "labels").as_posix(): [
            [float(part) for part in line.split()] for line in path.read_text().splitlines()
        ]
        for path in (folder / "labels").rglob("*.txt")
    }


def test_files_and_outlines(tmp_path: Path) -> None:
    rows, arrays = random_rows(empty=False)
    folder = to_yolo(rows, tmp_path / "set", root="", categories=["dog", "cat", "bird"])
    assert sorted(path.name for path in folder.iterdir()) == ["data.yaml", "labels", "train.txt"]
    found = labels(folder)
    assert set(found) == {"a b.txt", "c.d.e.txt", "ü/日本.txt", "plain.txt", "no_ending.txt"}
    names = {name: next(each for each in found if name.startswith(each[:-4])) for name, _ in arrays}
    places: dict[str, int] = {}
    for (name, _), (pixels, kind) in arrays.items():
        place = places[name] = places.get(name, -1) + 1
        number, *values = found[names[name]][place]
        assert ["dog", "cat", "bird"][int(number)] == kind
        assert len(values) >= 6
        assert 0 <= min(values) <= max(values) <= 1
        assert np.array_equal(drawn(values, pixels.shape), pixels)
    assert (folder / "train.txt").read_text("utf-8").splitlines() == [
        f"./images/{name}" for name in ("a b.jpg", "c.d.e.png", "no_ending", "plain.JPEG", "ü/日本.jpg")
    ]
    assert (folder / "data.yaml").read_text() == (
        'train: train.txt\nval: train.txt\nnc: 3\nnames:\n  0: "dog"\n  1: "cat"\n  2: "bird"\n'
    )


def test_parts_and_holes(tmp_path: Path) -> None:
    lines = {
        parts: labels(to_yolo({"a.png": encoded(PARTS)}, tmp_path / parts, parts=parts))["a.txt"]
        for parts in ("join", "split", "largest")
    }
    assert {parts: len(each) for parts, each in lines.items()} == {"join": 1, "split": 4, "largest": 1}
    assert np.array_equal(drawn(lines["join"][0][1:], PARTS.shape), PARTS)
    assert np.array_equal(sum(drawn(line[1:], PARTS.shape) for line in lines["split"]), PARTS)
    assert drawn(lines["largest"][0][1:], PARTS.shape).sum() == 8 * 14 - 3 * 5
    exact = labels(to_yolo({"a.png": encoded(RING)}, tmp_path / "exact"))["a.txt"]
    rough = labels(to_yolo({"a.png": encoded(RING)}, tmp_path / "rough", tolerance=1.5))["a.txt"]
    assert len(rough[0]) < len(exact[0]) / 2
    assert (drawn(rough[0][1:], RING.shape) != RING).mean() < 0.1


def test_boxes(tmp_path: Path) -> None:
    folder = to_yolo({"a.png": [encoded(PARTS), encoded(RING)]}, tmp_path / "set", task="detect")
    for line, pixels in zip(labels(folder)["a.txt"], (PARTS, RING), strict=True):
        down, across = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        _, x, y, width, height = line
        corners = [(x - width / 2) * 40, (y - height / 2) * 30, (x + width / 2) * 40, (y + height / 2) * 30]
        assert corners == pytest.approx([across[0], down[0], across[-1] + 1, down[-1] + 1], abs=1e-4)


def test_images_without_objects_and_empty_masks(tmp_path: Path) -> None:
    rows = [{"name": "a.jpg", "mask": None}, {"name": "b.jpg", "mask": []}, {"name": "c.jpg", "mask": encoded(RING)}]
    assert {name: len(lines) for name, lines in labels(to_yolo(rows, tmp_path / "set")).items()} == {
        "a.txt": 0,
        "b.txt": 0,
        "c.txt": 1,
    }
    with pytest.warns(UserWarning, match="1 masks without pixels are left out: YOLO has no form for them"):
        folder = to_yolo({"a.jpg": encoded(blank(4, 4))}, tmp_path / "empty")
    assert labels(folder) == {"a.txt": []}
    tiny = blank(900, 1200)
    tiny[5, 7] = True
    [line] = labels(to_yolo({"a.jpg": encoded(tiny)}, tmp_path / "tiny", tolerance=3))["a.txt"]
    assert len(line) >= 7
    assert np.array_equal(drawn(line[1:], tiny.shape), tiny)


def test_names_that_would_share_a_file(tmp_path: Path) -> None:
    mask = encoded(RING)
    for names in (("a/x.jpg", "b/x.jpg"), ("x.jpg", "x.png"), ("/data/1/x.jpg", "/data/2/x.tif")):
        message = re.escape(f"images {names[0]!r} and {names[1]!r} would both have the file 'labels/x.txt': give root=")
        with pytest.raises(ValueError, match=message):
            to_yolo(dict.fromkeys(names, mask), tmp_path / "set")
        assert list(tmp_path.iterdir()) == []
    folder = to_yolo(dict.fromkeys(("/data/1/x.jpg", "/data/2/x.tif"), mask), tmp_path / "set", root="/data")
    assert set(labels(folder)) == {"1/x.txt", "2/x.txt"}
    with pytest.raises(ValueError, match=r"image '/other/x.jpg' is not in the folder root='/data'"):
        to_yolo({"/other/x.jpg": mask}, tmp_path / "other", root="/data")
    with pytest.raises(ValueError, match=r"image '\.\./x\.jpg' is not in the folder"):
        to_yolo({"../x.jpg": mask}, tmp_path / "other", root="")
    with pytest.raises(ValueError, match="has a name that no file of a data set can have"):
        to_yolo({"a\nb.jpg": mask}, tmp_path / "other")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    to_yolo({"a.jpg": encoded(RING), "b.jpg": encoded(RING)}, folder)
    (folder / "images").mkdir()
    (folder / "images" / "mine.jpg").write_bytes(b"mine")
    before = labels(folder)
    with pytest.raises(FileExistsError, match=r"exist already: give another folder, or overwrite=True"):
        to_yolo({"c.jpg": encoded(PARTS)}, folder)
    assert labels(folder) == before
    to_yolo({"c.jpg": encoded(PARTS)}, folder, overwrite=True)
    assert set(labels(folder)) == {"c.txt"}
    assert (folder / "images" / "mine.jpg").read_bytes() == b"mine"
    with pytest.raises(ValueError, match="categories"):
        to_yolo({"d.jpg": encoded(PARTS)}, folder, categories=[], overwrite=True)
    assert set(labels(folder)) == {"c.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_splits_and_wrong_arguments(tmp_path: Path) -> None:
    rows = [{"name": f"{part}.jpg", "mask": encoded(RING), "part": part} for part in ("test", "train", "val")]
    folder = to_yolo(rows, tmp_path / "set", split="part")
    assert [(folder / f"{part}.txt").read_text() for part in ("train", "val", "test")] == [
        f"./images/{part}.jpg\n" for part in ("train", "val", "test")
    ]
    assert (folder / "data.yaml").read_text().startswith("train: train.txt\nval: val.txt\ntest: test.txt\n")
    for arguments, message in [
        ({"split": "name"}, "image 'test.jpg': name must be 'train', 'val' or 'test', not 'test.jpg'"),
        ({"task": "pose"}, "task must be one of 'segment', 'detect', not 'pose'"),
        ({"parts": "none"}, "parts must be one of"),
        ({"images": "move"}, "images must be one of"),
        ({"tolerance": -1}, "tolerance must be 0 or more pixels, not -1"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_yolo(rows, tmp_path / "other", **arguments)
    with pytest.raises(FileNotFoundError, match=r"image 'test.jpg' cannot be put into the data set: there is no file"):
        to_yolo(rows, tmp_path / "other", images="copy")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.fixture(scope="module")
def masks() -> dict[str, Any]:
    seg = Segmenter()
    return {str(PHOTOS / name): seg.generate(PHOTOS / name, points_per_side=5) for name in ("coffee.jpg", "coins.jpg")}


@pytest.mark.parametrize("images", ["copy", "link"])
def test_there_and_back(tmp_path: Path, masks: dict[str, Any], images: Any) -> None:
    folder = to_yolo(masks, tmp_path / "set", images=images)
    assert (folder / "images" / "coins.jpg").is_symlink() == (images == "link")
    assert (folder / "images" / "coins.jpg").read_bytes() == (PHOTOS / "coins.jpg").read_bytes()
    table = from_yolo(folder, categories=["object"])
    assert table.column_names[:5] == ["name", "image", "image_id", "width", "height"]
    back = to_coco(table)
    expected = to_coco(masks, root=PHOTOS)
    assert back["images"] == expected["images"]
    assert back["categories"] == expected["categories"]
    for one, other in zip(back["annotations"], expected["annotations"], strict=True):
        assert one["segmentation"] == other["segmentation"]
    found = Segmenter().batch(table, boxes="boxes")
    first = next(iter(masks.values()))
    boxes = [mask.box for mask in first]
    expected_masks = Segmenter().predict_many(PHOTOS / "coffee.jpg", boxes=boxes, unit="pixel")
    for one, other in zip(found["mask"][0].as_py(), expected_masks, strict=True):
        assert one["area"] == pytest.approx(other.area, rel=0.01)


def test_images_from_columns(tmp_path: Path) -> None:
    data = (PHOTOS / "coins.jpg").read_bytes()
    pixels = blank(303, 384)
    pixels[5:50, 5:50] = True
    path = PHOTOS / "coins.jpg"
    forms = [data, {"bytes": data, "path": "x"}, {"bytes": None, "path": str(path)}, str(path), path]
    for place, image in enumerate(forms):
        rows = [{"name": "coins.jpg", "image": image, "mask": encoded(pixels)}]
        folder = to_yolo(rows, tmp_path / str(place), images="copy")
        assert (folder / "images" / "coins.jpg").read_bytes() == data
    with Image.open(PHOTOS / "coins.jpg") as image:
        rows = [{"name": "coins.tif", "image": image, "mask": encoded(pixels)}]
        folder = to_yolo(rows, tmp_path / "pillow", images="link")
    with Image.open(folder / "images" / "coins.tif") as image:
        assert image.size == (384, 303)


def test_what_labels_may_say(tmp_path: Path) -> None:
    for name in ("images/train/a.jpg", "labels/train/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
    label = tmp_path / "labels" / "train" / "a.txt"
    (tmp_path / "images" / "train" / "a.jpg").write_bytes((PHOTOS / "coffee.jpg").read_bytes())
    label.write_text(
        "0 0.5 0.5 0.2 0.4\n\n1 0.5 0.5 0.2 0.4 0.75\n0 0.1 0.1 0.9 0.1 0.5 0.9\n0 .1 .1 .9 .1 .5 .9 0.25\n"
    )
    [row] = from_yolo(tmp_path).to_pylist()
    assert (row["name"], row["width"], row["categories"]) == ("train/a.jpg", 600, ["0", "1", "0", "0"])
    assert np.allclose(row["boxes"], [[0.4, 0.3, 0.6, 0.7]] * 2 + [[0.1, 0.1, 0.9, 0.9]] * 2)
    assert row["scores"] == [None, 0.75, None, 0.25]
    assert row["masks"][:2] == [None, None]
    assert row["masks"][2] == row["masks"][3]
    assert from_yolo(tmp_path, masks=False)["masks"].to_pylist() == [[None] * 4]
    for text, message in [
        ("0 0.5 0.5", r"a.txt, line 1: 3 numbers are neither a box"),
        ("cat 0.5 0.5 0.1 0.1", "'cat 0.5 0.5 0.1 0.1' is not a class and numbers"),
        ("0 nan 0.5 0.1 0.1", "the numbers must be finite"),
        ("7 0.5 0.5 0.1 0.1", "class 7 is not among the 1 of the data set"),
    ]:
        label.write_text(text)
        with pytest.raises(ValueError, match=message):
            from_yolo(tmp_path, categories=["one"])
    label.rename(label.with_name("b.txt"))
    with pytest.raises(ValueError, match=r"b.txt has no image in "):
        from_yolo(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*images: give images="):
        from_yolo(tmp_path / "images")


def test_names_of_classes_are_read(tmp_path: Path, masks: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    name = 'a "quoted": #\\ näme'
    folder = to_yolo(masks, tmp_path / "set", images="link", categories=[name])
    data = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))
    assert data == {"train": "train.txt", "val": "train.txt", "nc": 1, "names": {0: name}}
    for path in (folder, folder / "data.yaml"):
        assert set(from_yolo(path)["categories"][0].as_py()) == {name}
    assert json.loads((folder / "data.yaml").read_text().splitlines()[-1].partition(": ")[2]) == name
