"""The heads of requests and of refusals: what is checked beyond the parser, before any call is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from app.api.problems import RETRY_AFTER, encode_problem

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100

Header = tuple[bytes, bytes]

TOO_LARGE = (
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    f"A request's head has at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers.",
)
NO_PATH = (HTTPStatus.BAD_REQUEST, "The target of a request is a path.")
_VERSION = (HTTPStatus.BAD_REQUEST, "The versions of HTTP are 1.1 and 1.0 here.")
_ENCODING = (HTTPStatus.BAD_REQUEST, "The one transfer encoding is chunked, in HTTP/1.1.")
_OTHER_HOST = (HTTPStatus.BAD_REQUEST, "The target of the request names another host than Host does.")
_END = b"\r\n\r\n"
_WHOLE_URL = re.compile(rb"https?://([^/?#]+)/?(.*)", re.IGNORECASE | re.DOTALL)


class Refused(Exception):
    """A head that is not taken; the arguments are a status and a sentence."""


def check_head(version: str, target: bytes, headers: list[Header]) -> bytes:
    """Return the path and query that a request is for. Raises `Refused` for what the parser takes and we do not."""
    if len(headers) > MAX_HEADERS:
        raise Refused(*TOO_LARGE)
    if version not in ("1.1", "1.0"):
        raise Refused(*_VERSION)
    for name, value in headers:
        if name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
            raise Refused(*_ENCODING)
    if whole := _WHOLE_URL.fullmatch(target):
        if [value for name, value in headers if name == b"host"] != [whole[1]]:
            raise Refused(*_OTHER_HOST)
        target = b"/" + whole[2]
    if not target.startswith(b"/") or b"#" in target:
        raise Refused(*NO_PATH)
    return target


def is_handshake(method: bytes, version: bytes, headers: list[Header]) -> bool:
    """Whether a request opens a WebSocket (RFC 6455, 4.2.1), and brings nothing else."""
    if any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers):
        return False
    given = Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])
    request = Request("/", given, method.decode(), f"HTTP/{version.decode()}")
    return ServerProtocol().accept(request).status_code == HTTPStatus.SWITCHING_PROTOCOLS


def find_end(before: bytes, data: bytes, start: int) -> int:
    """Return where the first empty line behind `start` ends, or all ends; it may have begun in the bytes before."""
    if (found := (before + data[start : start + 3]).find(_END)) >= 0:
        return start + found + len(_END) - len(before)
    found = data.find(_END, start)
    return found + len(_END) if found >= 0 else len(data)


def write_problem(status: HTTPStatus, detail: str, default_headers: Iterable[Header]) -> bytes:
    """Return a whole response, the last one of its connection."""
    body = encode_problem(status, detail)
    headers = [
        *default_headers,
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    if status in RETRY_AFTER:
        headers.append((b"retry-after", RETRY_AFTER[status].encode()))
    return b"%b%b\r\n%b" % (STATUS_LINE[status], b"".join(b"%b: %b\r\n" % header for header in headers), body)
