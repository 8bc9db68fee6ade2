"""``duckdb-sam run``: prompts, photos, what comes out, and how it goes on."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest
from PIL import Image
from pycocotools.coco import COCO

import duckdb_sam
from commands import Command, copies, process, two_photos
from conftest import PHOTOS

POINT = ("--point", 0.5, 0.6)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a folder that has two photos, one of them below another folder."""
    two_photos(tmp_path, "auf Säulen")
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def read(query: str, database: str = ":memory:") -> list[tuple[Any, ...]]:
    with duckdb.connect(database) as con:
        return con.execute(query).fetchall()


def paths(file: str = "masks.parquet") -> list[str]:
    return [path for (path,) in read(f"SELECT path FROM '{file}' ORDER BY path")]


def test_as_a_user_meets_it(command: Command, tmp_path: Path) -> None:
    done = process("run", "photos", "--generate", "--option", "points_per_side=8", "--overlay", "out", folder=tmp_path)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("2 images segmented in ")
    assert lines[1].startswith("masks    masks.parquet: ")
    assert lines[2] == "overlay  out (2 pictures)"
    assert lines[3] == "Next: duckdb-sam shell -c \"FROM 'masks.parquet'\""
    assert paths() == ["photos/auf Säulen/coins.jpg", "photos/coffee.jpg"]
    with Image.open(tmp_path / "out" / "auf Säulen" / "coins.jpg") as overlay:
        assert overlay.size == (384, 303)


def test_everything_that_comes_out(command: Command) -> None:
    first = command("run", "photos", "--generate", "--option", "points_per_side=6")
    assert "--overlay DIR draws the masks" in first.out
    exports = ["--overlay", "o", "--cutout", "c", "--coco", "i.json", "--yolo", "y", "--labelme", "photos"]
    exports += ["--geoparquet", "g.parquet"]
    later = command("run", "photos", "--generate", "--option", "points_per_side=6", *exports, "--json")
    assert later.status == 0, later.err
    found = later.json
    assert (found["run"]["rows"], found["run"]["skipped"], found["rows"], found["failed"]) == (0, 2, 2, 0)
    masks = found["masks"]
    assert masks > 2
    assert {kind: each["path"] for kind, each in found["written"].items()} == {
        **{"overlay": "o", "cutout": "c", "coco": "i.json", "yolo": "y", "labelme": "photos", "geoparquet": "g.parquet"}
    }
    assert found["written"]["cutout"]["files"] == masks == len(list(Path("c").rglob("*.png")))
    coco = COCO("i.json")
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == ["auf Säulen/coins.jpg", "coffee.jpg"]
    assert len(coco.getAnnIds()) == masks
    assert sum(len(file.read_text().splitlines()) for file in Path("y/labels").rglob("*.txt")) == masks
    assert Path("y/images/auf Säulen/coins.jpg").is_symlink()
    assert len(json.loads(Path("photos/coffee.json").read_text())["shapes"]) > 0
    assert read("SELECT count(*) FROM 'g.parquet'") == [(masks,)]
    again = command("run", "photos", "--generate", "--option", "points_per_side=6", *exports)
    assert again.status == 0, again.err
    assert "--overwrite" not in again.out  # all that is there is of this job


