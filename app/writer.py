"""The writer: makes a reply's events of what a responder yields, and its ending of how that came to an end. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from app.characters import Characters, cut, size, whole
from app.events import ReplyDelta, ReplyEnded, ReplyPiece, ReplyStarted, ReplyToolCall, ReplyToolResult
from app.history import Draft
from app.messages import Ending, Failure, Reply
from responders.base import Finish, FinishReason, Part, Piece, Reasoning, Text, ToolCall, ToolResult, Usage

PART_BYTES = 64
"""What each part of a reply counts for towards its limit, beside its text."""


class Outcome(msgspec.Struct, frozen=True):
    """How a reply ends."""

    status: Ending
    finish_reason: FinishReason | None = None
    error: Failure | None = None


CANCELLED = Outcome("cancelled")
INTERRUPTED = Outcome("interrupted")
LENGTH = Outcome("completed", "length")


def failed(code: str, message: str) -> Outcome:
    """Return the outcome of a reply that failed."""
    return Outcome("failed", None, Failure(code, message))


def tell_part(part: Part, reply_id: str, place: int, at: datetime | None = None) -> ReplyPiece:
    """Return the event that brings a whole part to a reply. Raises `TypeError` for an image."""
    match part:
        case ToolCall(call_id, name, arguments):
            return ReplyToolCall(reply_id, place, call_id, name, arguments, at)
        case ToolResult(call_id, result):
            return ReplyToolResult(reply_id, place, call_id, result, at)
        case Text(text):
            return ReplyDelta(reply_id, place, text, None, at)
        case Reasoning(text):
            return ReplyDelta(reply_id, place, text, "reasoning", at)
    raise TypeError(f"a reply holds no {type(part).__name__}")


def part_size(part: Part) -> int:
    """Return what a part counts for, as it does where a reply is written."""
    return sum(size(getattr(part, name)) for name in part.__struct_fields__)


class Writer:
    """One reply while it is written; every event that it returns is already in `draft`.

    `room` is how many more bytes of UTF-8 the reply takes. Once something did not fit, `full` is set, and nothing more
    may be written.
    """

    def __init__(self, reply: Reply, room: int) -> None:
        self.full = False
        self.max_tokens: int | None = None
        """How many pieces of text it may have, those that are there included."""
        self._room = room
        self._characters: dict[type[Text | Reasoning], Characters] = {Text: Characters(), Reasoning: Characters()}
        self.go_back_to(reply)
        self._usage: Usage | None = None
        self._finish: FinishReason = "stop"

    @property
    def completed(self) -> Outcome:
        """The outcome of a responder that has said all it wanted to."""
        return Outcome("completed", self._finish)

    def start(self) -> ReplyStarted:
        """Return the event that the reply runs."""
        event = ReplyStarted(self.draft.id, datetime.now(UTC))
        self.draft.apply(event)
        return event

    def write(self, piece: Piece) -> ReplyPiece | None:
        """Return the event of a piece; None where there is nothing to write. Raises `TypeError` for anything else."""
        match piece:
            case str():
                return self._text(Text, piece)
            case Text():
                return self._text(Text, piece.text)
            case Reasoning():
                return self._text(Reasoning, piece.text)
            case ToolCall(call_id, name, arguments):
                return self._tool_call(whole(call_id), whole(name), whole(arguments))
            case ToolResult(call_id, result):
                return self._tool_result(whole(call_id), whole(result))
            case Usage():
                # Structs hold whatever they are given, and what is stored must be readable again.
                counted = msgspec.convert(msgspec.structs.asdict(piece), Usage)
                self._usage = msgspec.structs.replace(counted, partial=False, estimated=False)
            case Finish(reason):
                self._finish = msgspec.convert(reason, FinishReason)
            case _:
                raise TypeError(f"a responder yields str or a Part, not {type(piece).__name__}")
        return None

    def rest(self) -> Iterator[ReplyPiece]:
        """Yield the events of half characters whose other half never came."""
        for kind, characters in self._characters.items():
            if event := self._delta(kind, characters.end()):
                yield event

    def end(self, outcome: Outcome, prompt_words: int) -> ReplyEnded:
        """Return the event that the reply is over; usage is the responder's own, else an estimate."""
        text = self.draft.reply().text
        completed = outcome.status == "completed"
        usage = self._usage or Usage(prompt_words, self._pieces, prompt_words + self._pieces, estimated=True)
        event = ReplyEnded(
            reply_id=self.draft.id,
            status=outcome.status,
            text=text,
            text_sha256=hashlib.sha256(text.encode()).hexdigest(),
            finish_reason=outcome.finish_reason if completed else None,
            usage=msgspec.structs.replace(usage, partial=not completed),
            at=datetime.now(UTC),
            error=outcome.error or msgspec.UNSET,
        )
        self.draft.apply(event)
        return event

    def go_back_to(self, reply: Reply) -> None:
        """Take a reply as it is stored for what there is: what was written after that is gone."""
        self.draft = Draft(reply)
        self._pieces = sum(len(part.text.split()) for part in reply.parts if isinstance(part, Text | Reasoning))

    def _text(self, kind: type[Text | Reasoning], text: str) -> ReplyDelta | None:
        if text and self._pieces == self.max_tokens:
            self.full = True
            return None
        self._pieces += bool(text)
        return self._delta(kind, self._characters[kind].add(text))

    def _delta(self, kind: type[Text | Reasoning], text: str) -> ReplyDelta | None:
        if not text:
            return None
        draft = self.draft
        part, at = draft.parts - 1, None
        if draft.grows is not kind:
            self._room -= self._cost_of_a_part()
            part, at = draft.parts, self._first()
        self._room -= size(text)
        if self._room < 0:
            self.full = True
            text = cut(text, max(0, self._room + size(text)))
            if not text:
                return None
        event = ReplyDelta(draft.id, part, text, "reasoning" if kind is Reasoning else None, at)
        draft.apply(event)
        return event

    def _tool_call(self, call_id: str, name: str, arguments: str) -> ReplyToolCall | None:
        if not self._takes(call_id, name, arguments):
            return None
        event = ReplyToolCall(self.draft.id, self.draft.parts, call_id, name, arguments, self._first())
        self.draft.apply(event)
        return event

    def _tool_result(self, call_id: str, result: str) -> ReplyToolResult | None:
        if not self._takes(call_id, result):
            return None
        event = ReplyToolResult(self.draft.id, self.draft.parts, call_id, result, self._first())
        self.draft.apply(event)
        return event

    def _takes(self, *texts: str) -> bool:
        """Whether there is room for all of these: half a tool call is worse than none."""
        cost = self._cost_of_a_part() + sum(map(size, texts))
        self.full = self.full or cost > self._room
        if not self.full:
            self._room -= cost
        return not self.full

    def _cost_of_a_part(self) -> int:
        # Without it, a reply of many parts and no text would have no end. The first part is free, so that a text may be
        # as long as the limit.
        return PART_BYTES if self.draft.parts else 0

    def _first(self) -> datetime | None:
        return None if self.draft.parts else datetime.now(UTC)
