"""The command ``duckdb-sam``: how it starts and ends, and its small commands."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import duckdb_sam
from commands import Command, process
from conftest import PHOTOS
from duckdb_sam.cli.app import COMMANDS
from duckdb_sam.cli.errors import spoken


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def test_help_is_instant_and_imports_nothing_slow(tmp_path: Path) -> None:
    script = (
        "import sys; sys.argv = ['duckdb-sam', 'run', '--help']\n"
        "from duckdb_sam.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "slow = {'duckdb', 'pyarrow', 'numpy', 'rich', 'PIL', 'urllib.request'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--generate" in done.stdout


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_command_has_help(name: str, command: Command) -> None:
    done = command(*name.split(), "--help")
    assert done.status == 0
    assert done.out.startswith(f"Usage: duckdb-sam {name}".rstrip())


def test_without_a_command_there_is_help(command: Command) -> None:
    assert command() == command("--help")


def test_versions(command: Command) -> None:
    assert command("--version").out == f"duckdb-sam {duckdb_sam.__version__}\n"
    found = command("version", "--json").json
    assert found["extension"] == found["duckdb-sam"] == duckdb_sam.__version__
    assert command("version").out.count("\n") == len(found)


def test_duckdb_shows_no_progress_on_stdout(tmp_path: Path) -> None:
    from duckdb_sam.cli.results import opened, where
    from duckdb_sam.engine import shared

    setting = "current_setting('enable_progress_bar')"
    assert shared.value(setting) is False
    duckdb_sam.run([PHOTOS / "coffee.jpg"], tmp_path / "a.db", point=[0.5, 0.5], progress=False)
    with opened(where(str(tmp_path / "a.db"), None, None)) as results:
        assert results.con.execute(f"SELECT {setting}").fetchall() == [(False,)]


def test_path(command: Command) -> None:
    assert command("path").out == f"{duckdb_sam.extension_path()}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("rum", "did you mean run?"),
        ("frobnicate", "the commands are run, "),
        ("run --unit px x", "'px' is not one of"),
        ("run --foo", "--foo"),
        ("run photos --overlay", "Try 'duckdb-sam run --help'."),
        ("models --folder", "Try 'duckdb-sam models --help'."),
        (
            "convert nano",
            "nano is the name of a model: say which file to write as well, such as duckdb-sam convert "
            "nano nano.safetensors",
        ),
        ("path x", "unexpected extra argument"),
    ],
)
def test_usage(arguments: str, told: str, command: Command) -> None:
    done = command(*arguments.split())
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert "--help'." in done.err


def test_without_click_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ImportError('no click')")
    done = process("models", folder=tmp_path, PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    assert (done.status, done.out) == (1, "")
    assert done.err == "duckdb-sam: the command line needs click: pip install 'duckdb-sam[cli]'\n"


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError('no pyarrow')")
    environment = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = process("run", PHOTOS, "--generate", folder=tmp_path, **environment)
    assert (done.status, done.out) == (1, "")
    assert "pip install 'duckdb-sam[" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE")
def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    pipe = f"'{sys.executable}' -m duckdb_sam models | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode in (0, 141)
    assert done.stdout.startswith("NAME")


def test_a_fault_of_ours_has_a_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise KeyError("ours")

    monkeypatch.setattr(duckdb_sam, "extension_path", broken)
    with pytest.raises(KeyError, match="ours"):
        command("path")


def test_models(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM_MODEL_DIR", str(tmp_path / "models"))
    listed = {model["name"]: model for model in command("models", "--json").json}
    assert listed.keys() == {"nano", *(each.name for each in duckdb_sam.models())}
    assert [name for name, model in listed.items() if model["built_in"]] == ["nano"]
    assert not (tmp_path / "models").exists()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "parcels.safetensors").write_bytes(b"x")
    lines = command("models").out.splitlines()
    assert lines[1].startswith("nano ")
    assert any(line.startswith("parcels ") and "here" in line for line in lines)
    assert str(tmp_path / "models") in lines[-1]


def test_pull(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM_MODEL_DIR", str(tmp_path))
    monkeypatch.setenv("SAM_OFFLINE", "1")
    done = command("pull", "mobile_sam")
    assert done.status == 1
    assert "SAM_OFFLINE=1 allows no download" in done.err
    done = command("pull", "mobil_sam")
    assert done.status == 1
    assert "did you mean 'mobile_sam'? The names" in done.err
    assert "to pull; the names are" in command("pull", "nosuch").err


def test_convert(command: Command, tmp_path: Path) -> None:
    assert command("convert", "nano", "a b.safetensors", "--dtype", "f16").out == f"{tmp_path / 'a b.safetensors'}\n"
    done = command("convert", "nano", "a b.safetensors")
    assert done.status == 1
    assert "it exists; give another name, or --replace it" in done.err
    small = command("convert", "nano", "a b.safetensors", "--replace", "--json").json
    assert small == {"path": str(tmp_path / "a b.safetensors"), "bytes": (tmp_path / "a b.safetensors").stat().st_size}


def test_info(command: Command, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20)).save("ä b.png")
    done = command("info", "ä b.png", PHOTOS / "coffee.jpg")
    assert (done.status, done.err) == (0, "")
    assert ["ä", "b.png", "30", "x", "20", "png", "3", "uint8", "1", "1"] in map(str.split, done.out.splitlines())
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    done = command("info", ".", "--json")
    assert done.status == 3
    found = {row["path"]: row for row in done.json}
    assert found["ä b.png"] == {
        **{"path": "ä b.png", "bytes": os.stat("ä b.png").st_size, "width": 30, "height": 20, "format": "png"},
        **{"channels": 3, "sample": "uint8", "orientation": 1, "pages": 1, "error": None},
    }
    assert "HEIC" in found["a.heic"]["error"]
    assert command("info", "bad.jpg").status == 1
    done = command("info", "nothere.jpg", "ä b.png", "*.tiff")
    assert (done.status, "30 x 20" in done.out) == (1, True)
    assert done.err == "there is no file or folder 'nothere.jpg'\nno file matches '*.tiff'\n"
    done = command("info", "nothere.jpg", "ä b.png", "--json")
    assert [(row["path"], row["width"], row["error"]) for row in done.json] == [
        ("ä b.png", 30, None),
        ("nothere.jpg", None, "there is no file or folder 'nothere.jpg'"),
    ]
    assert done.status == 1


def test_names_with_signs_that_break_lines(command: Command) -> None:
    for name in ("a\nb.png", "\x1b[31mc.png"):
        Image.new("RGB", (30, 20)).save(name)
    Path("d\r\ne.jpg").write_bytes(b"no image")
    done = command("info", ".")
    assert [line.split("  ")[0] for line in done.out.splitlines()[1:]] == [r"\x1b[31mc.png", r"a\nb.png"]
    assert done.err.startswith(r"d\r\ne.jpg: ")
    assert {row["path"] for row in command("info", ".", "--json").json} == {"a\nb.png", "\x1b[31mc.png", "d\r\ne.jpg"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(command: Command) -> None:
    os.mkfifo("pipe.png")
    for arguments in (["info"], ["run", "--point", "0.5", "0.5"], ["label", "--no-browser"], ["gallery"]):
        done = command(arguments[0], "pipe.png", *arguments[1:])
        assert done.status == 1
        assert "pipe.png" in done.err
        assert "a pipe or socket, and no file" in done.err


def test_demo(command: Command, tmp_path: Path) -> None:
    done = command("demo")
    assert done.status == 0
    assert sorted(path.name for path in (tmp_path / "duckdb-sam-demo").iterdir()) == [
        *("picture.png", "picture_objects.png", "picture_point.png"),
    ]
    assert "duckdb-sam run PHOTOS" in done.out
    [found] = command("demo", PHOTOS / "coffee.jpg", "--folder", "own", "--json").json
    assert found["objects"] > 0
    for file in found["files"]:
        with Image.open(file) as overlay:
            assert overlay.size == (600, 400)


def test_demo_replaces_nothing(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "duckdb-sam-demo"
    folder.mkdir()
    for name in ("picture.png", "picture_point.png"):
        (folder / name).write_text("mine")
    for _ in range(2):
        assert command("demo").status == 0
        assert sorted(path.name for path in folder.iterdir()) == [
            *("picture-2.png", "picture-2_objects.png", "picture-2_point.png", "picture.png", "picture_point.png"),
        ]
    assert (folder / "picture.png").read_text() == (folder / "picture_point.png").read_text() == "mine"
    (tmp_path / "bad.jpg").write_bytes(b"")
    assert command("demo", "bad.jpg").err == "duckdb-sam: bad.jpg: the image is empty (0 bytes)\n"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("run", "x", "--generate", "--coco", ""), "--coco"),
        (("run", "x", "--generate", "--table", ""), "--table"),
        (("run", "x", "--generate", "--boxes", ""), "--boxes"),
        (("run", "x", "--generate", "--model", ""), "--model"),
        (("models", "--folder", ""), "--folder"),
        (("convert", ""), "MODEL"),
    ],
)
def test_values_of_variables_that_are_not_set(arguments: tuple[str, ...], name: str, command: Command) -> None:
    done = command(*arguments)
    assert (done.status, done.out) == (2, "")
    assert f"{name} is empty: give it a value, or leave it away" in done.err


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    call = f"mkdir gone; cd gone; rmdir ../gone; '{sys.executable}' -m duckdb_sam run x.jpg --point 0.5 0.5"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("duckdb-sam: ")
    assert "Traceback" not in done.stderr


def test_shell(tmp_path: Path) -> None:
    (tmp_path / ".duckdbrc").write_text(".mode csv\n")
    done = process("shell", "a b.db", "-c", "SELECT sam_version() AS v", folder=tmp_path, HOME=str(tmp_path))
    assert (done.status, done.out.split()) == (0, ["v", duckdb_sam.__version__])
    assert (tmp_path / "a b.db").is_file()
    done = process("shell", "--", "-json", folder=tmp_path, given="SELECT sam_version() AS v;")
    assert json.loads(done.out) == [{"v": duckdb_sam.__version__}]


def test_shell_of_a_database_that_is_too_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from duckdb_sam.cli import shell

    old = tmp_path / "duckdb"
    old.write_text(
        """#!/bin/sh