def test_prompts_are_those_of_python(command: Command) -> None:
    pixel = ["--unit", "pixel"]
    asked: dict[str, tuple[list[Any], dict[str, Any]]] = {
        "a": (["--point", 0.5, 0.6], {"point": [0.5, 0.6]}),
        "b": (["--point", 300, 240, *pixel], {"point": [300, 240], "unit": "pixel"}),
        "c": (["--points", "0.5,0.6 0.4,0.4"], {"points": [[0.5, 0.6], [0.4, 0.4]]}),
        "d": (["--point", 0.5, 0.6, "--point", 0.4, 0.4], {"points": [[0.5, 0.6], [0.4, 0.4]]}),
        "e": (
            ["--point", 0.5, 0.6, "--background", 0.05, 0.05, "--box", 60, 40, 480, 350, "--box-format", "xywh"],
            {"points": [[0.5, 0.6], [0.05, 0.05]], "labels": [1, 0], "box": [0.1, 0.1, 0.9, 0.975]},
        ),
        "f": (["--box", 0.1, 0.1, 0.9, 0.9], {"box": [0.1, 0.1, 0.9, 0.9]}),
    }
    asked["e"] = ([*asked["e"][0][:6], "--box", 0.1, 0.1, 0.8, 0.875, "--box-format", "xywh"], asked["e"][1])
    with duckdb_sam.Segmenter() as segmenter:
        for name, (arguments, prompt) in asked.items():
            done = command("run", "photos/coffee.jpg", *arguments, "--into", f"{name}.parquet", "--quiet")
            assert done == (0, "", ""), name
            expected = segmenter.predict("photos/coffee.jpg", **prompt)
            [(area,)] = read(f"SELECT mask.area FROM '{name}.parquet'")
            assert area == expected.area, name
    boxes = ["--box", 0.1, 0.1, 0.9, 0.9, "--box", 0.2, 0.3, 0.6, 0.7]
    assert command("run", "photos/coffee.jpg", *boxes, "--into", "g.parquet").status == 0
    assert read("SELECT len(mask) FROM 'g.parquet'") == [(2,)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("photos", "say what to segment: --generate for all objects, --point X Y"),
        ("photos --generate --point 0.5 0.5", "--generate and --point exclude each other"),
        ("photos --background 0.5 0.5", "say what to segment"),
        ("photos --generate --background 0.5 0.5", "--background belongs to --point"),
        ("photos --point 500 400", "for pixels give --unit pixel"),
        ("photos --box 0.1 0.1 0.05 0.05", "is --box-format xywh"),
        ("photos --points 0.5", "'0.5' is not a list of points"),
        ("photos --point 0.5", "requires 2 arguments"),
        ("photos --point 0.5 0.5 --option points_per_side=3", "--option belongs to --generate"),
        ("photos --generate --option side=3", "has no option 'side'; the options are points_per_side"),
        ("photos --generate --option points_per_side=1.5", "give NAME=NUMBER"),
        ("--generate", "say which PHOTOS"),
        ("photos --generate --threads 0", "--threads"),
        ("photos --generate --coco a.json --coco=b.json", "--coco is given 2 times: give it once"),
        ("photos --point 0.5 0.5 --model a --into x.db --model b", "--model is given 2 times"),
    ],
)
def test_usage(arguments: str, told: str, command: Command) -> None:
    done = command("run", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert not os.path.exists("masks.parquet")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("nothere.jpg", "there is no file or folder 'nothere.jpg'"),
        ("*.tiff", "no file matches '*.tiff'"),
        ("empty", "the folder empty holds no images"),
        ("-", "there are no images in the list on stdin"),
        ("@nothere.txt", "nothere.txt: No such file"),
        ("photos --into masks", "give a Parquet file (masks.parquet), a folder of them (masks/), or a database"),
        ("photos --into a.csv", "a.parquet"),
        ("photos --into a.parquet --table t", "--table t belongs to a database"),
        ("photos --into photos/coffee.jpg/a.parquet", "coffee.jpg is not a folder"),
        ("photos --coco photos/coffee.jpg/a.json", "coffee.jpg is not a folder"),
        ("photos --model nope", "unknown model 'nope'"),
        ("photos --model mobile_sam", "duckdb-sam pull mobile_sam downloads it"),
        ("photos --model photos/coffee.jpg", "it is a picture"),
        ("photos --overlay photos/out", "would be taken for photos"),
        ("photos/coffee.jpg --overlay photos", "might be overwritten"),
        ("photos/coffee.jpg --cutout .", "might be overwritten"),
        ("photos --into photos", "--into photos is the folder of the photo photos/"),
        ("photos/coffee.jpg --into photos/", "--into photos/ is the folder of the photo photos/coffee.jpg"),
        ("photos --into m/ --errors photos/", "--errors photos/ is the folder of the photo"),
        ("photos --coco empty", "--coco empty is a folder"),
        ("photos --yolo note.txt", "--yolo note.txt is a file"),
        ("photos --coco note.txt", "--coco note.txt is there already: give another place, or --overwrite"),
        ("photos --into note.parquet", "note.parquet is no Parquet file"),
        ("photos --into other.parquet", "was not written by a job"),
    ],
)
def test_mistakes(arguments: str, told: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    os.mkdir("empty")
    for name in ("note.txt", "note.parquet"):
        Path(name).write_text("mine")
    duckdb.sql("COPY (SELECT 1 AS path) TO 'other.parquet'")
    done = command("run", *arguments.split(), *POINT)
    assert (done.status, done.out) == (1, "")
    assert told in done.err
    assert done.err.count("\n") == 1
    assert Path("note.txt").read_text() == Path("note.parquet").read_text() == "mine"


def test_images_that_fail(command: Command) -> None:
    Path("photos/bad.jpg").write_bytes(b"no image")
    for _ in range(2):  # the status does not depend on what was done before
        done = command("run", "photos", *POINT, "--overlay", "out")
        assert done.status == 3
        assert (
            "1 image failed; masks_errors.parquet has all with the reason:\n  photos/bad.jpg: not a picture" in done.err
        )
    assert sorted(path.name for path in Path("out").rglob("*.*")) == ["coffee.jpg", "coins.jpg"]
    shutil.copy(PHOTOS / "rocket.jpg", "photos/bad.jpg")
    assert command("run", "photos", *POINT).status == 3
    done = command("run", "photos", *POINT, "--retry-errors", "--json")
    assert (done.status, done.json["run"]["rows"], done.json["failed"]) == (0, 1, 0)
    Path("bad.jpg").write_bytes(b"no image")
    assert command("run", "bad.jpg", *POINT, "--into", "none.parquet").status == 1
    done = command("run", "bad.jpg", *POINT, "--into", "stop.parquet", "--stop-on-error")
    assert done.status == 1
    assert "path='bad.jpg': not a picture" in done.err


def test_many_images_that_fail(command: Command) -> None:
    for number in range(5):
        Path(f"photos/bad{number}.jpg").write_bytes(b"no image")
    for name in ("photos/notes.txt", "photos/.hidden.jpg", "photos/.hidden.txt"):
        Path(name).write_text("mine")
    done = command("run", "photos", *POINT)
    assert done.out.startswith("2 images segmented, 5 failed in ")
    assert "\n1 other file left out: its name does not end as those of images do\n" in done.out
    assert "5 images failed; masks_errors.parquet has all with the reason, and the first 3 are:\n  photos" in done.err
    again = command("run", "photos", *POINT)
    told = "0 images segmented, 2 done before, 5 failed before (--retry-errors tries them again)\n"
    assert again.out.startswith(told)
    os.remove("masks.parquet")  # and not what has failed
    again = command("run", "photos", *POINT)
    assert again.out.startswith("2 images segmented in ")
    assert ", 5 failed before (--retry-errors tries them again)\n" in again.out
    assert command("run", "photos/bad0.jpg", *POINT).out.startswith(
        "0 images segmented, 1 failed before (--retry-errors tries it again)\n"
    )
    found = command("run", "photos", *POINT, "--json").json
    assert (len(found["failures"]), found["failures_left_out"], found["other_files"]) == (5, 0, 1)
    for number in range(1001):
        Path(f"photos/bad{number}.jpg").write_bytes(b"no image")
    found = command("run", "photos", *POINT, "--json").json
    assert (found["failed"], len(found["failures"]), found["failures_left_out"]) == (1001, 1000, 1)


def test_a_photo_that_is_gone_when_it_is_to_be_drawn_on(command: Command) -> None:
    assert command("run", "photos", *POINT).status == 0
    os.remove("photos/coffee.jpg")
    done = command("run", "photos", *POINT, "--overlay", "out", "--json")
    assert done.status == 3
    assert list(done.json["written"]["overlay"]["failed"]) == ["photos/coffee.jpg"]
    assert done.json["written"]["overlay"]["files"] == 1


def test_other_options_are_refused(command: Command) -> None:
    assert command("run", "photos", *POINT).status == 0
    done = command("run", "photos", "--point", 0.4, 0.4)
    assert done.status == 1
    assert "point was [0.5, 0.6], now [0.4, 0.4]" in done.err
    assert "another --into to keep both, or --restart to" in done.err
    assert command("run", "photos", "--point", 0.4, 0.4, "--restart").status == 0


def test_photos_of_another_folder_into_the_same_place(command: Command, tmp_path: Path) -> None:
    assert command("run", "photos", *POINT, "--overlay", "out").status == 0
    shutil.copytree("photos", "more")
    assert command("run", "more", *POINT, "--overlay", "all").status == 0
    assert {path.as_posix() for path in Path("all").rglob("*.jpg")} == {
        f"all/{folder}/{name}" for folder in ("photos", "more") for name in ("coffee.jpg", "auf Säulen/coins.jpg")
    }


def test_into_a_database_and_a_folder(command: Command) -> None:
    Path("photos/bad.jpg").write_bytes(b"no image")
    done = command("run", "photos", *POINT, "--into", "a b.db", "--table", "my masks", "--overlay", "out")
    assert done.status == 3
    assert 'Next: duckdb-sam shell "a b.db" -c \'FROM "my masks"\'' in done.out
    assert read('SELECT count(*) FROM "my masks"', "a b.db") == read(
        'SELECT 2 * count(*) FROM "my masks_errors"', "a b.db"
    )
    assert Path("a b.db").read_bytes()[8:20] == b"DUCK" + (64).to_bytes(8, "little")  # as DuckDB 1.0 reads it
    assert command("run", "photos", *POINT, "--into", "m/", "--overlay", "out2").status == 3
    assert len(paths("m/*.parquet")) == len(list(Path("out2").rglob("*.jpg"))) == 2
    strange = command(
        "run", "photos", *POINT, "--into", "q [1]'*.parquet", "--errors", "e?.parquet", "--coco", "i.json"
    )
    assert strange.status == 3, strange.err
    assert len(json.loads(Path("i.json").read_text())["images"]) == 2


def test_which_photos(command: Command, tmp_path: Path) -> None:
    shutil.copy(PHOTOS / "rocket.jpg", "-r [1]*'.jpg")
    Path("list.txt").write_text("photos/coffee.jpg\r\n\r\n./photos//auf Säulen\r\n", encoding="utf-8-sig")
    done = command("run", *POINT, "--quiet", "@list.txt", "photos/*.jpg", "./photos", "./-r [1]*'.jpg")
    assert done == (0, "", "")
    assert paths() == ["-r [1]*'.jpg", "photos/auf Säulen/coins.jpg", "photos/coffee.jpg"]
    given = "photos/coffee.jpg\0photos/nothere.jpg\0"
    done = process("run", "-", *POINT, "--into", "l.parquet", "--json", folder=tmp_path, given=given)
    assert done.status == 3
    assert list(done.json["failures"]) == ["photos/nothere.jpg"]
    assert paths("l.parquet") == ["photos/coffee.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
def test_a_name_that_is_not_unicode(command: Command) -> None:
    shutil.copy(PHOTOS / "coffee.jpg", b"bad\xff.jpg")
    done = command("run", ".", *POINT)
    assert done.status == 0
    assert any(path.endswith("/bad%FF.jpg") for path in paths())


BOXES = {"coffee.jpg": [[60, 40, 480, 350], [120, 120, 240, 160]], "auf Säulen/coins.jpg": [[100, 100, 60, 60]]}


def test_boxes_of_a_table(command: Command) -> None:
    rows = [(name, *box) for name, boxes in BOXES.items() for box in boxes]
    lines = [",".join(map(str, [*row, "cup"])) for row in rows]
    Path("a.csv").write_text("file_name,x,y,width,height,label\n" + "\n".join([*lines, "other.jpg,1,1,5,5,cup"]))
    pixel = ["--unit", "pixel", "--box-format", "xywh"]
    done = command("run", "photos", "--boxes", "a.csv", *pixel, "--into", "a.parquet", "--coco", "a.json")
    assert done.status == 0, done.err
    assert "1 image is in a.csv and not among the photos, such as 'other.jpg'" in done.err
    assert read("SELECT path, len(mask), categories FROM 'a.parquet' ORDER BY path") == [
        ("photos/auf Säulen/coins.jpg", 1, ["cup"]),
        ("photos/coffee.jpg", 2, ["cup", "cup"]),
    ]
    duckdb.execute("COPY (SELECT file_name AS name, [x, y, x + width, y + height] AS box FROM 'a.csv') TO 'b.parquet'")
    assert command("run", "photos", "--boxes", "b.parquet", "--unit", "pixel", "--into", "c.parquet").status == 0
    areas = "SELECT path, list_transform(mask, lambda m: m.area) FROM '{}.parquet' ORDER BY path"
    assert read(areas.format("a")) == read(areas.format("c"))
    # And from COCO's file to YOLO's and back; the boxes are now those of the masks.
    done = command("run", "photos", "--boxes", "a.json", "--into", "d.parquet", "--yolo", "y")
    assert (done.status, read("SELECT sum(len(mask)) FROM 'd.parquet'")) == (0, [(3,)])
    done = command("run", "--boxes", "y", "--into", "e.parquet", "--coco", "e.json")
    assert (done.status, read("SELECT sum(len(mask)) FROM 'e.parquet'")) == (0, [(3,)])
    assert [each["name"] for each in json.loads(Path("e.json").read_text())["categories"]] == ["cup"]


def test_boxes_that_change_or_do_not_fit(command: Command) -> None:
    Path("a.csv").write_text("name,x0,y0,x1,y1\ncoffee.jpg,0.1,0.1,0.9,0.9\n")
    done = command("run", "photos", "--boxes", "a.csv")
    assert (done.status, done.err.splitlines()[0]) == (0, "1 photo has no boxes in a.csv, and so no masks")
    assert done.out.startswith("1 image segmented, 1 without boxes in ")
    assert command("run", "photos", "--boxes", "a.csv").out.startswith("0 images segmented, 2 done before\n")
    Path("a.csv").write_text("name,x0,y0,x1,y1\ncoffee.jpg,0.1,0.1,0.8,0.9\n")
    done = command("run", "photos", "--boxes", "a.csv")
    assert done.status == 1
    assert "the boxes of 1 photo in a.csv, such as photos/coffee.jpg, are not those" in done.err
    assert command("run", "photos", "--boxes", "a.csv", "--restart").status == 0
    # fmt: off
    wrong = {
        "b.csv": ("name,x0,y0,x1,y1\nother.jpg,0.1,0.1,0.9,0.9\n", "none of the 1 images"),
        "c.csv": ("x0,y0,x1,y1\n0.1,0.1,0.9,0.9\n", "no column names the photos"),
        "d.csv": ("name,w,h\ncoffee.jpg,1,1\n", "there is no column box"),
        "e.csv": ('name,box\ncoffee.jpg,"[1, 2, x]"\n', "row 1 has the box '[1, 2, x]', not four numbers"),
        "f.json": ("[]", "COCO's JSON is an object"),
        "g.xml": ("<a/>", "give COCO's JSON"),
        "i.csv": ("name,x0,y0,x1,y1\ncoffee.jpg,0.1,0.1,0.9,0.9\ncoffee.jpg,0.9,0.1,0.2,0.9\n",
                  "i.csv: row 2, coffee.jpg: box [0.9, 0.1, 0.2, 0.9] has no area"),
        "j.csv": ("name,x0,y0,x1,y1\ncoffee.jpg,10,10,90,90\n", "row 1, coffee.jpg: box [10.0, 10.0, 90.0, 90.0] "
                  "reaches outside the image: coordinates are fractions of its width and height, 0 to 1; for pixels "
                  "give --unit pixel"),
        "k.csv": ("name,x0,y0,x1,y1\ncoffee.jpg,0.1,,0.9,0.9\n", "row 1 has the box ['0.1', None, '0.9', '0.9']"),
        "l.json": (json.dumps({
            "images": [{"id": 7, "file_name": "coffee.jpg", "width": 600, "height": 400}],
            "categories": [{"id": 1, "name": "a"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [60, 40, 0, 20], "iscrowd": 0}],
        }), "box 1 of 1 of the image coffee.jpg has no area: its corners are [0.1, 0.1, 0.1, 0.15], in fractions"),
        "h.csv": ("name,box\ncoffee.jpg,\n", "there are no boxes in it"),
    }
    # fmt: on
    for name, (content, told) in wrong.items():
        Path(name).write_text(content)
        done = command("run", "photos", "--boxes", name, "--into", f"{name}.parquet")
        assert done.status == 1, name
        assert told in done.err
    pixel = ("--unit", "pixel")
    Path("a.csv").write_text("name,x0,y0,x1,y1\ncoffee.jpg,-9,-9,-2,-2\n")
    done = command("run", "photos", "--boxes", "a.csv", *pixel, "--into", "n.parquet")
    assert done.status == 1
    assert "row 1, coffee.jpg: box [-9.0, -9.0, -2.0, -2.0] lies outside the image\n" in done.err
    Path("a.csv").write_text("name,x0,y0,x1,y1\ncoffee.jpg,9,9,99,99\ncoins.jpg,900,900,999,999\n")  # of one photo
    done = command("run", "photos", "--boxes", "a.csv", *pixel, "--into", "n.parquet")
    assert (done.status, "coins.jpg: box [900.0, 900.0, 999.0, 999.0] lies outside" in done.err) == (3, True)
    assert "there is no file or folder 'no.json'" in command("run", "photos", "--boxes", "no.json").err


def test_boxes_of_masks_without_pixels(command: Command) -> None:
    """As ``--coco`` writes them, so that its files are read again."""
    image = {"id": 7, "file_name": "coffee.jpg", "width": 600, "height": 400}
    boxes = [[60, 40, 480, 350], [0, 0, 0, 0]]
    annotations = [{"id": n, "image_id": 7, "category_id": 1, "bbox": box} for n, box in enumerate(boxes)]
    content = {"images": [image], "categories": [{"id": 1, "name": "cup"}], "annotations": annotations}
    Path("a.json").write_text(json.dumps(content))
    done = command("run", "photos/coffee.jpg", "--boxes", "a.json")
    assert done.status == 0, done.err
    assert "1 box [0, 0, 0, 0] in a.json left out: objects without pixels\n" in done.err
    assert read("SELECT len(mask), categories FROM 'masks.parquet'") == [(1, ["cup"])]


def test_interrupted_and_killed(command: Command, tmp_path: Path) -> None:
    copies(tmp_path / "many", 24)
    call = ["run", "many", *map(str, POINT), "--batch", "2", "--overlay", "out"]
    whole = [sys.executable, "-m", "duckdb_sam", *call]

    def begun() -> subprocess.Popen[str]:
        child = subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        parts = len(list(Path(".").glob("masks.parquet.parts/part*")))
        while child.poll() is None and len(list(Path(".").glob("masks.parquet.parts/part*"))) < parts + 2:
            time.sleep(0.02)
        return child

    child = begun()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    assert "of 24 rows are in masks.parquet; the same command goes on from there" in err
    assert "Traceback" not in err
    child = begun()
    child.kill()
    child.communicate(timeout=60)
    done = command(*call, "--json")
    assert done.status == 0, done.err
    assert 0 < done.json["run"]["rows"] < 24
    assert paths() == [f"many/{number:02}.jpg" for number in range(24)]
    assert sorted(path.name for path in Path("out").iterdir()) == [f"{number:02}.jpg" for number in range(24)]
    assert not list(Path(".").glob("*.parts")) + list(Path(".").rglob(".*")) + list(Path(".").rglob("*.tmp"))


def test_boxes_of_two_images_with_one_name(command: Command) -> None:
    image = {"file_name": "coffee.jpg", "width": 600, "height": 400}
    content = {
        "images": [{"id": 1, **image}, {"id": 2, **image}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 90, 90]}],
        "categories": [{"id": 1, "name": "cup"}],
    }
    Path("boxes.json").write_text(json.dumps(content))
    done = command("run", "photos", "--boxes", "boxes.json")
    assert done.status == 1
    assert "two images have the name coffee.jpg" in done.err
