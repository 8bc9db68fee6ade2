"""``duckdb-sam`` where streams are closed or full, where it is interrupted, and what scripts read of errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import Command
from conftest import PHOTOS

POINT = "--point 0.5 0.6"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="of other shells")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def shell(line: str, folder: Path, **environment: str) -> tuple[int, str, str]:
    """Run it in a shell, in which ``SAM`` is the command."""
    line = line.replace("SAM", f"'{sys.executable}' -W error -m duckdb_sam", 1)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, check=False, env={**os.environ, **environment}
    )
    return done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)


def test_closed_streams(tmp_path: Path) -> None:
    assert shell("SAM version >&-", tmp_path) == (0, "", "")
    assert shell(f"SAM run '{PHOTOS}/coffee.jpg' {POINT} --coco i.json >&- 2>&- <&-", tmp_path) == (0, "", "")
    assert json.loads((tmp_path / "i.json").read_text())["images"]  # and nothing that was printed
    status, out, err = shell(f"SAM run - {POINT} --into b.parquet <&-", tmp_path)
    assert (status, out, err) == (1, "", "duckdb-sam: there are no images in the list on stdin\n")
    assert shell("SAM nope 2>&-", tmp_path) == (2, "", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", ["version", "version --json", "models", "--help", "run --help"])
def test_a_full_disk(arguments: str, tmp_path: Path) -> None:
    status, _, err = shell(f"SAM {arguments} >/dev/full", tmp_path)
    assert (status, err) == (1, "duckdb-sam: stdout cannot be written to: No space left on device\n")
    assert shell("SAM nope 2>/dev/full", tmp_path) == (2, "", "")


def test_nothing_is_lost_for_a_summary_that_nobody_gets(tmp_path: Path) -> None:
    status, _, _ = shell(f"SAM run '{PHOTOS}/coffee.jpg' {POINT} >/dev/full 2>/dev/full", tmp_path)
    assert status == 1
    status, out, _ = shell(f"SAM run '{PHOTOS}/coffee.jpg' {POINT}", tmp_path)
    assert (status, out.splitlines()[0]) == (0, "0 images segmented, 1 done before")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ("run nothere.jpg --point 0.5 0.5 --json", 1, "there is no file or folder 'nothere.jpg'"),
        ("run --json --poin 1", 2, "No such option '--poin'"),
        ("rum --json", 2, "did you mean run?"),
        ("pull nope --json", 1, "there is no model 'nope'"),
        ("convert nope.pt --json", 1, "nope.pt"),
        ("demo nope.jpg --json", 1, "nope.jpg"),
    ],
)
def test_errors_for_scripts(arguments: str, status: int, told: str, command: Command) -> None:
    done = command(*arguments.split())
    assert (done.status, done.json["status"]) == (status, status)
    assert told in done.json["error"]
    assert told in done.err


@pytest.mark.parametrize("into", [".", "..", "/", "", "x/.."])
def test_places_without_a_name(into: str, command: Command) -> None:
    done = command("run", PHOTOS / "coffee.jpg", *POINT.split(), "--into", into)
    assert (done.status, done.out) == (1, "")
    assert f"--into {into}: give a Parquet file (masks.parquet), a folder of them (masks/), or a" in done.err
    done = command("run", PHOTOS / "coffee.jpg", *POINT.split(), "--labelme", "/")
    assert "is the root of the file system" in done.err


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are Unicode")
@pytest.mark.parametrize("encoding", [{}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_names_that_are_not_unicode(encoding: dict[str, str], tmp_path: Path) -> None:
    bad = os.path.join(os.fsencode(tmp_path), b"\xc3\xbc\xff.jpg")
    Path(os.fsdecode(bad)).write_bytes((PHOTOS / "coffee.jpg").read_bytes())
    status, out, err = shell("SAM info . --json", tmp_path, LC_ALL="C", **encoding)
    assert (status, err) == (0, "")
    assert os.fsencode(json.loads(out)[0]["path"]) in (bad.rpartition(b"/")[2], b"\xc3\xbc\xff.jpg")
    for arguments in ("info .", f"run . {POINT}", f"run . nothere-ü.jpg {POINT}", f"run . --boxes ü.csv {POINT}"):
        status, out, err = shell(f"SAM {arguments}", tmp_path, LC_ALL="C", **encoding)
        assert status in (0, 1, 2)
        assert "Traceback" not in err


def test_interrupted_while_it_starts(tmp_path: Path) -> None:
    """At any moment after Python itself has started; here it is told by a module that takes long to import."""
    for module in ("click", "duckdb", "pyarrow"):
        folder = tmp_path / module
        folder.mkdir()
        (folder / f"{module}.py").write_text(
            "import pathlib, time\npathlib.Path('begun').touch()\n"
            "try:\n    time.sleep(30)\nexcept BaseException as error:\n    raise ImportError('not now') from error\n"
        )
        path = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
        child = subprocess.Popen(
            [sys.executable, "-m", "duckdb_sam", "run", PHOTOS / "coffee.jpg", *POINT.split()],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
        )
        while not (folder / "begun").exists():
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert (child.returncode, out) == (130, ""), module
        assert err.strip() in ("", "duckdb-sam: interrupted"), module
