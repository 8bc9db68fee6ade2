"""``duckdb-sam run``: places that are one another's, or the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands import Command, two_photos


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a folder that has two photos, one of them below another folder."""
    two_photos(tmp_path, "coins")
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def files() -> list[str]:
    return sorted(str(path) for path in Path(".").rglob("*") if not path.is_dir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--into e.parquet --coco e.parquet", "--coco and --into have the same place, e.parquet: give each its own"),
        ("--into g.db --coco g.db --overwrite", "--coco and --into have the same place, g.db: give each its own"),
        ("--into g.db --geoparquet ./x/../g.db", "--geoparquet and --into have the same place"),
        ("--coco ex --geoparquet ex", "--geoparquet and --coco have the same place, ex: give each its own"),
        ("--coco masks_errors.parquet", "--coco and the errors of --into have the same place, masks_errors.parquet"),
        ("--errors e.parquet --geoparquet e.parquet", "--geoparquet and --errors have the same place"),
        ("--errors masks.parquet", "--errors and --into have the same place"),
        ("--overlay out --cutout out/", "--cutout and --overlay have the same place"),
        ("--overlay out --labelme link", "--labelme and --overlay have the same place"),
        ("--into m/ --geoparquet m/g.parquet", "--geoparquet m/g.parquet lies in what --into writes, m/"),
        ("--into m/ --errors m/e/", "--errors m/e lies in what --into writes, m/"),
        ("--into m/ --overlay m_errors/o", "--overlay m_errors/o lies in what the errors of --into writes"),
        ("--coco masks.parquet.lock", "--coco masks.parquet.lock lies in what --into writes"),
        ("--cutout masks.parquet.parts/c", "--cutout masks.parquet.parts/c lies in what --into writes"),
        ("--yolo y --coco y/labels/c.json", "--coco y/labels/c.json lies in what --yolo writes, y/labels/"),
        ("--overlay out --cutout out/coins", "where photos have a folder of that name"),
        ("--coco photos/coffee.jpg --overwrite", "--coco photos/coffee.jpg is one of the photos"),
        ("--boxes b.json --coco ./b.json --overwrite", "--coco and --boxes have the same place, b.json"),
    ],
)
def test_outputs_that_would_overwrite_each_other(arguments: str, told: str, command: Command) -> None:
    os.symlink("out", "link")
    Path("b.json").write_text("{}")
    before = files()
    prompt = () if "--boxes" in arguments else ("--point", 0.5, 0.6)
    done = command("run", "photos", *prompt, *arguments.split())
    assert (done.status, done.out) == (2, ""), done.err
    assert told in done.err
    assert files() == before


def test_outputs_beside_each_other(command: Command) -> None:
    options = ["--overlay", "out", "--coco", "out/masks.json", "--cutout", "out/cut", "--yolo", "y"]
    options += ["--geoparquet", "y/outlines.parquet", "--labelme", "photos"]
    for _ in range(2):
        done = command("run", "photos", "--point", 0.5, 0.6, "--into", "out/masks.parquet", *options, "--overwrite")
        assert done.status == 0, done.err
    assert {"out/masks.json", "out/cut/coffee.png", "out/coffee.jpg", "out/masks.parquet"} <= set(files())


def test_letters_of_another_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from duckdb_sam.cli import places

    one, other = str(tmp_path / "A.json"), str(tmp_path / "a.json")
    assert places.same(one, one)
    assert places.same(one, other) == (tmp_path.with_name(tmp_path.name.swapcase())).exists()
    monkeypatch.setattr(places, "_ignores_case", lambda _path: True)
    assert places.same(one, other)
