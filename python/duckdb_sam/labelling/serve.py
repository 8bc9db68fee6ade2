"""The server of the page: where it listens, and how it ends."""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

from duckdb_sam.labelling.desk import Desk
from duckdb_sam.labelling.errors import LabelError
from duckdb_sam.optional import needed

TOKEN = "DUCKDB_SAM_LABEL_TOKEN"
"""The variable that gives a token, so that open pages find a server again that was started anew on the same port."""

_HOST = "127.0.0.1"
_GOODBYE = 2
"""Seconds that requests have to end."""


class Server:
    """A server on this machine, for this machine only."""

    def __init__(self, desk: Desk, port: int = 0) -> None:
        """Listen on ``port``, or on one that is free. A port that is taken is a LabelError."""
        self._uvicorn: Any = needed("uvicorn", "label", "the page")
        needed("starlette", "label", "the page")
        from duckdb_sam.labelling.server import application

        token = os.environ.get(TOKEN) or secrets.token_urlsafe(24)
        if not re.fullmatch(r"[A-Za-z0-9_-]{16,200}", token):
            raise LabelError(f"{TOKEN} must have at least 16 letters, digits, - or _")
        self._socket = _listening(port)
        self.port: int = self._socket.getsockname()[1]
        self.address = f"http://{_HOST}:{self.port}/{token}/"
        config = self._uvicorn.Config(
            application(desk, token, lambda: self.port),
            log_level="error",
            access_log=False,  # addresses hold the token
            lifespan="off",
            timeout_keep_alive=75,  # a click after a pause opens no connection
            timeout_graceful_shutdown=_GOODBYE,
        )
        self._server: Any = self._uvicorn.Server(config)

    def run(self, started: Callable[[], object] = lambda: None) -> None:
        """Serve until Ctrl-C or ``stop``; ``started`` is called once pages can be opened."""
        started()  # the socket listens already: requests wait for the server
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:  # uvicorn raises the signal again after it has ended
            pass
        finally:
            self.close()

    def stop(self) -> None:
        """End it, from another thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Listen no more, where it was not run either."""
        self._socket.close()

    def start(self) -> threading.Thread:
        """Serve in a thread of its own."""
        thread = threading.Thread(target=self.run, name="duckdb-sam-label-page", daemon=True)
        thread.start()
        return thread


def _listening(port: int) -> socket.socket:
    given = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let others listen too
        given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        given.bind((_HOST, port))
        given.listen(128)
    except OSError as error:
        given.close()
        if error.errno == errno.EADDRINUSE:
            raise LabelError(f"port {port} is in use: give another --port, or none") from error
        if error.errno == errno.EACCES:
            raise LabelError(f"port {port} may not be used: give one above 1023, or none") from error
        raise
    return given
