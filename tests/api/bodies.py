"""The calls that take a JSON body, and bodies that are not what they should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx

from tests.api.watched import WatchedServer, path_of, reply_path


class Call(NamedTuple):
    """A call whose body, which may be `optional`, has at most `limit` bytes; `text` is its required text field."""

    method: str
    path: str
    text: str | None
    limit: int
    optional: bool = False


FRAME = 4096
OPTIONS = 6 * 65_536
PROMPT = 6 * 262_144
TITLE = 6 * 4 * 500
BROADCAST = 6 * 65_536
"""What a body has room for: its texts with every byte spelled as `\\u0041`."""

CALLS = {
    "create": Call("POST", "/conversations", "prompt", FRAME + 2 * PROMPT + OPTIONS + TITLE),
    "ask": Call("POST", "{conversation}/messages", "prompt", FRAME + PROMPT + OPTIONS),
    "rename": Call("PATCH", "{conversation}", "title", FRAME + TITLE),
    "retry": Call("POST", "{reply}/retry", None, FRAME + OPTIONS, optional=True),
    "stop": Call("POST", "{reply}/stop", None, FRAME, optional=True),
    "import": Call("POST", "/conversations/import", None, 8 * 2**20),
    "say": Call("POST", "/send-message", "message", FRAME + BROADCAST),
}


def taking(length: int) -> dict[str, Call]:
    """Return the calls that read a body so long."""
    return {name: call for name, call in CALLS.items() if length <= call.limit}


def place(call: Call, asked: dict[str, Any]) -> str:
    """Return the call's path on the conversation of a 201's body."""
    return call.path.format(conversation=path_of(asked), reply=reply_path(asked))


TEXT_CALLS = {name: call for name, call in CALLS.items() if call.text}


async def send_to_all(
    server: WatchedServer,
    asked: dict[str, Any],
    body: bytes | Callable[[Call], bytes],
    *,
    calls: Mapping[str, Call] = CALLS,
    **headers: str,
) -> list[httpx.Response]:
    """Send a body, or the one made for each call, to every call, and return the answers in the order of `calls`."""
    return [
        await server.send(
            place(call, asked), body if isinstance(body, bytes) else body(call), method=call.method, **headers
        )
        for call in calls.values()
    ]


def valid(call: Call) -> bytes:
    """Return a body that would be accepted."""
    return b'{"%b": "a quetzal sings"}' % call.text.encode() if call.text else b"{}"


def with_text(call: Call, text: bytes) -> bytes:
    """Return a body whose text field, or else an unknown one, is spelled like that."""
    return b'{"%b": "%b"}' % ((call.text or "responder").encode(), text)
