"""``duckdb-sam run``: exports that are there already. What the job has not written as it is stays."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from commands import Command
from conftest import PHOTOS
from duckdb_sam.formats.files import replaced
from duckdb_sam.formats.ledger import Ledger, kept, take

POINT = ("--point", 0.5, 0.6)
ALL = ("--overlay", "o", "--cutout", "c", "--coco", "i.json", "--yolo", "y", "--labelme", "l", "--geoparquet", "g.pq")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a folder that has two photos."""
    (tmp_path / "photos").mkdir()
    for name in ("coffee.jpg", "coins.jpg"):
        shutil.copy(PHOTOS / name, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def test_own_exports_are_made_anew(command: Command) -> None:
    for more in ([], [], ["--restart"]):
        done = command("run", "photos", *POINT, *ALL, *more)
        assert (done.status, "left" in done.out) == (0, False), done
    shutil.copy(PHOTOS / "rocket.jpg", "photos")
    assert command("run", "photos", *POINT, *ALL).status == 0
    assert len(json.loads(Path("i.json").read_text())["images"]) == 3
    for name in ("o/rocket.jpg", "c/rocket.png", "l/rocket.json", "y/labels/rocket.txt", "y/images/rocket.jpg"):
        assert os.path.exists(name)
    size = os.path.getsize("masks.parquet.exports")
    assert command("run", "photos", *POINT, *ALL).status == 0
    assert os.path.getsize("masks.parquet.exports") == size


@pytest.mark.parametrize("into", ["masks.parquet", "m/", "a.db"])
@pytest.mark.parametrize(
    ("option", "file"),
    [("--coco", "i.json"), ("--geoparquet", "g.pq"), ("--yolo", "y/labels/coffee.txt"), ("--yolo", "y/data.yaml")],
)
def test_a_changed_file_is_not_replaced(into: str, option: str, file: str, command: Command) -> None:
    call = ("run", "photos", *POINT, "--into", into, option, file.split("/")[0])
    assert command(*call).status == 0
    Path(file).write_text("mine")
    os.utime(file, (4e9, 4e9))  # newer or older, that says nothing
    done = command(*call)
    assert (done.status, Path(file).read_text()) == (1, "mine")
    assert f"{file} was changed since it was written: give another place, or --overwrite\n" in done.err
    assert command(*call, "--overwrite").status == 0
    assert Path(file).read_bytes() != b"mine"
    assert command(*call).status == 0


@pytest.mark.parametrize(
    ("option", "file"),
    [
        ("--coco", "i.json"),
        ("--geoparquet", "g.pq"),
        ("--yolo", "y/labels/classes.txt"),
        ("--overlay", "o/a.jpg"),
        ("--cutout", "c/notes.txt"),
    ],
)
def test_a_foreign_file_is_not_replaced(option: str, file: str, command: Command) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text("mine")
    call = ("run", "photos", *POINT, option, file.split("/")[0])
    for _ in range(2):  # before and after there are masks
        done = command(*call)
        assert (done.status, Path(file).read_text()) == (1, "mine")
        assert "is there already: give another place, or --overwrite\n" in done.err
        assert command("run", "photos", *POINT).status == 0
    assert command(*call, "--overwrite").status == 0


def test_pictures_and_labelme_files_that_were_changed(command: Command) -> None:
    options = ("--overlay", "o", "--labelme", "photos")
    assert command("run", "photos", *POINT, *options).status == 0
    for name in ("o/coffee.jpg", "photos/coffee.json"):
        Path(name).write_text("mine")
    shutil.copy(PHOTOS / "rocket.jpg", "photos")
    done = command("run", "photos", *POINT, *options)
    assert done.status == 0
    changed = "changed since it was written; --overwrite replaces what is there"
    assert f"overlay  o (2 pictures); 1 file left, such as o/coffee.jpg: {changed}\n" in done.out
    assert f"labelme  photos; 1 file left, such as photos/coffee.json: {changed}\n" in done.out
    assert Path("o/coffee.jpg").read_text() == Path("photos/coffee.json").read_text() == "mine"
    assert Path("o/rocket.jpg").is_file()
    assert len(json.loads(Path("photos/rocket.json").read_text())["shapes"]) == 1
    # What never was of this job, is missed where its own would be.
    Path("o/astronaut.jpg").write_text("mine")
    shutil.copy(PHOTOS / "astronaut.jpg", "photos")
    done = command("run", "photos", *POINT, "--overlay", "o", "--json")
    assert (done.status, done.json["written"]["overlay"]["left"]) == (3, ["o/coffee.jpg", "o/astronaut.jpg"])
    assert Path("o/astronaut.jpg").read_text() == "mine"
    assert command("run", "photos", *POINT, *options, "--overwrite").status == 0
    assert Path("o/coffee.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_labelme_files_of_others(command: Command) -> None:
    Path("photos/coffee.json").write_text("mine")
    done = command("run", "photos", *POINT, "--labelme", "photos")
    assert (done.status, Path("photos/coffee.json").read_text()) == (1, "mine")
    assert "photos/coffee.json is there already" in done.err
    assert command("run", "photos", *POINT).status == 0
    done = command("run", "photos", *POINT, "--labelme", "photos")
    assert (done.status, Path("photos/coffee.json").read_text()) == (3, "mine")
    assert os.path.exists("photos/coins.json")


def test_copies_of_images_in_a_data_set(command: Command) -> None:
    assert command("run", "photos", *POINT, "--yolo", "y").status == 0
    os.remove("y/images/coffee.jpg")
    Path("y/images/coffee.jpg").write_text("mine")
    Path("y/labels.cache").write_text("of Ultralytics")
    Path("y/labels/a.cache").write_text("of Ultralytics")
    assert command("run", "photos", *POINT, "--yolo", "y").status == 0
    assert Path("y/images/coffee.jpg").read_text() == "mine"
    assert Path("y/images/coins.jpg").is_symlink()


def test_exports_of_another_job(command: Command) -> None:
    assert command("run", "photos", *POINT, "--into", "a.db", "--coco", "i.json").status == 0
    for into in (["--into", "b.db"], ["--into", "a.db", "--table", "other"], ["--into", "m/"]):
        assert command("run", "photos", *POINT, *into, "--coco", "i.json").status == 1
    os.remove("a.db")  # the job is gone, so that what it wrote is nobody's
    assert command("run", "photos", *POINT, "--into", "a.db", "--coco", "i.json").status == 1


def test_moved_with_its_exports(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("run", "photos", *POINT, "--coco", "i.json").status == 0
    os.mkdir("there")
    for name in ("photos", "i.json", "masks.parquet", "masks.parquet.exports"):
        shutil.move(name, "there")
    monkeypatch.chdir("there")
    assert command("run", "photos", *POINT, "--coco", "i.json").status == 0


def test_photos_that_differ_in_their_ending(command: Command) -> None:
    shutil.copy("photos/coffee.jpg", "photos/coffee.JPEG")
    for kind in ("--yolo", "--labelme"):
        done = command("run", "photos", *POINT, kind, "out")
        assert (done.status, os.path.exists("masks.parquet")) == (1, False)
        assert "photos/coffee.JPEG and photos/coffee.jpg would have the same file in it: rename one" in done.err
    assert command("run", "photos", *POINT, "--overlay", "out", "--cutout", "c").status == 0
    assert len(os.listdir("out")) == len(os.listdir("c")) == 3


@pytest.mark.parametrize("place", ["-", "/dev/null", "/dev/stdout", "/dev/fd/1", "pipe"])
@pytest.mark.skipif(os.name == "nt", reason="other devices")
def test_places_that_are_no_files(place: str, command: Command) -> None:
    if place == "pipe":
        os.mkfifo(place)
    for kind in ("--coco", "--geoparquet", "--overlay"):
        done = command("run", "photos", *POINT, kind, place, "--overwrite")
        assert (done.status, os.path.exists("masks.parquet")) == (1, False)
        assert f"{kind} {place} is no place for a " in done.err
    with pytest.raises(ValueError, match="is a device or a pipe"), replaced("/dev/null"):
        pass


def test_killed_while_it_is_written(tmp_path: Path) -> None:
    """Between the note and the file, and in the middle of a note."""
    path, account = tmp_path / "a.txt", tmp_path / "m.exports"
    path.write_text("one")
    (tmp_path / "new").write_text("two")
    assert not Ledger(account).may_replace(path)
    with kept(Ledger(account, overwrite=True)):
        assert take(path, tmp_path / "new")
    path.write_text("two")
    assert Ledger(account).may_replace(path)
    with account.open("a") as file:
        file.write('["", "b.tx')
    (tmp_path / "b.txt").write_text("mine")
    for _ in range(2):
        ledger = Ledger(account)
        assert (ledger.may_replace(path), ledger.may_replace(tmp_path / "b.txt")) == (True, False)
        assert ledger.take(path, tmp_path / "b.txt")
        ledger.forget()
        assert not Ledger(account).may_replace(path)
        assert Ledger(account, overwrite=True).take(path, tmp_path / "new")
