"""Reads requests: bodies, queries, headers. JSON is read by us, strictly: every byte comes from somebody unknown.

`msgspec` alone accepts duplicate keys, and Litestar answers its decoding errors with 500 here and there.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import msgspec
from litestar import Request
from litestar.types import Empty
from litestar.utils.scope.state import ScopeState

from app.errors import Invalid, Malformed, TickertapeError, TooLarge, Unsupported
from app.idempotency import Key

S = TypeVar("S")
T = TypeVar("T")

PRINCIPAL = "local"
"""Who asks, until authentication exists."""
OPTIONS_BYTES = 64 * 1024
"""How much of a body the options may be, beside its texts."""
_FRAME_BYTES = 4096
"""How much of a body is room for the names of its fields, ids, and white space."""
_AT_ONCE = 16 * 1024
_LONG = 512 * 1024
_LONGEST_INTEGER = 1000
_LONGEST_PATH = 100
_LONGEST_REASON = 300
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_NESTED = re.compile(r"(Object .*`) - at `\$(\.conversation|\.messages\[[0-9]+\][\w.\[\]]*)`", re.DOTALL)


def body_limit(*texts: int) -> int:
    """Return how long a body may be that holds texts of so many bytes, each of them spelled in six as `\\u0041`."""
    return _FRAME_BYTES + 6 * sum(texts)


async def read_json(request: Request[Any, Any, Any], type: type[T], limit: int, *, optional: bool = False) -> T:
    """Return a body of at most `limit` bytes as `type`; with `optional`, no body at all reads as `{}`.

    Raises `TooLarge`, `Unsupported`, `Malformed` and `Invalid`.
    """
    return convert(await parse(await read_body(request, limit, optional=optional)), type)


async def parse(body: bytes) -> Any:
    """Return the JSON of a body; a large one is read in a thread, so that nobody's tokens wait. Raises `Malformed`."""
    return _parse(body) if len(body) <= _AT_ONCE else await asyncio.to_thread(_parse, body)


def convert(value: Any, type: type[T]) -> T:
    """Return JSON as `type`. Raises `Invalid`."""
    try:
        return msgspec.convert(value, type)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error


async def read_body(request: Request[Any, Any, Any], limit: int, *, optional: bool = False) -> bytes:
    """Return a body of at most `limit` bytes that says it is JSON. Raises `TooLarge` and `Unsupported`."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise Unsupported(f"A body is sent as it is, without Content-Encoding: {encoding[:40]!r} is not read.")
    body = await _read_body(request, limit)
    if not body and optional:
        return b"{}"
    _check_content_type(request)
    return body


def forget_body(request: Request[Any, Any, Any]) -> None:
    """Let go of a body that was read: a request and its connection hold each other until the collector comes."""
    request._body = ScopeState.from_scope(request.scope).body = Empty  # noqa: SLF001 - nothing else empties it


async def read_structs(body: bytes, type: type[S], take: Callable[[S], T]) -> T:
    """Return what `take` makes of a body that may be very long; then all of it is done in a thread.

    Raises `Malformed`, `Invalid`, and what `take` does.
    """
    if len(body) <= _AT_ONCE:
        return _take_structs(body, type, take)
    return await asyncio.to_thread(_take_structs, body, type, take)


async def wait_at_most(
    request: Request[Any, Any, Any], seconds: float | None, waiting: Coroutine[Any, Any, None], *, read: bool = False
) -> None:
    """Await something while the time is not up, where there is one, and the client has not hung up.

    `read` says that the request's body was read already.
    """
    tasks = {asyncio.create_task(waiting), asyncio.create_task(_hang_up(request, read=read))}
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()


async def idempotency_key(request: Request[Any, Any, Any]) -> Key | None:
    """Return the request's idempotency key, or None where it has none. Raises `Malformed`."""
    given = request.headers.getall("idempotency-key", [])
    if not given:
        return None
    key = given[0] if len(given) == 1 else ""
    return await make_key(request.method, request.scope["path"], key, await request.body())


async def make_key(method: str, path: str, key: str, body: bytes) -> Key:
    """Return the key of what is to be done once. Raises `Malformed`."""
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise Malformed("An Idempotency-Key is sent once and has 1 to 255 printable ASCII characters.")
    asked = (PRINCIPAL, method, path, key, body)
    return Key.of(*asked) if len(body) <= _AT_ONCE else await asyncio.to_thread(Key.of, *asked)


def query(request: Request[Any, Any, Any], name: str) -> str | None:
    """Return a query value, None where it is absent or empty. Raises `Invalid` when it is given twice."""
    values = request.query_params.getall(name, [])
    if len(values) > 1:
        raise Invalid(f"{name} is given more than once.", name)
    return values[0] or None if values else None


