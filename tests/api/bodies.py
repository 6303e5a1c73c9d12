"""The calls that take a JSON body, and bodies that are not what they should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import httpx

from tests.api.watched import WatchedServer, path_of, reply_path


class Call(NamedTuple):
    """A call with a body, which may be `optional`; `text` is its required text field, if it has one."""

    method: str
    path: str
    text: str | None
    optional: bool = False


CALLS = {
    "create": Call("POST", "/conversations", "prompt"),
    "ask": Call("POST", "{conversation}/messages", "prompt"),
    "rename": Call("PATCH", "{conversation}", "title"),
    "retry": Call("POST", "{reply}/retry", None, optional=True),
    "stop": Call("POST", "{reply}/stop", None, optional=True),
    "say": Call("POST", "/send-message", "message"),
}


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
