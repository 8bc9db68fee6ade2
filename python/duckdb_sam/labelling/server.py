"""The page over HTTP: who may ask, and what is sent.

The address holds a token, and everything is below it, so that nobody else on the machine can read or write. Pages of
other sites cannot either: the names of host and origin are checked, so that neither a form nor a name that leads here
(DNS rebinding) helps them.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

try:
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
except ImportError as error:
    raise ImportError("the page to click on needs starlette: pip install 'duckdb-sam[cli,label]'") from error

from duckdb_sam.labelling.desk import Desk
from duckdb_sam.labelling.errors import Gone, Refused

STATIC = Path(__file__).with_name("static")
_KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_MOST = 1_000_000
"""Bytes of a request."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_log = logging.getLogger(__name__)


def application(desk: Desk, token: str, port: Callable[[], int]) -> ASGIApp:
    """Return the application. ``port`` tells where it listens, once it does."""
    # The files there are, by name: what a request names is looked up and never made into a path.
    files = {path.name: path for path in STATIC.iterdir() if path.suffix in _KINDS}

    async def page(request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        if name not in files:
            return PlainTextResponse("there is no such page", 404)
        return Response(files[name].read_bytes(), media_type=_KINDS[files[name].suffix])

    async def ask(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return PlainTextResponse("a request is JSON", 415)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST:
                return PlainTextResponse("the request is too long", 413)
        try:
            given = json.loads(body)
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return PlainTextResponse("the request has a text that is no Unicode: half of a surrogate pair", 400)
        except (ValueError, RecursionError):
            return PlainTextResponse("the request is no JSON, or lists in lists without end", 400)
        if not isinstance(given, dict):
            return PlainTextResponse("the request is no JSON object", 400)
        return await run_in_threadpool(_answer, desk, request.path_params["name"], given)  # pyright: ignore[reportUnknownArgumentType]

    routes = [
        Route("/{token}/", page),
        Route("/{token}/{name}", page),
        Route("/{token}/ask/{name}", ask, methods=["POST"]),
    ]
    return _Guard(Starlette(routes=routes), token, port)


def _answer(desk: Desk, name: str, given: Mapping[str, Any]) -> Response:
    try:
        reply = desk.ask(name, given)
    except Refused as error:
        return JSONResponse({"refused": str(error)})  # an answer like others: browsers list statuses as faults
    except Gone as error:
        return JSONResponse({"error": str(error)}, 409)
    except Exception as error:
        _log.exception("%s failed", name)
        return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 500)
    if reply.data is not None:
        return Response(reply.data, media_type="image/jpeg", headers={"X-Version": str(reply.values["version"])})
    return JSONResponse(reply.values)


class _Guard:
    """Lets requests through that come from the page itself, with the token in their address."""

    def __init__(self, inner: ASGIApp, token: str, port: Callable[[], int]) -> None:
        self._inner, self._token, self._port = inner, token.encode(), port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._inner(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if wrong := self._wrong(scope, headers):
            await PlainTextResponse(wrong, 403, _HEADERS)(scope, receive, send)
            return

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *((name.lower().encode(), value.encode()) for name, value in _HEADERS.items()),
                ]
            await send(message)

        await self._inner(scope, receive, sending)

    def _wrong(self, scope: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
        hosts = [f"{name}:{self._port()}" for name in ("127.0.0.1", "localhost")]
        if headers.get("host") not in hosts:
            return "this page is for this machine only: open the address that the terminal shows"
        if "origin" in headers and headers["origin"] not in [f"http://{host}" for host in hosts]:
            return "another site may not ask this page"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "another site may not ask this page"
        given = str(scope["path"]).removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(given.encode(errors="replace"), self._token):
            return "the token in the address is not the one of this run: open the address that the terminal shows"
        return None
