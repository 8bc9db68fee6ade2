"""Other people's files and rows with values that cannot be: told with the place, never rounded, never a traceback."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import PHOTOS
from duckdb_sam import from_coco, from_yolo, to_coco, to_labelme, to_yolo
from formats import RING, encoded

COCO: dict[str, Any] = {
    "images": [{"id": 3, "file_name": "coffee.jpg", "width": 600, "height": 400}],
    "categories": [{"id": 5, "name": "cup"}],
    "annotations": [{"id": 7, "image_id": 3, "category_id": 5, "bbox": [60, 40, 480, 350], "iscrowd": 0,
                     "score": 0.5, "segmentation": [[1, 1, 50, 1, 50, 50]]}],
}  # fmt: skip
ODD = [
    *(0, -1, 7, 1.5, 10**30, 10**400, 10**5000, 1e308, float("nan"), float("inf"), None, True, "x", "", "\ud800"),
    *([], {}, [1, 2, 3], [[1]], [60, 40, 10**400, 3], [1, 2, None, 3], [1, 2, "3", 4], [[float("nan")] * 6]),
    *({"size": [1, 1], "counts": "x"}, {"size": [400, 600], "counts": [10**30]}, {"size": [10**12] * 2, "counts": [1]}),
]


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from places(inner, (*before, key))


def test_every_value_of_coco() -> None:
    """Whatever stands where, it is read or refused by a ValueError of ours."""
    for place in places(COCO):
        for odd in ODD:
            data = copy.deepcopy(COCO)
            inner = data
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = odd
            try:
                from_coco(data)
            except ValueError as error:
                assert type(error) is ValueError, (place, error)
                assert str(error).startswith("from_coco: "), (place, error)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("images 0 width", 0, "image 3: width must be a whole number from 1 to 2147483647, not 0"),
        ("images 0 width", None, "image 3: width must be a whole number, not None"),
        ("images 0 height", 400.5, "image 3: height must be a whole number, not 400.5"),
        ("images 0 id", 10**30, "must be a whole number from -9223372036854775808 to "),
        ("images 0 file_name", 7, "image 3: file_name must be a text, not 7"),
        ("images 0", None, "image no. 1 must be an object, not None"),
        ("categories 0 name", 1.5, "category 5: name must be a text, not 1.5: put it in quotes"),
        ("annotations", None, "annotations must be a list, not None"),
        (
            "annotations 0 bbox",
            [1, 2, 3],
            r"annotation 7: bbox must be four numbers, \[x, y, width, height\], not ",
        ),
        ("annotations 0 bbox", [1, 2, None, 3], r"bbox \[1, 2, None, 3\]: each must be a number, not None"),
        ("annotations 0 bbox", [1, 2, 10**400, 3], "each must be a finite number, not 1000"),
        ("annotations 0 bbox", [1, 2, -3, 3], r"bbox \[1, 2, -3, 3\] has a width or height below 0"),
        ("annotations 0 score", "x", "annotation 7: score must be a number, not 'x'"),
        ("annotations 0 image_id", [3], r"annotation 7: image_id must be a whole number, not \[3\]"),
        ("annotations 0 segmentation", "x", "annotation 7: segmentation must be polygons or run lengths, not 'x'"),
    ],
)
def test_what_coco_cannot_say(place: str, value: Any, told: str) -> None:
    data = copy.deepcopy(COCO)
    inner: Any = data
    *outer, last = (int(key) if key.isdigit() else key for key in place.split())
    for key in outer:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(ValueError, match=f"from_coco: .*{told}"):
        from_coco(data)


def test_names_and_boxes_that_are_as_they_were() -> None:
    data = copy.deepcopy(COCO)
    data["categories"][0]["name"], data["images"][0]["width"] = 7, 600.0
    [row] = from_coco(data).to_pylist()
    assert (row["categories"], row["width"], row["boxes"]) == (["7"], 600, [[0.1, 0.1, 0.9, 0.975]])
    with pytest.raises(ValueError, match="two categories have the id 5: '7' and 'b'"):
        from_coco({**data, "categories": [*data["categories"], {"id": 5, "name": "b"}]})


def test_files_of_json(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    text = json.dumps(COCO)
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        file.write_bytes(data)
        assert from_coco(file)["name"].to_pylist() == ["coffee.jpg"]
    for data in (
        b"",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"images": [\xff]}',
        b"9" * 5000,
        b"null",
        b"\0",
        text[:-9].encode(),
    ):
        file.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.json") as failure:
            from_coco(file)
        assert type(failure.value) is ValueError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes((PHOTOS / "coffee.jpg").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-1 0.5 0.5 0.1 0.1", "the class must be a whole number from 0 to 2147483647, not -1"),
        ("0.5 0.5 0.5 0.1 0.1", "the class must be a whole number, not 0.5"),
        ("nan 0.5 0.5 0.1 0.1", "the class must be a whole number, not nan"),
        ("1_0 0.5 0.5 0.1 0.1", "'1_0 0.5 0.5 0.1 0.1' is not a class and numbers"),
        ("\u0661 0.5 0.5 0.1 0.1", "is not a class and numbers"),
        ("0 0.5 0.5 -0.1 0.1", "the box has a width of -0.1 and a height of 0.1: they must be above 0"),
        ("0 0.5 0.5 0.1 0", "must be above 0"),
        ("0 1.5 0.5 0.1 0.1", r"the corners \[1.45, 0.45, 1.55, 0.55\] lie outside the image"),
        ("0 120 130 40 50", "lie outside the image: coordinates are fractions"),
        ("0 0.1 0.1 0.9 0.1 0.5 -3", "lie outside the image"),
        ("0 1e999 0.5 0.1 0.1", "the numbers must be finite"),
    ],
)
def test_labels_that_cannot_be(line: str, told: str, dataset: Path) -> None:
    (dataset / "labels" / "a.txt").write_text(f"0 0.5 0.5 1.02 1.0\n{line}\n", "utf-8")
    with pytest.raises(ValueError, match=rf"a\.txt, line 2: .*{told}"):
        from_yolo(dataset)


def test_labels_of_other_programs(dataset: Path) -> None:
    (dataset / "labels" / "a.txt").write_bytes(b"\xef\xbb\xbf1.0 0.5 0.5 0.2 0.4\r\n+2 5e-1 .5 0.2 0.4\r\n")
    assert from_yolo(dataset)["category_ids"].to_pylist() == [[1, 2]]
    (dataset / "labels" / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"a\.txt is not a text in UTF-8: .* at byte 0"):
        from_yolo(dataset)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("names: cup", "names of classes must be a list, not 'cup'"),
        ("names: [yes, cup]", "names: 0 must be a text, not True: put it in quotes"),
        ("names: [1.50]", "names: 0 must be a text, not 1.5: put it in quotes"),
        ("names: [null]", "names: 0 must be a text, not None"),
        ("names: {a: cup}", "names: a number must be a whole number, not 'a'"),
        ("names: {-1: cup}", "names: a number must be a whole number from 0 "),
        ("names: [", "is not YAML that can be read"),
        ("nc: 1", "has no names of classes"),
    ],
)
def test_names_of_classes_that_cannot_be(names: str, told: str, dataset: Path) -> None:
    pytest.importorskip("yaml")
    (dataset / "data.yaml").write_text(names)
    with pytest.raises((ValueError, TypeError), match=rf"data\.yaml.*{told}"):
        from_yolo(dataset)
    with pytest.raises(TypeError, match="categories of classes must be a list, not 'cup'"):
        from_yolo(dataset, categories="cup")


def test_sizes_of_rows() -> None:
    good = encoded(RING)
    for change, told in (
        ({"width": 40.5, "height": 30}, "width must be a whole number, not 40.5"),
        ({"width": "40", "height": 30}, "width must be a whole number, not '40'"),
        ({"width": True, "height": 30}, "width must be a whole number, not True"),
        ({"width": 0, "height": 30}, "width must be a whole number from 1 to 2147483647, not 0"),
        ({"mask": {**good, "size": [30.7, 40]}}, "size must be a whole number, not 30.7"),
        ({"mask": {**good, "size": ["30", 40]}}, "size must be a whole number, not '30'"),
        ({"mask": {**good, "size": [30, 40, 3]}}, r"the size of a mask is \[height, width\], not \[30, 40, 3\]"),
        ({"mask": {**good, "size": 30}}, r"the size of a mask is \[height, width\], not 30"),
        ({"mask": {**good, "size": [-30, 40]}}, "size must be a whole number from 0"),
        ({"mask": {"size": [1, 2], "counts": [1.5, 0.5]}}, "counts must be a whole number, not 1.5"),
        ({"mask": {"size": [1, 2], "counts": [3, -1]}}, "counts must be a whole number from 0"),
        ({"mask": {"size": [1, 2], "counts": 5}}, "counts must be a list, not 5"),
        ({"mask": {"size": [1, 2], "counts": b"\xff"}}, "not a mask"),
        ({"category": "\ud800"}, "category is '.ud800', which is not Unicode"),
    ):
        with pytest.raises((ValueError, TypeError), match=rf"row 0 \(a\): {told}|row 0 \(a\), mask.*{told}"):
            to_coco([{"name": "a", "mask": good, **change}])
    for size in ([30, 40], (30.0, 40.0), np.array([30, 40])):
        rows = [{"name": "a", "mask": {**good, "size": size}, "width": np.float64(40), "height": np.int16(30)}]
        assert to_coco(rows)["images"][0]["width"] == 40


def test_one_image_by_two_names() -> None:
    rows = [{"name": name, "mask": encoded(RING)} for name in ("./a/b.jpg", "a/b.jpg", "a//./b.jpg", "a/../a/b.jpg")]
    data = to_coco(rows)
    assert [image["file_name"] for image in data["images"]] == ["./a/b.jpg", "a/../a/b.jpg"]
    assert [each["image_id"] for each in data["annotations"]] == [1, 1, 1, 2]


@pytest.mark.parametrize("name", ["..", "a/..", ".", "/", "a\nb.jpg", "a\0.jpg", "\udcff.jpg"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    for write in (to_yolo, to_labelme):
        for root in (None, "."):
            with pytest.raises(ValueError, match=r"has a name that no file of a data|is not in the folder"):
                write({name: encoded(RING)}, inner, root=root)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_nothing_is_written_outside(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "set"
    for name in ("../../x.jpg", "/etc/x.jpg", "a\\..\\..\\x.jpg", "~/x.jpg", "....jpg", "-x.jpg"):
        to_labelme({name: encoded(RING)}, folder, overwrite=True)
        to_yolo({name: encoded(RING)}, folder, overwrite=True)
    assert {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("*")} == {"in"}
    assert os.listdir(tmp_path / "in") == ["set"]
    with pytest.raises(ValueError, match="is not in the folder root="):
        to_yolo({"../x.jpg": encoded(RING)}, folder, root=".", overwrite=True)