def query_number(request: Request[Any, Any, Any], name: str, default: float, low: float, high: float) -> float:
    """Return a query value that is a plain decimal number from `low` to `high`. Raises `Invalid`."""
    text = query(request, name)
    if text is None:
        return default
    plain = len(text) <= 9 and text.isascii() and text.replace(".", "", 1).isdigit()
    if not plain or not low <= float(text) <= high:
        raise Invalid(f"{name} is a number from {low:.12g} to {high:.12g}.", name)
    return float(text)


def query_count(request: Request[Any, Any, Any], name: str, default: int, low: int, high: int) -> int:
    """Return a query value that is a plain whole number from `low` to `high`. Raises `Invalid`."""
    number = query_number(request, name, default, low, high)
    if "." in (query(request, name) or ""):
        raise Invalid(f"{name} is a whole number from {low} to {high}.", name)
    return int(number)


def query_choice(request: Request[Any, Any, Any], name: str, choice: str) -> bool:
    """Return whether a query value is given; the only one it can have is `choice`. Raises `Invalid`."""
    text = query(request, name)
    if text not in (None, choice):
        raise Invalid(f"{name} can only be {choice!r}.", name)
    return text is not None


def cursor_of(request: Request[Any, Any, Any]) -> str | None:
    """Return the cursor as it was sent: the header, else the query; a malformed one too, which has a verdict."""
    headers = request.headers.getall("last-event-id", [])
    given = [value for value in headers if value] or [v for v in request.query_params.getall("after", []) if v]
    return "\n".join(given) or None


async def _read_body(request: Request[Any, Any, Any], limit: int) -> bytes:
    """Read a body, but no further than it may be long: by what it says of itself, and by what arrives."""
    if (request.content_length or 0) > limit:
        raise TooLarge("The body is too large.")
    receive, length = request.receive, 0

    async def receive_some() -> Any:
        nonlocal length
        message: Any = await receive()
        length += len(message.get("body", b""))
        if length > limit:
            raise TooLarge("The body is too large.")
        return message

    request.receive = receive_some
    return await request.body()


async def _hang_up(request: Request[Any, Any, Any], *, read: bool) -> None:
    """Return when the client sends no more: one that is gone, and one that still reads, look the same then."""
    while not read:
        message = await request.receive()
        read = message["type"] != "http.request" or not message["more_body"]
    await request.receive()


def _check_content_type(request: Request[Any, Any, Any]) -> None:
    media_type, options = request.content_type
    charset = options.get("charset", "utf-8").strip("\"'").lower()
    if media_type.lower() != "application/json" or charset not in ("utf-8", "utf8"):
        raise Unsupported("The body must be application/json in UTF-8.")


def _parse(body: bytes) -> Any:
    if body.startswith(codecs.BOM_UTF8):
        raise Malformed("The body is not JSON: it begins with a byte order mark.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_integer
        )
        # Lone surrogates are what JSON can spell and UTF-8 cannot hold.
        if "\\u" in text:
            msgspec.json.encode(value)
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except UnicodeEncodeError as error:
        raise Malformed("The body holds half a character: a lone surrogate.") from error
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}.") from error
    return value


def _take_structs(body: bytes, type: type[S], take: Callable[[S], T]) -> T:
    long = len(body) > _LONG
    try:
        if not long:
            _parse(body)
        taken = take(_decode(body, type))
        if long:
            # After it has passed as structs: millions of empty lists, as objects, would hold up everybody.
            _parse(body)
        return taken
    except TickertapeError as error:
        # The frames of what failed hold the value: they go here, in the thread, and not on the loop.
        error.__context__ = error.__cause__ = None
        raise error.with_traceback(None) from None


def _decode(body: bytes, type: type[S]) -> S:
    try:
        return msgspec.json.decode(body, type=type)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Invalid("The field is given more than once.", key[:_LONGEST_PATH])
            seen.add(key)
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _number(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _too_large(text)
    return number


def _integer(text: str) -> int:
    # Python refuses to read more than 4,300 digits, and tells so in its own words.
    if len(text) > _LONGEST_INTEGER:
        raise _too_large(text)
    return int(text)


def _too_large(text: str) -> Invalid:
    return Invalid(f"The number {text[:40]} is too large.")


def _refusal(text: str) -> Invalid:
    """Return msgspec's message, such as "Expected `str`, got `int` - at `$.prompt`", with its path taken out."""
    within = ""
    # Somebody's key may look like a place, so only what can be one of ours is taken for it.
    if nested := _NESTED.fullmatch(text):
        text, within = nested[1], nested[2][1:] + "."
    if unknown := _UNKNOWN.fullmatch(text):
        reason, field = "There is no such field here.", unknown[1][:_LONGEST_PATH]
    elif missing := _MISSING.fullmatch(text):
        reason, field = "The field is missing.", missing[1]
    else:
        reason, _, field = text.partition(" - at `$")
        reason, field = f"{reason[:_LONGEST_REASON]}.", field.rstrip("`").lstrip(".")
    return Invalid(reason, within + field)
