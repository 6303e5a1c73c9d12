"""OpenAI's chat completions: one reply as the chunks of a stream, or as a whole answer. Pure.

A call of a tool is told at the reply's end: until then its result may follow, and it was one that the responder has run
itself. Nobody waits longer for that, since a call is one event, and the last thing that a reply says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from app.branches import open_calls
from app.codecs.delta import read_delta
from app.codecs.openai_error import reply_error, server_error
from app.events import Record, ReplyEnded, ReplyToolCall, ReplyToolResult
from app.messages import Ending, Reply
from responders.base import FinishReason, Reasoning, ToolCall, ToolResult, Usage

DONE = b"data: [DONE]\n\n"
_TEXT = "\0"
"""What stands in a chunk where the text of a piece will."""


class CalledFunction(msgspec.Struct, frozen=True):
    """Which function is to be called; `arguments` is JSON text."""

    name: str
    arguments: str


class ChatToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool that whoever asked is to run; in a stream it has an `index`."""

    index: int | UnsetType = UNSET
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatUsage(msgspec.Struct, frozen=True):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatDelta(msgspec.Struct, frozen=True, kw_only=True):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: Sequence[ChatToolCall] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one choice of a chunk."""

    index: int = 0
    delta: ChatDelta
    logprobs: None = None
    finish_reason: FinishReason | None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of a chat completion; with `include_usage` each has a `usage`, which is null in all but the last."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: Sequence[ChunkChoice]
    usage: ChatUsage | UnsetType | None = UNSET


class ChatAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The message of a chat completion."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    reasoning_content: str | UnsetType = UNSET
    tool_calls: Sequence[ChatToolCall] | UnsetType = UNSET


class ChatChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The one choice of a chat completion."""

    index: int = 0
    message: ChatAnswer
    logprobs: None = None
    finish_reason: FinishReason


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A chat completion: a reply that has ended."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: Sequence[ChatChoice]
    usage: ChatUsage


_encode = msgspec.json.Encoder().encode


class ChatChunks:
    """What of one reply was told so far; `step` gives the frames of its next records."""

    def __init__(self, reply: Reply, *, include_usage: bool = False) -> None:
        self.ended = False
        self._reply_id = reply.id
        self._calls: list[ToolCall | ToolResult] = []
        self._include_usage = include_usage
        self._chunk = ChatChunk(
            id=completion_id(reply.id),
            created=_seconds(reply.created_at),
            model=reply.responder,
            choices=(),
            usage=None if include_usage else UNSET,
        )
        # A piece of text is spliced, as the JSON that is stored, between what is the same for all of them.
        self._around_text = self._around(ChatDelta(content=_TEXT))
        self._around_reasoning = self._around(ChatDelta(reasoning_content=_TEXT))

    def opening(self) -> bytes:
        """Return what comes first: whose message it is."""
        return self._frame(ChatDelta(role="assistant", content=""))

    def step(self, records: Iterable[Record]) -> bytes:
        """Return the frames of records, and take note of them; those of other replies are passed over."""
        frames: list[bytes | msgspec.Raw] = []
        for record in records:
            if record.type == "reply.delta":
                delta = read_delta(record.data)
                if delta.reply_id == self._reply_id:
                    before, after = self._around_reasoning if delta.kind else self._around_text
                    frames += (before, delta.text, after)
            elif record.type in ("reply.tool_call", "reply.tool_result", "reply.ended"):
                frames.append(self._other(record))
        return b"".join(frames)

    def _other(self, record: Record) -> bytes:
        match record.event():
            case ReplyToolCall(reply_id, _, call_id, name, arguments) if reply_id == self._reply_id:
                self._calls.append(ToolCall(call_id, name, arguments))
            case ReplyToolResult(reply_id, _, call_id, result) if reply_id == self._reply_id:
                self._calls.append(ToolResult(call_id, result))
            case ReplyEnded() as ending if ending.reply_id == self._reply_id:
                self.ended = True
                return self._end(ending)
        return b""

    def _end(self, ending: ReplyEnded) -> bytes:
        if ending.status in ("failed", "interrupted"):
            return frame_of(reply_error(ending.error))
        calls = _told(open_calls(self._calls), ending.status)
        told = [_shown(call, index) for index, call in enumerate(calls)]
        frames = [self._frame(ChatDelta(tool_calls=told))] if told else []
        frames.append(self._frame(ChatDelta(), _finish_reason(ending.finish_reason, calls)))
        if self._include_usage:
            frames.append(frame_of(msgspec.structs.replace(self._chunk, usage=_usage(ending.usage))))
        return b"".join([*frames, DONE])

    def _frame(self, delta: ChatDelta, finish_reason: FinishReason | None = None) -> bytes:
        choice = ChunkChoice(delta=delta, finish_reason=finish_reason)
        return frame_of(msgspec.structs.replace(self._chunk, choices=(choice,)))

    def _around(self, delta: ChatDelta) -> tuple[bytes, bytes]:
        before, _, after = self._frame(delta).rpartition(_encode(_TEXT))
        return before, after


def completion(reply: Reply) -> ChatCompletion:
    """Return a reply that has completed, or was cancelled, as a whole answer."""
    calls = _told(open_calls(reply.parts), reply.status)
    reasoning = "".join(part.text for part in reply.parts if isinstance(part, Reasoning))
    answer = ChatAnswer(
        content=reply.text if reply.text or not calls else None,
        reasoning_content=reasoning or UNSET,
        tool_calls=[_shown(call) for call in calls] or UNSET,
    )
    return ChatCompletion(
        id=completion_id(reply.id),
        created=_seconds(reply.created_at),
        model=reply.responder,
        choices=(ChatChoice(message=answer, finish_reason=_finish_reason(reply.finish_reason, calls)),),
        usage=_usage(reply.usage or Usage(0, 0, 0)),
    )


def completion_id(reply_id: str) -> str:
    """Return the id of a reply as a chat completion."""
    return f"chatcmpl-{reply_id}"


def frame_of(content: msgspec.Struct) -> bytes:
    """Return a frame of this dialect: no id and no event."""
    return b"data: %b\n\n" % _encode(content)


CUT = frame_of(server_error("stream_ended", "The stream had to end before its reply."))
"""The last frame of a stream that has to end early."""


def _told(calls: Sequence[ToolCall], status: Ending | str) -> Sequence[ToolCall]:
    """Return the calls that a client is told of: a reply that was stopped asks for nothing any more."""
    return () if status == "cancelled" else calls


def _shown(call: ToolCall, index: int | UnsetType = UNSET) -> ChatToolCall:
    return ChatToolCall(index=index, id=call.call_id, function=CalledFunction(call.name, call.arguments))


def _finish_reason(reason: FinishReason | None, calls: Sequence[ToolCall]) -> FinishReason:
    """Return why the reply is over; clients run tools where it is for their calls, and only there."""
    if reason in ("length", "content_filter"):
        return reason
    return "tool_calls" if calls else "stop"


def _usage(usage: Usage) -> ChatUsage:
    return ChatUsage(usage.input_tokens, usage.output_tokens, usage.total_tokens)


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