case "$*" in
--version) echo "v1.1.3 19864453f7" ;;
*" -readonly "*a.db*) echo "Error: Trying to read a database file with version number 69, but we can only read" >&2 ;;
*) echo "started $*" ;;
esac
"""
    )
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    for name in ("a.db", "b.db"):
        with duckdb_sam.connect(tmp_path / name) as con:
            con.execute("CREATE TABLE t AS SELECT 1 AS i")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shell, "executable", lambda: str(old))
    with pytest.raises(shell.Mistake) as mistake:
        shell.command.main(["a.db", "-c", "FROM t"], standalone_mode=False)
    assert mistake.value.message == (
        f"a.db was written by a newer DuckDB than the command line {old} (v1.1.3): pip install --upgrade duckdb-cli"
    )
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _path, called: started.append(called))
    shell.command.main(["b.db", "-c", "FROM t"], standalone_mode=False)
    assert started[0][-3:] == ["b.db", "-c", "FROM t"]


def test_shell_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from duckdb_sam.cli import shell

    monkeypatch.setattr(shell, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(shell.Mistake, match="pip install duckdb-cli"):
        shell.executable()
    own = tmp_path / "duckdb"
    own.write_text("#!/bin/sh\n")
    own.chmod(own.stat().st_mode | stat.S_IXUSR)
    assert shell.executable() == str(own)


def test_completion(tmp_path: Path) -> None:
    assert "_DUCKDB_SAM_COMPLETE=bash_complete" in process("completion", "bash", folder=tmp_path).out
    asked = {"_DUCKDB_SAM_COMPLETE": "bash_complete", "COMP_WORDS": "duckdb-sam pull mo", "COMP_CWORD": "2"}
    assert process(folder=tmp_path, **asked).out == "plain,mobile_sam\n"
    asked |= {"SAM_MODEL_DIR": str(tmp_path)}
    (tmp_path / "nails.pt").write_bytes(b"x")
    for words, number, told in (
        ("run --model na", 3, "plain,nano\nplain,nails\n"),
        ("convert na", 2, "plain,nano\nplain,nails\n"),
        ("run --model ./na", 3, "file,./na\n"),
        ("pull na", 2, "\n"),
    ):
        asked |= {"COMP_WORDS": f"duckdb-sam {words}", "COMP_CWORD": str(number)}
        assert process(folder=tmp_path, **asked).out == told, words


@pytest.mark.parametrize(
    ("said", "here"),
    [
        ("give unit='pixel'", "give --unit pixel"),
        ("another into= to keep both, or restart=True to", "another --into to keep both, or --restart to"),
        ("replace it with pull('sam_vit_b', force=True)", "replace it with duckdb-sam pull --force sam_vit_b"),
        ("pull('mobile_sam') goes on from there", "duckdb-sam pull mobile_sam goes on from there"),
        ("the same call goes on", "the same command goes on"),
        ("a .safetensors, .pt or .bin file (CALL sam_configure(model_dir := ...))", None),
    ],
)
def test_messages_are_in_the_words_of_the_command_line(said: str, here: str | None) -> None:
    assert spoken(said) == (here or said)
