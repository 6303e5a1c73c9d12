"""The events of OpenAI's Responses API: one reply as typed, numbered frames. Pure.

The numbers follow from the reply's events alone, so whoever reads it again, from whichever of them on, gets the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from app.branches import open_calls
from app.codecs.delta import Delta, read_delta
from app.codecs.openai_response import (
    Echo,
    FunctionCall,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    SummaryText,
    failure,
    function_call,
    item_id,
    last_status,
    show,
)
from app.events import Record, ReplyCreated, ReplyEnded, ReplyStarted, ReplyToolCall, ReplyToolResult
from app.messages import Parameters, Reply
from responders.base import ToolCall, ToolResult

DONE = b"data: [DONE]\n\n"

_FRAME = b"event: %b\ndata: %b\n\n"
_DELTA = (
    b"event: %(text)b.delta\n"
    b'data: {"type":"%(text)b.delta","sequence_number":%%d,"item_id":"%(id)b","output_index":%(output)d,'
    b'"%(place)b":0,"delta":%%b%(more)b}\n\n'
)
_encode = msgspec.json.Encoder().encode


class _Kind(NamedTuple):
    """How a text or a reasoning part is told; the summary is the form of reasoning that all clients read alike."""

    prefix: str
    item: Callable[..., OutputItem]
    part: Callable[[str], OutputText | SummaryText]
    part_event: str
    text_event: str
    place: str
    more: dict[str, list[Any]]


_TEXT = _Kind(
    "msg",
    OutputMessage,
    OutputText,
    "response.content_part",
    "response.output_text",
    "content_index",
    {"logprobs": []},
)
_REASONING = _Kind(
    "rs",
    ReasoningItem,
    SummaryText,
    "response.reasoning_summary_part",
    "response.reasoning_summary_text",
    "summary_index",
    {},
)


class _Open:
    """The item that grows: its place, and its text so far as the inside of a JSON string."""

    __slots__ = ("delta", "kind", "place", "text", "where")

    def __init__(self, kind: _Kind, owner: str, place: int) -> None:
        id = item_id(kind.prefix, owner, place)
        self.kind = kind
        self.place = place
        self.where = {"item_id": id, "output_index": place, kind.place: 0}
        self.text = bytearray()
        self.delta = _DELTA % {
            b"text": kind.text_event.encode(),
            b"id": id.encode(),
            b"output": place,
            b"place": kind.place.encode(),
            b"more": b"".join(b',"%b":%b' % (name.encode(), _encode(value)) for name, value in kind.more.items()),
        }

    def item(self, status: str, *content: OutputText | SummaryText) -> OutputItem:
        return self.kind.item(self.where["item_id"], status, content)


class ResponseEvents:
    """What of one reply was told so far; `step` gives the frames of its next records, those after number `after`.

    Calls of tools wait for the end: until then a result may say that the responder has run them itself.
    """

    def __init__(self, conversation_id: str, reply_id: str, parameters: Parameters, after: int = -1) -> None:
        self.ended = False
        self._conversation_id = conversation_id
        self._reply_id = reply_id
        self._owner = conversation_id + reply_id
        self._parameters = parameters
        self._after = after
        self._next = 0
        self._reply: Reply
        self._part: int | None = None
        self._open: _Open | None = None
        self._items: list[OutputItem] = []
        self._tools: list[ToolCall | ToolResult] = []
        self._frames: list[bytes] = []

    def step(self, records: Iterable[Record]) -> bytes:
        """Return the frames of records, and take note of them; those of other replies are passed over."""
        for record in records:
            if record.type == "reply.delta":
                self._delta(read_delta(record.data))
            elif record.type.startswith("reply."):
                self._other(record)
        frames, self._frames = b"".join(self._frames), []
        return frames

    def _delta(self, delta: Delta) -> None:
        if delta.reply_id != self._reply_id:
            return
        if delta.part != self._part or self._open is None:
            self._begin(_REASONING if delta.kind else _TEXT, delta.part)
        assert self._open  # noqa: S101 - begun just now, if not before
        self._open.text += memoryview(delta.text)[1:-1]
        number = self._next
        self._next += 1
        if number > self._after:
            self._frames.append(self._open.delta % (number, delta.text))

    def _other(self, record: Record) -> None:
        match record.event():
            case ReplyCreated(reply) if reply.id == self._reply_id:
                self._create(reply)
            case ReplyStarted(reply_id, at) if reply_id == self._reply_id:
                self._reply = msgspec.structs.replace(self._reply, status="running", started_at=at)
                self._tell("response.in_progress", response=self._response())
            case ReplyToolCall(reply_id, _, call_id, name, arguments) if reply_id == self._reply_id:
                self._close("completed")
                self._tools.append(ToolCall(call_id, name, arguments))
            case ReplyToolResult(reply_id, _, call_id, result) if reply_id == self._reply_id:
                self._close("completed")
                self._tools.append(ToolResult(call_id, result))
            case ReplyEnded() as ending if ending.reply_id == self._reply_id:
                self._end(ending)

    def _create(self, reply: Reply) -> None:
        # Only a background response is said to wait: whoever reads along is told of the beginning as of one.
        background = Echo.of(self._parameters).background
        self._reply = reply if background else msgspec.structs.replace(reply, status="running")
        self._tell("response.created", response=self._response())
        if background:
            self._tell("response.queued", response=self._response())

    def _begin(self, kind: _Kind, part: int) -> None:
        self._close("completed")
        self._part = part
        self._open = begun = _Open(kind, self._owner, len(self._items))
        self._tell("response.output_item.added", output_index=begun.place, item=begun.item("in_progress"))
        self._tell(f"{kind.part_event}.added", **begun.where, part=kind.part(""))

    def _close(self, status: str) -> None:
        if self._open is None:
            return
        closed, self._open = self._open, None
        kind, text = closed.kind, _json(b'"%b"' % bytes(closed.text))
        part = kind.part(text)
        self._tell(f"{kind.text_event}.done", **closed.where, text=text, **kind.more)
        self._tell(f"{kind.part_event}.done", **closed.where, part=part)
        self._finish(closed.place, closed.item(status, part))

    def _finish(self, place: int, item: OutputItem) -> None:
        self._items.append(_json(_encode(item)))
        self._tell("response.output_item.done", output_index=place, item=self._items[-1])

    def _call(self, item: FunctionCall) -> None:
        place = len(self._items)
        begun = msgspec.structs.replace(item, arguments="", status="in_progress")
        where = {"item_id": item.id, "output_index": place}
        self._tell("response.output_item.added", output_index=place, item=begun)
        self._tell("response.function_call_arguments.delta", **where, delta=item.arguments)
        self._tell("response.function_call_arguments.done", **where, name=item.name, arguments=item.arguments)
        self._finish(place, item)

    def _end(self, ending: ReplyEnded) -> None:
        self._reply = reply = msgspec.structs.replace(
            self._reply,
            status=ending.status,
            ended_at=ending.at,
            finish_reason=ending.finish_reason,
            usage=ending.usage,
            error=None if ending.error is msgspec.UNSET else ending.error,
        )
        self._close(last_status(reply))
        for call in open_calls(self._tools):
            self._call(function_call(self._owner, len(self._items), call))
        response = self._response()
        if response.status == "failed":
            # Flat: OpenAI's own library raises at any event that has a field `error`.
            code = reply.error.code if reply.error else "interrupted"
            self._tell("error", code=code, message=failure(reply), param=None)
        whole = response.status in ("completed", "failed")
        self._tell(f"response.{response.status if whole else 'incomplete'}", response=response)
        self._frames.append(DONE)
        self.ended = True

    def _response(self) -> Any:
        return show(self._conversation_id, self._reply, self._parameters, self._items)

    def _tell(self, type: str, **fields: Any) -> None:
        number = self._next
        self._next += 1
        if number > self._after:
            data = _encode({"type": type, "sequence_number": number, **fields})
            self._frames.append(_FRAME % (type.encode(), data))


def _json(encoded: bytes) -> Any:
    """Return what is JSON already, for a place where a value belongs that is encoded once more with others."""
    return msgspec.Raw(encoded)
