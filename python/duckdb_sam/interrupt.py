"""Ctrl-C for long queries.

DuckDB looks for an interruption between vectors of 2,048 rows, which may be minutes apart when each row is a picture,
and gives an extension no way to see it. The main thread is inside DuckDB meanwhile, so no Python code runs there; but
Python's signal handler, in C, writes to a file descriptor at once, and a thread that reads from it can call
``sam_cancel()``.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from collections.abc import Generator

import duckdb

_AGAIN = 0.05
"""Seconds after which a cancellation is repeated, for calls that have begun since."""

_OVER = b"\0"
"""What wakes the watching thread for the last time; no signal has this number."""


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is DuckDB's own word for Ctrl-C, while it reads or writes."""
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


@contextlib.contextmanager
def as_interrupts() -> Generator[None]:
    """Make a KeyboardInterrupt of what DuckDB makes of Ctrl-C."""
    try:
        yield
    except RuntimeError as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        raise


@contextlib.contextmanager
def interruptible(con: duckdb.DuckDBPyConnection) -> Generator[None, None, None]:
    """Let Ctrl-C stop queries on ``con`` within the time of one picture, and raise KeyboardInterrupt.

        with duckdb_sam.interruptible(con):
            con.execute("CREATE TABLE masks AS SELECT sam_annotate('nano', image, [0.5, 0.5]) FROM photos")

    ``sam_cancel()`` stops the calls of all connections of the database. Under ``TRY()`` DuckDB takes the cancellation
    for the failure of a row and goes on to the end of the vector. Signals reach the main thread only: in another one
    this does nothing.

    After Ctrl-C every query of the block is stopped. A block that catches the errors itself gets the KeyboardInterrupt
    at its end, at the latest.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer, con.cursor() as canceller:
        reader.setblocking(False)
        writer.setblocking(False)
        interrupted = threading.Event()
        previous = -1

        def watch() -> None:
            received = b""
            while _OVER not in received:
                ready, _, _ = select.select([reader], [], [], _AGAIN if interrupted.is_set() else None)
                received = reader.recv(4096) if ready else b""
                if previous != -1:  # whoever listened before still does
                    with contextlib.suppress(OSError):
                        os.write(previous, received.replace(_OVER, b""))
                if signal.SIGINT in received:
                    interrupted.set()
                if interrupted.is_set():
                    with contextlib.suppress(duckdb.ConnectionException):  # the block has closed it: nothing runs there
                        con.interrupt()
                    canceller.execute("CALL sam_cancel()").fetchall()

        def watching() -> None:
            # What it uses may be closed already, where KeyboardInterrupt has come before the block or while it ended.
            with contextlib.suppress(duckdb.Error, RuntimeError, OSError, ValueError):
                watch()

        watcher = threading.Thread(target=watching, name="duckdb-sam-interrupt", daemon=True)

        def stop() -> None:
            signal.set_wakeup_fd(previous)
            if watcher.is_alive():
                writer.send(_OVER)
                watcher.join()

        try:
            try:
                previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
                watcher.start()
                yield
            finally:
                stop()  # only then it is certain whether there was a signal
        except Exception as error:
            if interrupted.is_set():
                raise KeyboardInterrupt from error
            raise
        finally:
            stop()  # Python may have come to raise KeyboardInterrupt within the first
        if interrupted.is_set():  # DuckDB has taken Python's KeyboardInterrupt for an error, and the block that one
            raise KeyboardInterrupt
