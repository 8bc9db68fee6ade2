"""One file over HTTP, which goes on where it was interrupted.

Why not a library? pooch 1.9 begins every download anew, and huggingface_hub since 2.0 does too after its process has
ended (it writes to a file with a random name and deletes it on failure); the first knows no offline mode and the second
downloads from its own hub only. Resuming with requests or httpx needs the same loop as here, and a package more. urllib
is always there, follows redirects with our headers, and takes the proxies of the system and of ``HTTPS_PROXY`` and
``NO_PROXY``.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any

from duckdb_sam.weights.errors import PullError
from duckdb_sam.weights.progress import Report

TIMEOUT = 30.0
"""Seconds without a single byte after which a connection is given up."""

TRIES = 5
"""Attempts in a row that bring nothing before a download that has begun is given up."""

WAIT = 1.0
"""Seconds before the first of them; each further one waits twice as long."""

_CHUNK = 1 << 20

_DIGITS = 18
"""Of the largest size that is believed."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SourceError(PullError):
    """One address does not have the file; another might."""


class _AgainError(Exception):
    """What is here does not go with what the server has, and was thrown away."""


@dataclass(frozen=True)
class Download:
    """A file that is to be at ``part``; ``bytes`` and ``sha256`` are None where they are not known."""

    url: str
    part: Path
    bytes: int | None
    sha256: str | None
    report: Report

    @property
    def state(self) -> Path:
        """The file beside the part that says of which version of which file it is the beginning."""
        return self.part.with_name(self.part.name + ".json")

    def here(self) -> int:
        """Return how many bytes are here."""
        try:
            return self.part.stat().st_size
        except FileNotFoundError:
            return 0

    def run(self) -> None:
        """Download what is missing. What has come stays in the part, whatever happens."""
        if self.bytes is not None and self.here() > self.bytes:
            self.discard()
        most, fruitless, begun, anew = self.here(), 0, False, False
        while self.bytes is None or self.here() != self.bytes:
            try:
                if self._attempt():
                    return
                reason = f"the connection ended after {self.here():,} bytes"
            except _AgainError:
                if anew:
                    raise SourceError(f"{self.url}: it ends early, or is another file each time") from None
                anew = True
                continue
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"{error.code} {error.reason}"
                if error.code < 500 and error.code not in (408, 429):
                    raise SourceError(f"{self.url}: {reason}") from None
            except (http.client.HTTPException, OSError) as error:
                reason = _words(error)
            grown = self.here() > most  # a server without parts sends the same bytes again
            most = max(most, self.here())
            begun, fruitless = begun or grown, 0 if grown else fruitless + 1
            # An address that has never sent anything is not worth waiting for.
            if fruitless >= (TRIES if begun else 1):
                raise SourceError(f"{self.url}: {reason}")
            time.sleep(WAIT * 2**fruitless)

    def discard(self) -> None:
        """Forget what has come."""
        self.part.unlink(missing_ok=True)
        self.state.unlink(missing_ok=True)

    def _attempt(self) -> bool:
        """Ask once for what is missing; whether the file is whole then."""
        offset = self.here()
        request = urllib.request.Request(self.url, headers=self._headers(offset))
        try:
            response: HTTPResponse = _opener().open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            error.close()  # there is nothing after what is here: it is of another file, or whole
            if self.bytes is None and (error.headers["Content-Range"] or "").endswith(f"*/{offset}"):
                return True
            raise self._disagreement(offset) from None
        with response:
            total = self._total(response, offset)
            self._check_is_file(response, total)
            if response.status != 206:
                offset = 0  # it is another version, or the server has no parts: all of it comes
            self._check_space((total or 0) - offset)
            if not offset:
                self._begin(response.headers)
            self._receive(response, offset, total)
        return total is None or self.here() == total

    def _headers(self, offset: int) -> dict[str, str]:
        from duckdb_sam import __version__

        # Compressed, the bytes would not be those of the file.
        headers = {"User-Agent": f"duckdb-sam/{__version__}", "Accept-Encoding": "identity"}
        if offset:
            if validator := self._validator():
                headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
            elif self.sha256:  # nothing says that it is the same file, but the digest will
                headers |= {"Range": f"bytes={offset}-"}
        return headers

    def _disagreement(self, offset: int) -> Exception:
        """Throw away what does not go with what the server has, if that can be the fault."""
        self.discard()
        return _AgainError() if offset else SourceError(f"{self.url}: it sends a part where the whole was asked for")

    def _total(self, response: HTTPResponse, offset: int) -> int | None:
        """Return the size of the whole file, if it is known or the server tells it."""
        if response.status == 206:
            parts = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
            was = self._validator() or ""
            now = response.headers["ETag"] or was
            # Some servers do not look at If-Range.
            if not parts or int(parts[1]) != offset or (was.startswith('"') and now != was):
                raise self._disagreement(offset)
            return self.bytes if parts[2] == "*" else self._announced(parts[2])
        length = response.headers["Content-Length"] or ""
        return self._announced(length) if re.fullmatch("[0-9]+", length) else self.bytes

    def _announced(self, digits: str) -> int:
        """Return the size that the server tells. What no disk could hold is no model."""
        if len(digits) > _DIGITS or (
            self.bytes is None and int(digits) > shutil.disk_usage(self.part.parent).total + self.here()
        ):
            raise SourceError(f"{self.url}: it announces {digits[:40]} bytes, more than the whole disk has: no model")
        return int(digits)

    def _check_is_file(self, response: HTTPResponse, total: int | None) -> None:
        """Refuse what is not the file, before anything that has come is given up for it."""
        if response.headers.get_content_type() == "text/html":
            raise SourceError(
                f"{self.url}: it answers with a web page, perhaps of a login or a proxy, not with the file"
            )
        if total is not None and self.bytes is not None and total != self.bytes:
            raise SourceError(
                f"{self.url}: it has {total:,} bytes there, and the published file {self.bytes:,}: it is another file"
            )

    def _check_space(self, missing: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if free < missing:
            raise PullError(
                f"the disk is full: {missing:,} bytes are missing and {free:,} are free in {self.part.parent}; make "
                "room, or name another folder with the environment variable SAM_MODEL_DIR"
            )

    def _receive(self, response: HTTPResponse, offset: int, total: int | None) -> None:
        done = offset
        try:
            # Unbuffered: what has come is there if we are killed.
            file: IO[bytes] = open(self.part, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise cannot_write(self.part, error) from error
        with file:
            self.report(done, total)
            while data := response.read1(_CHUNK):
                _write(file, data, self.part)
                done += len(data)
                self.report(done, total)
                if total is not None and done > total:
                    self.discard()
                    raise SourceError(f"{self.url}: more than {total:,} bytes come, the size of the file")
            os.fsync(file.fileno())

    def _begin(self, headers: Message) -> None:
        """Throw away what is here, and write down of which version the next bytes are."""
        etag = headers["ETag"] or ""
        # If-Range takes no weak ETag, but the date.
        validator = etag if etag.startswith('"') else headers["Last-Modified"]
        try:
            self.discard()
            self.state.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.state, error) from error

    def _validator(self) -> str | None:
        """Return what tells the version that is here from others at this address, if anything does."""
        try:
            state: Any = json.loads(self.state.read_text(encoding="utf-8"))
            return state["validator"] if state["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def cannot_write(path: Path, error: OSError) -> PullError:
    """Return what to say of a file that cannot be written."""
    if error.errno in _FULL:
        return PullError(
            f"the disk is full: {path} cannot be written ({error.strerror}); make room and pull again to go on, or "
            "name another folder with the environment variable SAM_MODEL_DIR"
        )
    return PullError(
        f"{path} cannot be written: {error.strerror or error}; name another folder, pull(..., folder=...) or the "
        "environment variable SAM_MODEL_DIR"
    )


def _write(file: IO[bytes], data: bytes, path: Path) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise cannot_write(path, error) from error


def _words(error: Exception) -> str:
    """Return what went wrong on the way, with what to do where that is known."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    text = str(reason) or type(reason).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text += " (the environment variable SSL_CERT_FILE names the file of certificates to trust)"
    return text


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https to http: anybody on the way could send another file."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https:"):
            raise SourceError(f"{req.full_url}: it redirects to {newurl}, which is not encrypted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Redirects())
