"""The chat page and the page of the API: files that the build has written, read once, at start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from litestar import HttpMethod, Request, Response, Router, route
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from app.api.schema import ApiConfig

STATIC = Path(__file__).resolve().parent.parent / "static"

_CSP = "Content-Security-Policy"
SECURITY = {
    _CSP: (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_FRESH = {"Cache-Control": "no-cache", "Vary": "Accept"}
_NO_MARKUP = "; require-trusted-types-for 'script'; trusted-types svelte-trusted-html dompurify"
"""Only the page's own templates may become markup, and what DOMPurify has cleaned; the page of the API needs more."""
# A page of a listed origin loads the client, too: what a browser has kept of its own page would lack what allows that.
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Origin"}
_NEWEST = {"Cache-Control": "no-cache", "Vary": "Origin"}
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_NOT_BUILT = """The page is not built; in a source tree, `make install` builds it. All the rest is here.

"""
_WELCOME = """Tickertape is running.

Ask:     curl -N -H 'Content-Type: application/json' -H 'Accept: text/plain' -d '{"prompt": "Hello"}' URL/conversations
Listen:  curl -N URL/events
Say:     curl -H 'Content-Type: application/json' -d '{"message": "Hello, all"}' URL/send-message
"""


class File(NamedTuple):
    """A file of the page as it is sent."""

    content: bytes
    type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> File:
        """Read a file."""
        content = path.read_bytes()
        return cls(
            content,
            _TYPES.get(path.suffix, "application/octet-stream"),
            f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        )

    def answer(self, request: Request[Any, Any, Any], headers: dict[str, str]) -> Response[bytes]:
        """Answer with the file, or with 304 where the client has it."""
        headers = SECURITY | headers | {"ETag": self.etag}
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=headers)
        return Response(self.content, media_type=self.type, headers=headers)


def page_routes(static: Path = STATIC) -> list[HTTPRouteHandler]:
    """Return the routes of the chat page and of what both pages load: one for each file that is there now.

    No path of a request ever becomes the path of a file, so there is none to climb out of.
    """
    page, client = _read(static / "index.html"), _read(static / "client.js")
    assets = {f"/assets/{path.name}": File.read(path) for path in (static / "assets").glob("*") if path.is_file()}
    files = {name: (file, _FOREVER) for name, file in assets.items()} | {"/client.js": (client, _NEWEST)}

    def welcome(request: Request[Any, Any, Any]) -> Response[Any]:
        """Send the chat page to a browser, and to others a word on how to begin."""
        if page and "text/html" in request.headers.get("accept", ""):
            return page.answer(request, _FRESH | {_CSP: SECURITY[_CSP] + _NO_MARKUP})
        text = ("" if page else _NOT_BUILT) + _WELCOME.replace("URL", str(request.base_url).rstrip("/"))
        return Response(text, media_type="text/plain", headers=SECURITY | _FRESH)

    def file(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Send a file whose name changes with its content, or the client, whose name other pages know."""
        found, kept = files.get(request.scope["path"], (None, {}))
        if found is None:
            raise NotFoundException
        return found.answer(request, kept)

    return [_route(["/"], welcome), _route(sorted(files), file)]


def openapi_config(static: Path = STATIC) -> OpenAPIConfig:
    """Return how the API is described: `/schema/openapi.json`, and a page that shows it at `/schema`."""
    return ApiConfig(
        title="Tickertape",
        version="1",
        render_plugins=[_SchemaPage(_read(static / "schema.html")), JsonRenderPlugin()],
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            response_headers=SECURITY | {"Cache-Control": "no-cache"},
            after_request=_refuse_page_of_errors,
        ),
    )


class _SchemaPage(OpenAPIRenderPlugin):
    """The page that the build has made of a UI from npm; Litestar's own load theirs from another host."""

    def __init__(self, page: File | None) -> None:
        super().__init__(path="/")
        self._page = page

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - Litestar's form
        return self._page.content if self._page else _NOT_BUILT.encode()


async def _refuse_page_of_errors(response: Response[Any]) -> Response[Any]:
    # Litestar answers an unknown path below the schema with HTML of its own; ours are problems.
    if response.status_code == 404:
        raise NotFoundException
    return response


def _read(path: Path) -> File | None:
    return File.read(path) if path.is_file() else None


def _route(paths: list[str], answer: Callable[..., Response[Any]]) -> HTTPRouteHandler:
    methods = [HttpMethod.GET, HttpMethod.HEAD]
    return route(paths, http_method=methods, include_in_schema=False, sync_to_thread=False)(answer)
