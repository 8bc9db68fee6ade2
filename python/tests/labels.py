"""Small photographs in a database, and the page of ``duckdb-sam label`` on them."""

from __future__ import annotations

import http.client
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import pytest
from PIL import Image

import duckdb_sam
from conftest import PHOTOS
from duckdb_sam.labelling.desk import Desk
from duckdb_sam.labelling.pictures import Pictures
from duckdb_sam.labelling.rows import open_rows
from duckdb_sam.labelling.serve import TOKEN, Server

NAMES = ("chelsea.jpg", "coffee.jpg", "coins.jpg")
SIDE = 300
"""Pixels of the longer side: so that the tests are quick."""


def photo(name: str, *, orientation: int | None = None) -> bytes:
    """Return a photograph, scaled down; ``orientation`` is written beside it as EXIF has it."""
    with Image.open(PHOTOS / name) as image:
        image.thumbnail((SIDE, SIDE))
        exif = image.getexif()
        if orientation is not None:
            exif[0x0112] = orientation
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def fill(con: duckdb.DuckDBPyConnection) -> None:
    """Make the table ``images`` (name, image)."""
    con.execute("CREATE TABLE images (name VARCHAR, image BLOB)")
    con.executemany("INSERT INTO images VALUES (?, ?)", [(name, photo(name)) for name in NAMES])


def database(path: Path) -> str:
    """Make a database with the table ``images``; return its path."""
    with duckdb_sam.connect(path) as con:
        fill(con)
    return str(path)


@contextmanager
def served(
    con: duckdb.DuckDBPyConnection, source: Any = "images", into: str = "prompts", **given: Any
) -> Iterator[Any]:
    """Serve the page from this process, and give its address."""
    desk = Desk(source, into, con=con, **given)
    server = Server(desk)
    thread = server.start()
    try:
        yield server.address
    finally:
        server.stop()
        thread.join(10)
        desk.close()
    assert not thread.is_alive()


class Process:
    """The command, in a process of its own."""

    def __init__(self, *arguments: object, token: str | None = None, cwd: Path | None = None) -> None:
        environment = {**os.environ, **({} if token is None else {TOKEN: token})}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "duckdb_sam", "label", *map(str, arguments), "--no-browser"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def end(self, signal: int) -> tuple[int, str, str]:
        """Send a signal; return status and what was printed after the address."""
        self.process.send_signal(signal)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


def call(
    address: str, method: str = "GET", path: str = "", body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, Mapping[str, str]]:
    """Send a request whose path and headers are exactly so: as neither browsers nor libraries would."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port or 80, timeout=20)
    try:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Host": parts.netloc, **({"Content-Type": "application/json"} if data is not None else {})}
        connection.putrequest(method, path or parts.path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**given, **(headers or {})}.items():
            connection.putheader(name, value)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def ask(address: str, request: str, **given: Any) -> Any:
    """Ask the desk; a JPEG comes as bytes."""
    status, data, headers = call(address, "POST", f"{urlsplit(address).path}ask/{request}", given)
    assert status == 200, data
    return data if headers["content-type"] == "image/jpeg" else json.loads(data)


def put(desk: Desk, name: str, number: int = 1, **given: Any) -> dict[str, Any]:
    """Mark an object of a picture by a point, if nothing else is given."""
    values = {"points": [[0.5, 0.5]], "labels": [1], "box": None, "class": None, "changed": None, **given}
    return desk.ask("put", {"key": [name], "object": number, **values}).values


def rows(con: duckdb.DuckDBPyConnection, columns: str = "name, object") -> list[Any]:
    """Return what is in the table of prompts."""
    return con.execute(f"SELECT {columns} FROM prompts ORDER BY name, object").fetchall()


def pictures(con: duckdb.DuckDBPyConnection, source: Any, key: Any = None, image: str | None = None) -> Pictures:
    """Return the pictures of a source."""
    return Pictures(open_rows(source, con), key, image)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose database has the photographs in a table."""
    with duckdb_sam.connect() as connection:
        fill(connection)
        yield connection


@pytest.fixture
def desk(con: duckdb.DuckDBPyConnection) -> Iterator[Desk]:
    """A desk on them."""
    desk = Desk("images", "prompts", con=con, classes=["cat"])
    yield desk
    desk.close()
