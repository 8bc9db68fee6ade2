"""``duckdb-sam gallery``."""

from __future__ import annotations

import os
import shutil
import sys
import webbrowser
from pathlib import Path

import pytest

import duckdb_sam
from commands import Command, process
from conftest import PHOTOS


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("coffee.jpg", "coins.jpg"):
        shutil.copy(PHOTOS / name, tmp_path / "photos" / name)
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no image")
    return Command(capsys)


def test_results_of_a_run(command: Command, tmp_path: Path) -> None:
    assert command("run", "photos", "--point", "0.5", "0.6", "--quiet").status == 3
    done = command("gallery", "masks.parquet")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("gallery.html (3 rows, ")
    page = (tmp_path / "gallery.html").read_text(encoding="utf-8")
    assert page.count("<img ") == page.count("<path data-mask") == 2
    assert page.count('class="fault"') == 1
    assert "1 image failed, the last row" in page
    command("run", "photos", "--point", "0.5", "0.6", "--quiet", "--into", "photos.db")
    again = command("gallery", "photos.db", "--out", "out/other.html", "--limit", "2", "--title", "Mine", "--json")
    assert again.json.keys() == {"path", "rows", "columns", "bytes"}
    assert again.json["rows"] == 2
    assert "<h1>Mine</h1>" in (tmp_path / "out" / "other.html").read_text(encoding="utf-8")
    assert command("gallery", "FROM masks WHERE path LIKE '%coins%'", "--db", "photos.db").out.startswith(
        "gallery.html (1 row, "
    )
    assert command("gallery", "masks", "--db", "photos.db").status == 0
    assert command("gallery", "photos.db", "--table", "masks_errors").out.startswith("gallery.html (1 row, ")


def test_photos_and_queries(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("gallery", "photos", "--size", "100").out.startswith("gallery.html (3 rows, ")
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    query = "SELECT content, sam_annotate('nano', content, [0.5, 0.6]) FROM read_blob('photos/c*.jpg')"
    assert command("gallery", query, "--limit", "1", "--open").out.startswith("gallery.html (1 row, ")
    assert opened == [Path("gallery.html").absolute().as_uri()]


def test_odd_names(command: Command, tmp_path: Path) -> None:
    odd = b"photos/bad\xff.jpg" if sys.platform == "linux" else b"photos/other.jpg"
    for name in (odd, b"photos/two\nlines.jpg"):
        shutil.copy(PHOTOS / "coffee.jpg", os.fsdecode(name))
    assert command("gallery", "photos").out.startswith("gallery.html (5 rows, ")
    assert (tmp_path / "gallery.html").read_text(encoding="utf-8").count("<img ") == 4


def test_mistakes(command: Command, tmp_path: Path) -> None:
    Path("mine.html").write_text("mine")
    Path("photos.db").unlink(missing_ok=True)
    with duckdb_sam.connect(tmp_path / "photos.db") as con:
        con.execute("CREATE TABLE a AS SELECT 1 AS x; CREATE TABLE b AS SELECT 1 AS x")
    for arguments, reason in (
        (["nowhere"], "'nowhere' is no file, folder or pattern of files here, no query, and no table of a connection"),
        (["photos", "--out", "mine.html"], "mine.html is there already and is no gallery"),
        (["photos", "--out", "photos.db"], "give it a name that ends in .html"),
        (["photos.db"], "say which one is meant with --table, of a, b"),
        (["SELECT 1", "--db", "nix.db"], "there is no database nix.db"),
        (["SELECT nix"], "nix"),
        (["DROP TABLE a", "--db", "photos.db"], "not the statement DROP"),
        (["photos/*.nix"], "no file matches"),
    ):
        done = command("gallery", *arguments)
        assert (done.status, done.out) == (1, ""), arguments
        assert reason in done.err
        assert "Traceback" not in done.err
    assert command("gallery", "a", "--db", "photos.db", "--table", "b").status == 2
    assert Path("mine.html").read_text() == "mine"


def test_as_users_call_it(tmp_path: Path) -> None:
    done = process("gallery", "SELECT 1 AS a", folder=tmp_path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("gallery.html (1 row, ")
