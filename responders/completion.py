"""A chat completion as it arrives: the data of each event in, pieces of a reply out. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from itertools import count
from typing import Any

import msgspec

from responders.base import Finish, FinishReason, Piece, Reasoning, ResponderError, ToolCall, Usage

MAX_CALLS = 128
MAX_CALL_CHARACTERS = 1024 * 1024
"""How many calls of tools one reply may hold, and how much they; they are handed on when they are whole, not before."""

DONE = b"[DONE]"
FINISHES: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class Function(msgspec.Struct, gc=False):
    """A piece of a call: the name in one, the arguments in any number of them."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct, gc=False):
    """A piece of one of the calls."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """What one event adds; some upstreams write `reasoning_content`, some `reasoning`, and some the same in both."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers; `message` is there where the whole answer comes at once."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """The data of one event, as far as it is read."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None


class Counts(msgspec.Struct):
    """Usage, in the words of this dialect."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int | None = None


class Broken(ResponderError):
    """What came is no chat completion; the message says why."""


class Reported(Exception):
    """The upstream reports an error in mid-reply: `data` is the JSON that it sent."""

    def __init__(self, data: bytes) -> None:
        super().__init__("the upstream reports an error")
        self.data = data


class Call:
    """A call of a tool while it is put together."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self._arguments = StringIO()

    def add(self, piece: CallDelta) -> None:
        """Add a piece; id and name count once, since some upstreams repeat them."""
        function = piece.function or Function()
        self.id = self.id or piece.id or ""
        self.name = self.name or function.name or ""
        self._arguments.write(function.arguments or "")

    @property
    def arguments(self) -> str:
        """The arguments, as JSON text if the model made no mistake."""
        return self._arguments.getvalue() or "{}"

    def flaw(self) -> str | None:
        """Return what is wrong with the call, as a sentence."""
        if not self.name:
            return "The model called a tool without its name."
        try:
            msgspec.json.decode(self.arguments)
        except (ValueError, RecursionError):
            return f"The model called the tool {self.name[:60]} with arguments that are not JSON."
        return None


_chunk = msgspec.json.Decoder(Chunk)


class Completion:
    """One reply, from its first event to its end.

    `finished`: a finish reason has come; after it come usage at most, and maybe nothing. `done`: nothing more comes.
    """

    def __init__(self) -> None:
        self.finished = False
        self.done = False
        self._reason = ""
        self._usage: object = None
        self._calls: list[Call] = []
        self._held = 0

    def read(self, data: bytes, type: bytes = b"") -> Iterator[Piece]:
        """Yield the pieces in the data of one event; raises `Broken` and `Reported`.

        A piece of a call is an empty text: nothing is written yet, but the upstream is at work.
        """
        if data == DONE:
            self.done = True
            return
        chunk = _decoded(data)
        if chunk.error not in (None, "") or type == b"error":
            raise Reported(data)
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            if choice.index:  # one answer is asked for, and it is number 0
                continue
            if delta := choice.delta or choice.message:
                yield from self._read(delta)
            if choice.finish_reason and not self.finished:
                self.finished, self._reason = True, choice.finish_reason
                if choice.finish_reason == "error":
                    raise Reported(data)

    def end(self) -> Iterator[Piece]:
        """Yield what can be told at the end alone: calls, usage, and why it ends. Raises `Broken`."""
        reason = FINISHES.get(self._reason, "stop")
        calls = list(self._whole_calls(reason))
        yield from calls
        if usage := _usage(self._usage):
            yield usage
        yield Finish("tool_calls" if calls and reason == "stop" else reason)

    def _read(self, delta: Delta) -> Iterator[Piece]:
        if thought := delta.reasoning_content or delta.reasoning:
            yield Reasoning(thought)
        if delta.content:
            yield delta.content
        if delta.refusal:
            yield delta.refusal
        for piece in delta.tool_calls or ():
            self._hold(piece)
            yield ""

    def _hold(self, piece: CallDelta) -> None:
        call = self._call_of(piece)
        call.add(piece)
        if piece.function:
            self._held += len(piece.function.arguments or "")
        if self._held > MAX_CALL_CHARACTERS or len(self._calls) > MAX_CALLS:
            raise Broken("The model called tools with more than the server takes.")

    def _call_of(self, piece: CallDelta) -> Call:
        """Return the call that a piece belongs to, by its id, else the newest of its index, or of all without one.

        Some upstreams give every call the index 0, or none: so an id that differs begins a new one.
        """
        calls = [call for call in self._calls if piece.index in (None, call.index)]
        if same := [call for call in calls if piece.id and call.id == piece.id]:
            return same[0]
        if not calls or (piece.id and calls[-1].id):
            calls.append(Call(piece.index))
            self._calls.append(calls[-1])
        return calls[-1]

    def _whole_calls(self, reason: FinishReason) -> Iterator[ToolCall]:
        """Yield the calls in the order of their index, each with an id of its own; none that the length cut off."""
        ids = set[str]()
        for number, call in enumerate(sorted(self._calls, key=lambda call: call.index or 0)):
            if flaw := call.flaw():
                if reason == "length":
                    continue
                raise Broken(flaw)
            call_id = call.id
            if not call_id or call_id in ids:
                call_id = next(name for n in count(number) if (name := f"call_{n}") not in ids)
            ids.add(call_id)
            yield ToolCall(call_id, call.name, call.arguments)


def _decoded(data: bytes) -> Chunk:
    try:
        return _chunk.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        # What the standard library reads and msgspec does not: half a surrogate pair, whose other half comes with the
        # next event. Bytes that are no UTF-8 become U+FFFD, as in every event stream.
        return msgspec.convert(json.loads(data.decode(errors="replace")), Chunk)
    except msgspec.ValidationError as error:
        raise Broken(f"The model's server sent something else than a chat completion: {_reason(error)}.") from None
    except (ValueError, RecursionError):
        raise Broken("The model's server sent something that is not JSON.") from None


def _reason(error: msgspec.ValidationError) -> str:
    return str(error).replace("`", "")


def _usage(raw: object) -> Usage | None:
    """Return the tokens that the upstream counted; None where that makes no sense: the server then counts itself."""
    try:
        counts = msgspec.convert(raw, Counts)
        used, written = counts.prompt_tokens, counts.completion_tokens
        total = max(used + written, counts.total_tokens or 0)  # some leave thoughts out of the second, not of the third
        return msgspec.convert({"input_tokens": used, "output_tokens": written, "total_tokens": total}, Usage)
    except msgspec.ValidationError:
        return None
