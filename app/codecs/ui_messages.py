"""The AI SDK's UI message stream: one reply as the chunks that `useChat` reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec

from app.codecs.delta import Delta, read_delta
from app.events import Record, ReplyEnded, ReplyToolCall, ReplyToolResult
from responders.base import FinishReason

DONE = b"data: [DONE]\n\n"

_FINISH: dict[FinishReason | None, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
    None: "other",
}


_encode = msgspec.json.Encoder().encode


class UIMessages:
    """What of one reply was sent so far; `step` gives the chunks of its next records.

    A call of a tool waits for its result, which says that the responder has run it itself; at the reply's end those
    are left that whoever asked is to run. A chunk for a part that was not begun would end the client's stream with an
    error.
    """

    def __init__(self, reply_id: str) -> None:
        self._reply_id = reply_id
        self._part: tuple[int, str] | None = None
        self._calls: list[ReplyToolCall] = []
        self._called: set[str] = set()
        self.ended = False

    def opening(self, metadata: dict[str, str]) -> bytes:
        """Return what comes first."""
        start = _chunk({"type": "start", "messageId": self._reply_id, "messageMetadata": metadata})
        return start + _chunk({"type": "start-step"})

    def step(self, records: Sequence[Record]) -> bytes:
        """Return the chunks of records, and take note of them; those of other replies are passed over."""
        return b"".join(chunk for record in records for chunk in self._chunks(record))

    def _chunks(self, record: Record) -> Iterator[bytes]:
        if record.type == "reply.delta":
            yield from self._text(read_delta(record.data))
        elif record.type in ("reply.tool_call", "reply.tool_result", "reply.ended"):
            match record.event():
                case ReplyToolCall() as call if call.reply_id == self._reply_id:
                    yield self._close()
                    self._calls.append(call)
                case ReplyToolResult() as result if result.reply_id == self._reply_id:
                    yield self._close()
                    yield from self._result(result)
                case ReplyEnded() as ending if ending.reply_id == self._reply_id:
                    yield from self._end(ending)

    def _text(self, delta: Delta) -> Iterator[bytes]:
        if delta.reply_id != self._reply_id:
            return
        kind = "reasoning" if delta.kind else "text"
        if self._part is None or self._part[0] != delta.part:
            yield self._close()
            self._part = delta.part, kind
            yield _chunk({"type": f"{kind}-start", "id": str(delta.part)})
        yield b'data: {"type":"%s-delta","id":"%d","delta":%s}\n\n' % (kind.encode(), delta.part, delta.text)

    def _close(self) -> bytes:
        if self._part is None:
            return b""
        (part, kind), self._part = self._part, None
        return _chunk({"type": f"{kind}-end", "id": str(part)})

    def _result(self, result: ReplyToolResult) -> Iterator[bytes]:
        waiting = [call for call in self._calls if call.call_id == result.call_id]
        self._calls = [call for call in self._calls if call.call_id != result.call_id]
        yield from map(partial(self._tell_call, executed=True), waiting)
        if result.call_id in self._called:
            chunk = {"type": "tool-output-available", "toolCallId": result.call_id, "output": _plain(result.result)}
            yield _chunk({**chunk, "providerExecuted": True})
        else:
            yield _chunk({"type": "data-tool-result", "data": {"call_id": result.call_id, "result": result.result}})

    def _tell_call(self, call: ReplyToolCall, *, executed: bool) -> bytes:
        self._called.add(call.call_id)
        more = {"providerExecuted": True} if executed else {}
        chunk = {"toolCallId": call.call_id, "toolName": call.name, **more}
        try:
            arguments = msgspec.json.decode(call.arguments or "{}")
        except (msgspec.DecodeError, RecursionError):
            wrong = {"type": "tool-input-error", "input": call.arguments, "errorText": "The arguments are no JSON."}
            return _chunk({**wrong, **chunk})
        return _chunk({"type": "tool-input-available", "input": arguments, **chunk})

    def _end(self, ending: ReplyEnded) -> Iterator[bytes]:
        self.ended = True
        yield self._close()
        # A reply that was stopped asks for nothing any more.
        if ending.status != "cancelled":
            yield from map(partial(self._tell_call, executed=False), self._calls)
        yield _chunk({"type": "finish-step"})
        match ending.status:
            case "completed":
                metadata = {"usage": ending.usage, "text_sha256": ending.text_sha256}
                finish = _FINISH[ending.finish_reason]
                yield _chunk({"type": "finish", "finishReason": finish, "messageMetadata": metadata})
            case "cancelled":
                yield _chunk({"type": "abort", "reason": "The reply was stopped."})
            case "failed" | "interrupted":
                text = ending.error.message if ending.error else "The server ended while the reply was written."
                yield _chunk({"type": "error", "errorText": text})
        yield DONE


def _plain(result: str) -> Any:
    """Return what a tool gave as the JSON that it may be, else as text."""
    try:
        return msgspec.json.decode(result)
    except (msgspec.DecodeError, RecursionError):
        return result


def _chunk(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encode(chunk) + b"\n\n"
