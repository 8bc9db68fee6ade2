"""A server of files on localhost that can be told to misbehave."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Server:
    """What is served, how, and what has been asked."""

    content: bytes
    url: str = ""
    etag: str | None = '"one"'
    date: str | None = None
    ranges: bool = True
    checks: bool = True
    """Whether If-Range is looked at."""
    length: bool = True
    cut: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    pause: threading.Event | None = None
    """What an answer waits for in its middle."""
    status: int = 200
    location: str | None = None
    """Where to everything but the path /moved is redirected."""
    announced: str | None = None
    """What is said to be the length instead of what it is."""
    kind: str = "application/octet-stream"
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""
    agents: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """Serve ``content`` under every path."""
    server = Server(content)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            with contextlib.suppress(ConnectionError):
                answer(self, server)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        if server.pause:
            server.pause.set()
        http.shutdown()
        http.server_close()
        thread.join()


def answer(handler: BaseHTTPRequestHandler, server: Server) -> None:
    asked = handler.headers["Range"]
    server.requests.append((handler.path, asked))
    server.agents.append(handler.headers["User-Agent"])
    if server.location and handler.path != "/moved":
        handler.send_response(302)
        handler.send_header("Location", server.location)
        handler.end_headers()
        return
    if server.status != 200:
        handler.send_error(server.status)
        return
    size, start = len(server.content), 0
    validator = handler.headers["If-Range"]
    same = validator in (None, server.etag, server.date) or not server.checks
    if server.ranges and asked and same:
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start >= size:
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{size}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
    else:
        handler.send_response(200)
    handler.send_header("Content-Type", server.kind)
    for name, value in (("ETag", server.etag), ("Last-Modified", server.date)):
        if value:
            handler.send_header(name, value)
    if server.length:
        handler.send_header("Content-Length", server.announced or str(size - start))
    handler.end_headers()
    end = start + server.cut.pop(0) if server.cut else size
    half = (start + end) // 2
    handler.wfile.write(server.content[start:half])
    handler.wfile.flush()
    if server.pause:
        server.pause.wait(30)
    handler.wfile.write(server.content[half:end])
    handler.close_connection = True
