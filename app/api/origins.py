"""Who may call: the hosts that this server goes by, and the origins whose pages may use it.

A page of any site can make its reader's browser send requests to this server. By a name of its own that it points here
(DNS rebinding) it could read the answers, too; the check of `Host` stops that, the check of `Origin` the rest.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.api.handshakes import refusing
from app.api.openai_errors import is_openai, request_id, restate
from app.api.problems import encode_problem
from app.api.wire import EXTRA_HEADERS
from app.settings import Settings

Header = tuple[bytes, bytes]

_HOST = re.compile(rb"([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
_LOOKED_AT = frozenset((b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"))
_SCHEMES = {"ws": "http", "wss": "https"}
"""The schemes of WebSockets, and those of the pages that open them."""
_EXPOSED = b"Location, Retry-After, Idempotency-Replayed, x-conversation-id, x-reply-id, x-request-id"
_USUAL = b"Content-Type, Idempotency-Key, Last-Event-ID"
_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
    (b"access-control-max-age", b"600"),
]


class Origins:
    """The application behind the check of `Host` and `Origin`, which answers before any call is looked for."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = allowed_hosts(settings)
        self._origins = _listed(settings.allowed_origins)
        self._goes_by = lru_cache(256)(self._is_ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refuse = partial(_refuse, refusing(scope, send), scope["path"])
        found = [header for header in scope["headers"] if header[0] in _LOOKED_AT]
        hosts = [value for name, value in found if name == b"host"]
        if len(hosts) != 1 or not self._goes_by(hosts[0][:300]):
            return await refuse(HTTPStatus.BAD_REQUEST, "The Host header names another server than this one.")
        if "//" in scope["path"]:
            return await refuse(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        if len(found) == 1:
            return await self._app(scope, receive, send)
        origins = [value for name, value in found if name == b"origin"]
        own = b"%b://%b" % (_SCHEMES.get(scope["scheme"], scope["scheme"]).encode(), hosts[0].lower())
        if origins in ([], [own]):
            if not origins and _comes_from_elsewhere(_method(scope), dict(found)):
                return await refuse(HTTPStatus.FORBIDDEN, "Pages of other sites may not load this.")
            return await self._app(scope, receive, send)
        if len(origins) > 1 or origins[0] not in self._origins:
            return await refuse(HTTPStatus.FORBIDDEN, "Pages of this origin may not call this server.")
        if scope["type"] == ScopeType.WEBSOCKET:
            return await self._app(scope, receive, send)
        return await self._share(scope, receive, send, origins[0])

    async def _share(self, scope: HTTPScope, receive: Receive, send: Send, origin: bytes) -> None:
        """Answer so that pages of a listed origin can read it."""
        shared = [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]
        headers = dict(scope["headers"])
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            # Whatever a listed page wants to send: libraries say in headers of their own what they run on.
            wanted = (b"access-control-allow-headers", headers.get(b"access-control-request-headers", _USUAL))
            return await _answer(send, HTTPStatus.NO_CONTENT, [*shared, *_PREFLIGHT, wanted])

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *shared]
            await send(message)

        # A stream that takes the connection over does not come by `send`.
        extensions: dict[str, Any] = scope.get("extensions") or {}
        extensions[EXTRA_HEADERS] = shared
        return await self._app(scope, receive, send_shared)

    def _is_ours(self, host: bytes) -> bool:
        given = _HOST.fullmatch(host.lower())
        return given is not None and given[1] in self._hosts


def allowed_hosts(settings: Settings) -> frozenset[bytes]:
    """Return the hosts by which this server may be called, at any port."""
    given = settings.host.lower()
    place = [] if given in _EVERYWHERE else [f"[{given}]" if ":" in given else given]
    return frozenset(name.encode() for name in ("localhost", "127.0.0.1", "[::1]", *place)) | _listed(
        settings.allowed_hosts
    )


def _listed(text: str) -> frozenset[bytes]:
    return frozenset(item.strip().lower().encode() for item in text.split(",") if item.strip())


def _method(scope: Scope) -> str:
    return scope["method"] if scope["type"] == ScopeType.HTTP else "GET"


def _comes_from_elsewhere(method: str, headers: dict[bytes, bytes]) -> bool:
    """Whether a browser says that another site's page loads this, without an `Origin`: as an image, say.

    Following a link is no loading: it shows what is here in a page of its own.
    """
    if headers.get(b"sec-fetch-site") not in (b"cross-site", b"same-site"):
        return False
    follows = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    return not (follows and method == "GET")


async def _refuse(send: Send, path: str, status: HTTPStatus, detail: str) -> None:
    if not is_openai(path):
        problem = [(b"content-type", b"application/problem+json")]
        return await _answer(send, status, problem, encode_problem(status, detail))
    status, body = restate(status, detail)
    headers = {"content-type": "application/json", **request_id()}
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    return await _answer(send, status, given, msgspec.json.encode(body))


async def _answer(send: Send, status: HTTPStatus, headers: list[Header], body: bytes = b"") -> None:
    if status != HTTPStatus.NO_CONTENT:
        headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
