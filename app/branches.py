"""The digest of a branch: a conversation's history so far, as a client that sends it whole with every turn knows it.

So it holds what such a client is given and sends back, and nothing else: no reasoning, no call of a tool that the
responder ran itself, and no difference in how JSON is spelled. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain

import msgspec

from app.messages import Message, Reply
from responders.base import Image, Part, Text, ToolCall, ToolResult, Turn

DIGEST_BYTES = 16
CLIENT = "client"
"""The responder of a reply that a client sent as a part of its history: nobody here knows who wrote it."""
_ROOT = b""
_MERGED = {"assistant", "tool"}


def digest(before: bytes, turn: Turn | Message) -> bytes:
    """Return the digest of the branch that ends with a turn; `before` is that of its parent, empty at the root."""
    text = "".join(part.text for part in turn.parts if isinstance(part, Text))
    # Clients like to cut the white space around an answer.
    said = text.strip() if turn.role == "assistant" else text
    # A reply that was stopped asks for nothing any more, so nobody is told of its calls.
    stopped = isinstance(turn, Reply) and turn.status == "cancelled"
    content = msgspec.json.encode([turn.role, said, *_beside(turn.parts, () if stopped else open_calls(turn.parts))])
    return hashlib.blake2b(before + content, digest_size=DIGEST_BYTES).digest()


def digests(turns: Sequence[Turn]) -> list[bytes]:
    """Return the digest of the branch at each of its turns."""
    return list(accumulate(turns, digest, initial=_ROOT))[1:]


def answers(message: Message) -> bool:
    """Whether a message is an answer that was given here."""
    return isinstance(message, Reply) and message.responder != CLIENT


def merged(turns: Sequence[Turn]) -> list[Turn]:
    """Return turns as a branch holds them: what an assistant says, or tools give, without a word between is one."""
    runs: list[list[Turn]] = []
    for turn in turns:
        if runs and turn.role in _MERGED and runs[-1][0].role == turn.role:
            runs[-1].append(turn)
        else:
            runs.append([turn])
    return [run[0] if len(run) == 1 else _joined(run) for run in runs]


def _joined(run: Sequence[Turn]) -> Turn:
    parts = tuple(chain.from_iterable(turn.parts for turn in run))
    return Turn(run[0].role, parts, "".join(turn.text for turn in run))


def open_calls(parts: Sequence[Part]) -> list[ToolCall]:
    """Return the tool calls whose result is not among the parts: those that whoever asked is to run."""
    given = {part.call_id for part in parts if isinstance(part, ToolResult)}
    return [part for part in parts if isinstance(part, ToolCall) and part.call_id not in given]


def _beside(parts: Sequence[Part], calls: Sequence[ToolCall]) -> Iterator[list[str]]:
    called = {part.call_id for part in parts if isinstance(part, ToolCall)}
    for call in calls:
        yield ["call", call.call_id, call.name, _plain(call.arguments)]
    for part in parts:
        match part:
            case Image(url):
                yield ["image", url]
            case ToolResult(call_id, result) if call_id not in called:
                yield ["result", call_id, result]


def _plain(arguments: str) -> str:
    """Return JSON spelled in one way; what is no JSON as it is."""
    try:
        return msgspec.json.encode(msgspec.json.decode(arguments), order="deterministic").decode()
    except (msgspec.DecodeError, RecursionError):
        return arguments
