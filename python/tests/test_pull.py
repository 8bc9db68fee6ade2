"""Downloads of models, from a server on localhost."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import duckdb_sam
from conftest import ROOT
from duckdb_sam.weights import download, progress, registry
from model_server import Server, serving

WEIGHTS = ROOT / "test" / "reference" / "vit_tiny" / "plain.pt"
CONTENT = WEIGHTS.read_bytes()
SIZE = len(CONTENT)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
DISC = ROOT / "test" / "data" / "disc.png"


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(CONTENT) as server:
        yield server


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder; there is no mirror and no offline mode, and nobody waits."""
    path = tmp_path / "models"
    monkeypatch.setenv("SAM_MODEL_DIR", str(path))
    for name in ("SAM_MODEL_MIRROR", "SAM_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "WAIT", 0.001)
    return path


class Registered:
    """A table of one model, ``little``, in a file of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *urls: str, **changes: object) -> None:
        row = {
            "name": "little",
            "family": "SAM",
            "description": "",
            "architecture": "vit",
            "file": "little_v1.pt",
            "bytes": SIZE,
            "sha256": DIGEST,
            "license": "Apache-2.0",
            "home": "https://example.org/little",
            "urls": urls,
        }
        self.path.write_text(json.dumps([row | changes]))


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server) -> Registered:
    registered = Registered(tmp_path / "registry.json")
    monkeypatch.setattr(registry, "REGISTRY", registered.path)
    registered(f"{server.url}/little_v1.pt")
    return registered


def offsets(server: Server) -> list[str | None]:
    return [asked for _, asked in server.requests]


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_pulled_model_is_used_by_its_name(register, server, folder):
    path = duckdb_sam.pull("little")
    assert path == folder / "little.pt"
    assert path.read_bytes() == CONTENT
    assert only(folder) == ["little.pt"]
    assert server.agents == [f"duckdb-sam/{duckdb_sam.__version__}"]
    with duckdb_sam.connect() as con:
        con.execute("CALL sam_configure(model_dir := ?)", [str(folder)])
        query = "SELECT sam_annotate(?, content, [0.333, 0.4375]) FROM read_blob(?)"
        mask = con.execute(query, ["little", str(DISC)]).fetchone()
        assert mask == con.execute(query, [str(WEIGHTS), str(DISC)]).fetchone()
        assert con.execute("SELECT path FROM sam_models() WHERE name = 'little' AND loaded").fetchone() == (str(path),)
    assert duckdb_sam.pull("little") == path
    assert len(server.requests) == 1
    duckdb_sam.pull("little", force=True)
    assert len(server.requests) == 2


def test_models_says_what_is_here(register, server, folder):
    [model] = duckdb_sam.models()
    assert (model.name, model.path, model.partial, model.check) == ("little", None, 0, "sha256")
    server.cut = [1000, 0, 0, 0, 0, 0]
    with pytest.raises(duckdb_sam.PullError):
        duckdb_sam.pull("little")
    assert duckdb_sam.models()[0].partial == 1000
    path = duckdb_sam.pull("little")
    assert duckdb_sam.models()[0].path == path
    assert duckdb_sam.models(folder / "other")[0].path is None


def test_the_table_of_models():
    models = duckdb_sam.models()
    assert [model.name for model in models] == ["mobile_sam", "tinysam", "sam_vit_b", "sam_vit_l", "sam_vit_h"]
    for model in models:
        assert model.urls and all(url.startswith("https://") for url in model.urls)
        assert all(url.rpartition("/")[2] == model.file for url in model.urls)
        assert model.architecture in ("vit", "tiny_vit")
        assert model.sha256 is None or (len(model.sha256) == 64 and set(model.sha256) <= set("0123456789abcdef"))
        assert (model.bytes is None) == (model.sha256 is None)


def test_another_folder(register, tmp_path):
    assert duckdb_sam.pull("little", folder=tmp_path / "x" / "y") == tmp_path / "x" / "y" / "little.pt"
    assert duckdb_sam.pull("little", folder=str(tmp_path / "z")).read_bytes() == CONTENT


def test_names_that_are_not_known():
    with pytest.raises(
        ValueError, match=r"no model 'mobilesam' to pull; did you mean 'mobile_sam'\? The names are mob"
    ):
        duckdb_sam.pull("mobilesam")
    with pytest.raises(ValueError, match="no model 'zzz' to pull; the names are"):
        duckdb_sam.pull("zzz")
    with pytest.raises(ValueError, match="nano is built into the extension"):
        duckdb_sam.pull("nano")


# Interruptions


def test_a_connection_that_breaks_is_taken_up_again(register, server, folder):
    server.cut = [100_000, 0, 50_000]
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [None, "bytes=100000-", "bytes=100000-", "bytes=150000-"]
    assert only(folder) == ["little.pt"]


def test_another_call_goes_on(register, server, folder):
    server.cut = [100_000, 0, 0, 0, 0, 0]
    with pytest.raises(
        duckdb_sam.PullError, match=r"100,000 bytes are in .*little\.pt\.part: pull\('little'\) goes on"
    ):
        duckdb_sam.pull("little")
    assert only(folder) == ["little.pt.part", "little.pt.part.json"]
    server.requests.clear()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == ["bytes=100000-"]


def test_a_partial_file_is_no_model_that_can_be_named(register, server, folder):
    server.cut = [100_000, 0, 0, 0, 0, 0]
    with pytest.raises(duckdb_sam.PullError):
        duckdb_sam.pull("little")
    with duckdb_sam.connect() as con:
        con.execute("CALL sam_configure(model_dir := ?)", [str(folder)])
        assert con.execute("SELECT name FROM sam_models() WHERE starts_with(path, ?)", [str(folder)]).fetchall() == []
        with pytest.raises(duckdb.Error, match="unknown model 'little'"):
            con.execute("CALL sam_load('little')")


def test_a_part_that_is_whole(register, server, folder):
    folder.mkdir()
    (folder / "little.pt.part").write_bytes(CONTENT)
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert server.requests == []
    register(f"{server.url}/little_v1.pt", bytes=None, sha256=None)
    (folder / "little.pt").rename(folder / "little.pt.part")
    state = {"url": f"{server.url}/little_v1.pt", "validator": server.etag}
    (folder / "little.pt.part.json").write_text(json.dumps(state))
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [f"bytes={SIZE}-"]


def test_a_server_without_parts(register, server):
    server.ranges = False
    server.cut = [100_000]
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [None, "bytes=100000-"]


def test_a_server_without_parts_that_always_breaks_off(register, server):
    server.ranges = False
    server.cut = [100_000, 90_000] * 10
    with pytest.raises(duckdb_sam.PullError, match="the connection ended after"):
        duckdb_sam.pull("little")
    assert len(server.requests) == 1 + download.TRIES


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_has_changed_begins_anew(register, server, known):
    old = bytes(SIZE)
    register(f"{server.url}/little_v1.pt", **({} if known else {"bytes": None, "sha256": None}))
    server.content, server.etag, server.cut = old, '"zero"', [100_000, 0, 0, 0, 0, 0]
    with pytest.raises(duckdb_sam.PullError):
        duckdb_sam.pull("little")
    server.content, server.etag = CONTENT, '"one"'
    server.requests.clear()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == ["bytes=100000-"]  # which the server answers with the whole


def test_a_server_that_does_not_look_for_changes(register, server):
    register(f"{server.url}/little_v1.pt", bytes=None, sha256=None)
    server.content, server.etag, server.cut, server.checks = bytes(SIZE), '"zero"', [100_000, 0, 0, 0, 0, 0], False
    with pytest.raises(duckdb_sam.PullError):
        duckdb_sam.pull("little")
    server.content, server.etag = CONTENT, '"one"'
    server.requests.clear()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == ["bytes=100000-", None]


def test_the_date_where_there_is_no_strong_etag(register, server):
    register(f"{server.url}/little_v1.pt", bytes=None, sha256=None)
    server.etag, server.date, server.cut = 'W/"one"', "Wed, 01 Jan 2025 00:00:00 GMT", [100_000]
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [None, "bytes=100000-"]


def test_a_version_that_cannot_be_told(register, server):
    server.etag, server.cut = None, [100_000]
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [None, "bytes=100000-"]  # the digest will tell
    register(f"{server.url}/little_v1.pt", sha256=None, bytes=None)
    server.requests.clear()
    server.cut = [100_000]
    duckdb_sam.pull("little", force=True)
    assert offsets(server) == [None, None]


def test_a_damaged_part_is_given_up(register, server, folder):
    folder.mkdir()
    (folder / "little.pt.part").write_bytes(bytes(1000))
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == ["bytes=1000-", None]
    (folder / "little.pt").unlink()
    (folder / "little.pt.part").write_bytes(bytes(SIZE + 1))
    assert duckdb_sam.pull("little").read_bytes() == CONTENT


def test_a_state_that_cannot_be_read(register, server, folder):
    folder.mkdir()
    (folder / "little.pt.part").write_bytes(CONTENT[:1000])
    (folder / "little.pt.part.json").write_text("[")
    assert duckdb_sam.pull("little").read_bytes() == CONTENT


CHILD = """
import sys
from pathlib import Path
import duckdb_sam
from duckdb_sam.weights import registry
registry.REGISTRY = Path(sys.argv[1])
print(duckdb_sam.pull("little"), flush=True)
"""


def child(register: Registered, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", CHILD, str(register.path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for(path: Path) -> None:
    """Wait until the half that a pausing server sends is here."""
    end = time.monotonic() + 20
    while not (path.is_file() and path.stat().st_size == SIZE // 2) and time.monotonic() < end:
        time.sleep(0.01)
    assert path.stat().st_size == SIZE // 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_kill_leave_the_part(register, server, folder, number):
    server.pause = threading.Event()
    process = child(register)
    wait_for(folder / "little.pt.part")
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    have = (folder / "little.pt.part").stat().st_size
    assert have == SIZE // 2
    if number == signal.SIGINT:
        assert f"KeyboardInterrupt: interrupted: {have:,} bytes are in {folder}" in errors
        assert "pull('little') goes on from there" in errors
    server.pause.set()
    server.requests.clear()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [f"bytes={have}-"]
    assert only(folder) == ["little.pt"]


def test_two_processes_download_it_once(register, server, folder):
    server.pause = threading.Event()
    processes = [child(register), child(register)]
    wait_for(folder / "little.pt.part")
    time.sleep(0.5)
    server.pause.set()
    for process in processes:
        output, errors = process.communicate(timeout=20)
        assert (output, errors) == (f"{folder / 'little.pt'}\n", "")
    assert len(server.requests) == 1
    assert only(folder) == ["little.pt"]


def test_many_threads_download_it_once(register, server, folder):
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(duckdb_sam.pull("little"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [folder / "little.pt"] * 8
    assert len(server.requests) == 1
    assert only(folder) == ["little.pt"]


# What comes is not the file


def test_another_content(register, server, folder):
    server.content = bytes(SIZE)
    wrong = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(duckdb_sam.PullError, match=rf"little_v1\.pt: what came has the SHA-256 {wrong}, .*{DIGEST}"):
        duckdb_sam.pull("little")
    assert not folder.exists()  # as before


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("more", [-1, 1])
def test_another_size(register, server, folder, length, more):
    server.content, server.length = (CONTENT + b"x")[: SIZE + more], length
    with pytest.raises(duckdb_sam.PullError, match=f"{SIZE:,}" if more > 0 or length else "it ends early"):
        duckdb_sam.pull("little")
    assert not (folder / "little.pt").exists()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("digits", [16, 30, 5000])
def test_a_size_that_no_disk_has(register, server, folder, digits, known):
    if not known:
        register(f"{server.url}/little_v1.pt", bytes=None, sha256=None)
    server.announced = "9" * digits
    with pytest.raises(duckdb_sam.PullError, match=r"it announces 9+ bytes|it is another file") as failure:
        duckdb_sam.pull("little")
    assert "disk is full" not in str(failure.value)
    assert not folder.exists()


def test_a_web_page_does_not_cost_what_has_come(register, server, folder):
    server.cut = [100_000, 0, 0, 0, 0, 0]
    with pytest.raises(duckdb_sam.PullError):
        duckdb_sam.pull("little")
    server.etag, server.kind = '"page"', "text/html; charset=utf-8"
    with pytest.raises(duckdb_sam.PullError, match="answers with a web page, perhaps of a login or a proxy"):
        duckdb_sam.pull("little")
    assert (folder / "little.pt.part").stat().st_size == 100_000


def test_without_a_digest_the_extension_decides(register, server, folder):
    register(f"{server.url}/little_v1.pt", bytes=None, sha256=None)
    assert duckdb_sam.models()[0].check == "architecture"
    server.length = False
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    server.content = b"\x80" * 1000
    with pytest.raises(duckdb_sam.PullError, match=r"what came is no model: .*thrown away"):
        duckdb_sam.pull("little", force=True)
    assert (folder / "little.pt").read_bytes() == CONTENT  # as it was
    server.content = CONTENT
    register(f"{server.url}/little_v1.pt", bytes=None, sha256=None, architecture="tiny_vit")
    with pytest.raises(duckdb_sam.PullError, match="what came is a model of the kind vit, not tiny_vit"):
        duckdb_sam.pull("little", force=True)


def test_somebodys_own_file_is_not_replaced(register, server, folder):
    folder.mkdir()
    path = folder / "little.pt"
    path.write_bytes(b"mine")
    with pytest.raises(duckdb_sam.PullError, match=r"another file than .*it has 4 bytes, .*force=True"):
        duckdb_sam.pull("little")
    path.write_bytes(bytes(SIZE))
    with pytest.raises(duckdb_sam.PullError, match="its SHA-256 is"):
        duckdb_sam.pull("little")
    assert server.requests == []
    duckdb_sam.pull("little", force=True)
    assert path.read_bytes() == CONTENT


# Ways


def test_redirects_keep_the_part_that_is_asked_for(register, server):
    server.location = f"{server.url}/moved"
    server.cut = [100_000]
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert server.requests == [
        ("/little_v1.pt", None),
        ("/moved", None),
        ("/little_v1.pt", "bytes=100000-"),
        ("/moved", "bytes=100000-"),
    ]


def test_no_redirect_to_what_is_not_encrypted():
    import urllib.request

    redirects = download._Redirects()
    request = urllib.request.Request("https://example.org/a")
    with pytest.raises(duckdb_sam.PullError, match=r"redirects to http://example\.org/b, which is not encrypted"):
        redirects.redirect_request(request, io.BytesIO(), 302, "", {}, "http://example.org/b")


def test_not_found(register, server):
    server.status = 404
    with pytest.raises(duckdb_sam.PullError) as failure:
        duckdb_sam.pull("little")
    assert f"{server.url}/little_v1.pt: 404 Not Found" in str(failure.value)
    assert "SAM_MODEL_MIRROR" in str(failure.value) and "https://example.org/little" in str(failure.value)
    assert len(server.requests) == 1


def test_the_next_address(register, server):
    with serving(b"") as broken:
        broken.status = 503
        register(f"{broken.url}/little_v1.pt", "http://127.0.0.1:9/little_v1.pt", f"{server.url}/little_v1.pt")
        assert duckdb_sam.pull("little").read_bytes() == CONTENT
        assert len(broken.requests) == 1


def test_an_outage_in_the_middle(register, server):
    server.cut = [100_000]
    server.pause = threading.Event()
    server.pause.set()

    class Outage(list):
        def append(self, request):
            super().append(request)
            server.status = 503 if len(self) in (2, 3) else 200

    server.requests = Outage()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert len(server.requests) == 4


def test_nobody_answers(register):
    register("http://127.0.0.1:9/little_v1.pt")
    with pytest.raises(duckdb_sam.PullError, match=r"http://127\.0\.0\.1:9/little_v1\.pt: .*refused"):
        duckdb_sam.pull("little")


def test_a_server_that_falls_silent(register, server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.pause = threading.Event()
    threading.Timer(0.3, server.pause.set).start()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == [None, f"bytes={SIZE // 2}-"]


def test_a_mirror(register, server, monkeypatch):
    register("http://127.0.0.1:9/nowhere/little_v1.pt")
    monkeypatch.setenv("SAM_MODEL_MIRROR", f"{server.url}/mirrored/models/")
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert server.requests == [("/mirrored/models/little_v1.pt", None)]
    server.status = 404
    with pytest.raises(
        duckdb_sam.PullError, match=r"404 Not Found\nSAM_MODEL_MIRROR is set: put the file little_v1\.pt"
    ):
        duckdb_sam.pull("little", force=True)
    for mirror in ("/mnt/models", "http://[::1", "http://", "https://host:port/models", "host.org/models"):
        monkeypatch.setenv("SAM_MODEL_MIRROR", mirror)
        with pytest.raises(duckdb_sam.PullError) as failure:
            duckdb_sam.pull("little", force=True)
        assert f"SAM_MODEL_MIRROR={mirror} is no address" in str(failure.value)
        assert "SAM_MODEL_DIR" in str(failure.value)


def test_a_proxy(register, server, monkeypatch):
    register("http://models.invalid/little_v1.pt")
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert server.requests == [("http://models.invalid/little_v1.pt", None)]


@pytest.mark.parametrize("variable", ["SAM_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(register, server, folder, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(duckdb_sam.PullError) as failure:
        duckdb_sam.pull("little")
    assert f"little is not in {folder}, and the environment variable {variable}=1 allows no download" in str(
        failure.value
    )
    assert f"{server.url}/little_v1.pt" in str(failure.value)
    assert server.requests == [] and not folder.exists()
    monkeypatch.setenv(variable, "0")
    path = duckdb_sam.pull("little")
    monkeypatch.setenv(variable, "true")
    assert duckdb_sam.pull("little") == path


# The disk


def test_a_folder_that_cannot_be_made(register, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        duckdb_sam.PullError, match=r"file/models/little\.pt cannot be written: .*; name another folder"
    ):
        duckdb_sam.pull("little", folder=tmp_path / "file" / "models")


def test_a_folder_that_is_read_only(register, server, monkeypatch):
    folder = Path(tempfile.mkdtemp())
    shutil.move(register.path, folder / "registry.json")  # where others than root can read it
    (folder / "registry.json").chmod(0o644)
    monkeypatch.setattr(registry, "REGISTRY", folder / "registry.json")
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:  # who may write everywhere
        os.seteuid(65534)
    try:
        with pytest.raises(
            duckdb_sam.PullError, match=r"little\.pt cannot be written: Permission denied; name another"
        ):
            duckdb_sam.pull("little", folder=folder)
    finally:
        if root:
            os.seteuid(0)
        shutil.rmtree(folder)


def test_a_full_disk(register, server, folder, monkeypatch):
    _, hard = soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(duckdb_sam.PullError, match=r"the disk is full: .*little\.pt\.part .*pull again to go on"):
            duckdb_sam.pull("little")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    assert (folder / "little.pt.part").stat().st_size == 100_000
    usage = shutil._ntuple_diskusage(10, 5, 5)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(duckdb_sam.PullError, match=f"full: {SIZE - 100_000:,} bytes are missing and 5 are free in"):
            duckdb_sam.pull("little")
    server.requests.clear()
    assert duckdb_sam.pull("little").read_bytes() == CONTENT
    assert offsets(server) == ["bytes=100000-"]


def test_a_file_system_without_locks(register, monkeypatch):
    import fcntl

    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(duckdb_sam.PullError, match="No locks available; name another folder"):
        duckdb_sam.pull("little")


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("rich", [True, False])
def test_progress(register, monkeypatch, folder, rich):
    if rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
        monkeypatch.setattr(progress, "_EVERY", 0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    duckdb_sam.pull("little")
    text = terminal.getvalue()
    assert "little.pt" in text
    assert ("%" in text or "kB" in text) if rich else "little.pt: 0.4 of 0.4 MB" in text
    assert f"{folder / 'little.pt'}: its SHA-256 is the published one" in text


@pytest.mark.parametrize("rich", [True, False])
def test_no_progress_where_there_is_no_terminal(register, monkeypatch, capfd, rich):
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    duckdb_sam.pull("little")
    assert capfd.readouterr() == ("", "")


def test_importing_the_package_does_not_import_what_only_downloads_need():
    code = "import sys, duckdb_sam; print([name for name in ('rich', 'urllib.request', 'ssl') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n", run.stdout
