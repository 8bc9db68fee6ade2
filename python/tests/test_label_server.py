"""The page over HTTP, and the command: who may ask, what is readable, how it ends, what is left after ``kill -9``."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from PIL import Image

import duckdb_sam
from commands import Command
from duckdb_sam.labelling.serve import TOKEN, Server
from labels import NAMES, Process, ask, call, database, fill, photo, served

PROMPT = {"object": 1, "points": [[0.5, 0.5]], "labels": [1], "box": None, "class": "cup"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with duckdb_sam.connect() as con:
        fill(con)
        con.execute("INSERT INTO images VALUES ('<script>alert(1)</script>', NULL)")
        with served(con) as address:
            yield address


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(capsys)


def test_the_page_asks_for_nothing_elsewhere(address: str) -> None:
    status, data, headers = call(address)
    assert status == 200
    assert b"page.js" in data
    assert b"://" not in data
    assert "default-src 'none'" in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-store"


def test_it_listens_on_this_machine_only(address: str) -> None:
    port = urlsplit(address).port
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for other in [each for each in others if not each.startswith("127.")]:
        with pytest.raises(OSError), socket.create_connection((other, port), timeout=2):
            pass


def test_nothing_without_the_token(address: str) -> None:
    token = urlsplit(address).path.strip("/")
    assert len(token) >= 32
    wrong = ["/", "/page.js", "/ask/open", f"/{token[:-1]}/", f"/{token}x/", f"/{token[:-1]}~/", "/%00/", "/%ff/", "//"]
    for path in wrong:
        assert call(address, path=path)[0] == 403, path
        assert call(address, "POST", f"{path.rstrip('/')}/ask/open", {})[0] == 403, path


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_sites_may_not_ask(address: str, headers: dict[str, str]) -> None:
    path = f"{urlsplit(address).path}ask/open"
    assert call(address, "POST", path, {}, headers)[0] in (400, 403)
    assert call(address, headers=headers)[0] in (400, 403)


def test_the_own_page_may_ask(address: str) -> None:
    path = f"{urlsplit(address).path}ask/open"
    own = f"http://{urlsplit(address).netloc}"
    assert call(address, "POST", path, {}, {"Origin": own, "Sec-Fetch-Site": "same-origin"})[0] == 200
    assert call(address, headers={"Host": f"localhost:{urlsplit(address).port}"})[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        "..", "../server.py", "..%2fserver.py", "%2e%2e/server.py", "..%5cserver.py", "/etc/passwd", "%2fetc%2fpasswd",
        "static/page.js", "__init__.py", "page.js%00.png", "....//server.py", ".",
    ],
)  # fmt: skip
def test_no_file_but_those_of_the_page(address: str, name: str) -> None:
    status, data, _ = call(address, path=urlsplit(address).path + name)
    assert status in (403, 404) or (name == "." and b"page.js" in data)
    assert b"import" not in data
    assert b"root:" not in data


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415),  # what a form of another site can send
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"\xff", {}, 400),
        (b'{"a": "' + b"x" * 1_100_000 + b'"}', {}, 413),
        (b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", {}, 400),
        (b'{"a": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, {}, 400),
        (b'{"class": "\\ud800"}', {}, 400),
        (b'{"\\udfff": 1}', {}, 400),
        (b'{"place": ' + b"9" * 10_000 + b"}", {}, 400),
    ],
)
def test_requests_that_are_none(address: str, body: bytes, headers: dict[str, str], status: int) -> None:
    assert call(address, "POST", f"{urlsplit(address).path}ask/open", body, headers)[0] == status
    assert call(address, "GET", f"{urlsplit(address).path}ask/open")[0] == 405


def test_what_cannot_be_done_is_told(address: str) -> None:
    assert "no request" in ask(address, "nonsense")["refused"]
    for request in ("objects", "picture", "thumbnail"):
        assert "refused" in ask(address, request, place=-1, side=100)
        assert "refused" in ask(address, request, place="../../etc/passwd", side=100)
    assert "the picture is NULL" in ask(address, "picture", place=3, side=100)["refused"]
    assert ask(address, "objects", place=3)["name"] == "<script>alert(1)</script>"


MASK = {"size": [200, 300], "counts": "1"}


@pytest.mark.parametrize(
    "given",
    [
        {"class": "\0"}, {"class": {}}, {"class": "x" * 20_000}, {"points": [[1e308, 1e308]]}, {"points": {}},
        {"points": [[0.5, 0.5]] * 3, "labels": [1]}, {"points": "\0"}, {"box": [0, 0, 0, 0]}, {"box": [[[]]]},
        {"object": 10**30}, {"object": True}, {"object": -(10**30)}, {"changed": []}, {"version": {}}, {"keep": "x"},
        *({"points": [], "labels": [], "mask": mask} for mask in (
            7, [], {}, "\0", {**MASK, "size": [10**30, 1]}, {**MASK, "size": [2**31, 2**31]},
            {**MASK, "size": [-1, -1]},
            {**MASK, "size": []}, {**MASK, "size": "ab"}, {**MASK, "size": [1e400, 1]}, {**MASK, "size": None},
            {**MASK, "counts": "x" * 100_000}, {**MASK, "counts": "\0"}, {**MASK, "counts": None},
            {**MASK, "bbox": "x"},
            {"segmentation": 7}, {"segmentation": MASK, "bbox": [1], "area": 1}, {"segmentation": MASK, "area": 10**30},
            {"segmentation": MASK, "bbox": [0, 0, 1, 1], "area": 10**30},
            {"segmentation": MASK, "bbox": [0, 0, 1, 1], "area": 1, "predicted_iou": "x"},
            {"segmentation": MASK, "bbox": [0, 0, 1, 1], "area": 1, "stability_score": {"a": 1}},
            {"segmentation": MASK, "bbox": [1e400, 0, 1, 1], "area": 1},
            {"segmentation": MASK, "bbox": [0, 0, 1, 1], "area": 1, "point_coords": 7},
            {"segmentation": MASK, "bbox": [0, 0, 1, 1], "area": 1, "crop_box": "abcd"},
        )),
    ],
    ids=lambda given: str(given)[:60],
)  # fmt: skip
def test_requests_that_no_page_sends(address: str, given: dict[str, Any]) -> None:
    """They are refused, or done where nothing is wrong with them; the server fails at none."""
    path = f"{urlsplit(address).path}ask/put"
    status, data, _ = call(address, "POST", path, {"key": [NAMES[2]], **PROMPT, **given})
    assert status < 500, data
    assert call(address, "POST", f"{urlsplit(address).path}ask/objects", {"place": 2})[0] == 200


def test_a_table_that_is_dropped_meanwhile() -> None:
    with duckdb_sam.connect() as con:
        fill(con)
        with served(con) as address:
            con.execute("DROP TABLE prompts")
            path = f"{urlsplit(address).path}ask/put"
            status, data, _ = call(address, "POST", path, {"key": [NAMES[0]], **PROMPT})
            assert (status, b"The table prompts is no longer as it was" in data) == (409, True)
            con.execute("DROP TABLE images")
            assert call(address, "POST", f"{urlsplit(address).path}ask/picture", {"place": 0, "side": 100})[0] == 200
            assert call(address)[0] == 200


def test_pictures_are_sent_at_the_size_of_a_screen(address: str) -> None:
    for request, side in (("thumbnail", 192), ("picture", 300)):
        with Image.open(io.BytesIO(ask(address, request, place=1, side=1000))) as image:
            assert (image.format, max(image.size)) == ("JPEG", side)


def test_lists_are_sent_in_pages(address: str) -> None:
    found = ask(address, "list", **{"from": 1, "count": 1_000_000})
    assert [each["name"] for each in found["pictures"]][:2] == list(NAMES[1:])
    assert ask(address, "list", **{"from": 900, "count": 10})["pictures"] == []


# The command


def masks(path: Path | str, table: str = "prompts") -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as con:
        query = f"SELECT object, class, points, mask.area > 0 FROM {table} ORDER BY ALL"
        return con.execute(query).fetchall()


def test_killed_and_started_anew(tmp_path: Path) -> None:
    path, token = database(tmp_path / "photos.db"), "a-token-that-is-long-enough"
    with Process(path, "images", "--class", "cup", token=token) as process:
        key = ask(process.address, "objects", place=1)["key"]
        for number in range(1, 6):
            ask(process.address, "put", key=key, **{**PROMPT, "object": number, "points": [[number / 10, 0.5]]})
        assert process.end(signal.SIGKILL)[0] == -signal.SIGKILL
    port = urlsplit(process.address).port
    with Process(path, "images", "--port", port, token=token) as again:
        assert again.address == process.address
        found = ask(again.address, "objects", place=1)["objects"]
        assert [(each["object"], each["points"], each["class"]) for each in found] == [
            (number, [[number / 10, 0.5]], "cup") for number in range(1, 6)
        ]
        assert all(each["mask"]["area"] > 0 for each in found)
        assert ask(again.address, "open")["begin"] == 0
        status, out, err = again.end(signal.SIGINT)
    assert (status, out) == (0, f"5 objects in 1 photo: the table prompts of {path}\n")
    assert err == "3 photos. What you mark is saved as you go. Ctrl-C ends it.\n"
    assert len(masks(path)) == 5


def test_a_folder_of_photos(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Server.run

    def run(server: Server, started: Callable[[], object]) -> None:
        started()
        thread = threading.Thread(target=real, args=(server,))
        thread.start()
        try:
            shown = ask(server.address, "objects", place=0)
            assert shown["key"] == [os.path.join("photos", "chelsea.jpg")]
            ask(server.address, "put", key=shown["key"], **PROMPT)
        finally:
            server.stop()
            thread.join(10)

    monkeypatch.setattr(Server, "run", run)
    (tmp_path / "photos").mkdir()
    for name in NAMES:
        (tmp_path / "photos" / name).write_bytes(photo(name))
    done = command("label", "photos", "--into", "clicks", "--no-browser")
    assert done.out.splitlines()[1:] == ["1 object in 1 photo: the table clicks of labels.db"], done.err
    assert masks(tmp_path / "labels.db", "clicks") == [(1, "cup", [[0.5, 0.5]], True)]


def test_a_parquet_file_and_the_only_table(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(server: Server, started: Callable[[], object]) -> None:
        started()

    monkeypatch.setattr(Server, "run", run)
    path = database(tmp_path / "photos.db")
    with duckdb.connect(path) as con:
        con.execute(f"COPY images TO '{tmp_path}/images.parquet'")
        con.execute("CREATE TABLE others (n INTEGER)")
    for arguments in ([tmp_path / "images.parquet", "--db", tmp_path / "new.db"], [path]):
        done = command("label", *arguments, "--no-browser")
        assert (done.status, done.err.partition(".")[0]) == (0, "3 photos"), done.err
        assert f"0 objects in 0 photos: the table prompts of {arguments[-1]}" in done.out
        assert masks(arguments[-1]) == []


def test_mistakes_of_the_command(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(tmp_path / "photos.db")
    (tmp_path / "text.db").write_text("no database")
    with duckdb.connect(str(tmp_path / "two.db")) as con:
        con.execute("CREATE TABLE a AS SELECT 1 AS id, ''::BLOB AS image; CREATE TABLE b AS FROM a")
        con.execute("CREATE TABLE c AS SELECT image FROM a")
    for arguments, text in [
        (["none.db"], "none.db is not there"),
        (["none"], "there is no file or folder 'none'"),
        (["text.db"], "is no database of DuckDB"),
        ([path, "nothing"], "no table, file or folder 'nothing'; the tables are: images"),
        ([path, "--db", "other.db"], "--db other.db"),
        (["two.db"], "which table of two.db has the photos? Name it: a, b, c"),
        (["two.db", "c"], "key= is missing"),
        ([path, "images", "--key", "nothing"], "no column 'nothing'"),
        ([path, "--model", "nobody"], "nobody"),
    ]:
        done = command("label", *arguments, "--no-browser")
        assert (done.status, text in done.err) == (1, True), done.err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = command("label", path, "--port", taken.getsockname()[1], "--no-browser")
        assert (done.status, "is in use: give another --port" in done.err) == (1, True)
    monkeypatch.setenv(TOKEN, "short")
    assert "at least 16" in command("label", path, "--no-browser").err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write to all files")
def test_a_file_that_is_read_only(tmp_path: Path, command: Command) -> None:
    path = database(tmp_path / "photos.db")
    os.chmod(path, 0o444)
    assert "is read-only" in command("label", path, "--no-browser").err


def test_a_database_that_another_process_has(tmp_path: Path, command: Command) -> None:
    path = database(tmp_path / "photos.db")
    script = f"import duckdb; con = duckdb.connect({path!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        done = command("label", path, "--no-browser")
        assert (done.status, "is in use by another program" in done.err) == (1, True)
        process.communicate(b"\n")
