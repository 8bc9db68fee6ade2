"""``duckdb-sam run --boxes``: files as people and programs write them. A mistake is one line that names the place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from commands import Command
from conftest import PHOTOS


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a folder that has a photo."""
    shutil.copy(PHOTOS / "coffee.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def coco(**changes: Any) -> dict[str, Any]:
    """A file of one box, in which a part of the image, the category or the annotation is another."""
    parts: dict[str, dict[str, Any]] = {
        "images": {"id": 1, "file_name": "coffee.jpg", "width": 600, "height": 400},
        "categories": {"id": 1, "name": "cup"},
        "annotations": {"id": 1, "image_id": 1, "category_id": 1, "bbox": [60, 40, 480, 350]},
    }
    return {
        name: [{key: changes.get(f"{name}_{key}", value) for key, value in part.items()}]
        for name, part in parts.items()
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (coco(images_width=0), "image 1: width must be a whole number from 1"),
        (coco(images_width=None), "image 1: width must be a whole number, not None"),
        (coco(images_id=10**30), "id must be a whole number from"),
        (coco(annotations_bbox=[1, 2, 10**400, 4]), "annotation 1: bbox [1, 2, 1000"),
        (coco(annotations_bbox=[1, 2, 3]), "bbox must be four numbers, [x, y, width, height], not [1, 2, 3]"),
        (coco(annotations_bbox=[1, 2, None, 4]), "each must be a number, not None"),
        ({**coco(), "annotations": None}, "annotations must be a list, not None"),
        ('{"images": [', "is not JSON that can be read: Expecting value"),
        ("9" * 5000, "is not JSON that can be read"),
    ],
)
def test_coco_that_cannot_be(content: Any, told: str, command: Command) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    Path("b.json").write_text(text, "utf-8")
    done = command("run", "--boxes", "b.json", "--json")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("duckdb-sam: b.json")
    assert told in done.json["error"]


def test_coco_of_other_programs(command: Command) -> None:
    text = json.dumps(coco(categories_name=7, images_width=600.0))
    Path("b.json").write_text(text, "utf-8-sig")
    assert command("run", "--boxes", "b.json", "--coco", "out.json").status == 0
    assert json.loads(Path("out.json").read_text())["categories"] == [{"id": 1, "name": "7"}]


def test_texts_of_tables_stay_as_they_are(command: Command) -> None:
    for name in ("007.jpg", "1.50", "true"):
        shutil.copy("coffee.jpg", name)
    Path("a.csv").write_text(
        "name;class;x0;y0;x1;y1\n007.jpg;1.50;0.1;0.1;0.9;0.9\n1.50;007;0.1;0.1;0.9;0.9\ntrue;2024-01-01;.1;1e-1;0.9;0.9\n"
    )
    done = command("run", "--boxes", "a.csv")
    assert done.status == 0, done.err
    with duckdb.connect() as con:
        rows = con.execute("SELECT path, categories FROM 'masks.parquet' ORDER BY path").fetchall()
    assert rows == [("007.jpg", ["1.50"]), ("1.50", ["007"]), ("true", ["2024-01-01"])]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("coffee.jpg,0.1,0.1,0.9,0.9\n", "no column names the photos"),
        ("name,x0,y0,x1,y1\ncoffee.jpg,0.1,0.1,0.9,nan\n", "row 1, coffee.jpg: box must hold finite numbers"),
        (
            "name,x0,y0,x1,y1\ncoffee.jpg,0.1,0.1,0.9,a\n",
            "row 1 has the box ['0.1', '0.1', '0.9', 'a'], not",
        ),
        ('name,box\ncoffee.jpg,"[1,2,' + "9" * 400 + ',4]"\n', "row 1 has the box '[1,2,999"),
        ('name,box\ncoffee.jpg,"[1,2,null,4]"\n', "not four numbers"),
        ('name,box\ncoffee.jpg,"' + "[" * 9000 + '"\n', "not four numbers"),
        ('name,box\ncoffee.jpg,"{""a"": 1}"\n', "not four numbers"),
        ("name,x0,y0,x1,y1\ncoffee.jpg,0.1,0.1\n", "a.csv: "),
        ("", "a.csv: "),
        ("name,x0,y0,x1,y1\n", "there are no boxes in it"),
        ("name,x0,y0,x1,y1\nk\udcffffee.jpg,0.1,0.1,0.9,0.9\n", "a.csv: "),
    ],
)
def test_tables_that_cannot_be(content: str, told: str, command: Command) -> None:
    Path("a.csv").write_text(content, "utf-8", errors="surrogateescape")
    done = command("run", "coffee.jpg", "--boxes", "a.csv")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done.err
    assert told in done.err
    assert len(done.err) < 400


def test_yolo_that_cannot_be(command: Command) -> None:
    for name in ("images", "labels"):
        (Path("y") / name).mkdir(parents=True)
    shutil.copy("coffee.jpg", "y/images")
    Path("y/labels/coffee.txt").write_text("-1 0.5 0.5 0.1 0.1\n")
    assert "a folder is a YOLO data set, with the folders images and" in command("run", "--boxes", ".").err
    done = command("run", "--boxes", "y")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "coffee.txt, line 1: the class must be a whole number from 0" in done.err
    Path("y/data.yaml").write_text("names: [")
    done = command("run", "--boxes", "y")
    assert done.status == 1
    assert "data.yaml is not YAML that can be read" in done.err
    assert done.err.count("\n") == 1
