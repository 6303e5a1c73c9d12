"""Whole replies as records: those of the shared vectors, and whatever a responder might write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from app.events import Event, Record, ReplyCreated
from app.history import Draft
from app.messages import Reply
from app.writer import CANCELLED, INTERRUPTED, LENGTH, Outcome, Writer, failed
from responders.base import Finish, Piece, Reasoning, ToolCall, ToolResult, Usage

VECTORS = Path(__file__).parent.parent / "vectors"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STOP, FILTERED = Outcome("completed", "stop"), Outcome("completed", "content_filter")
OUTCOMES = [STOP, LENGTH, FILTERED, CANCELLED, INTERRUPTED, failed("idle", "It fell silent.")]
CALL, OTHER = ToolCall("a", "find", '{"in": "here"}'), ToolCall("b", "find", "{}")


def scenes() -> Iterator[tuple[str, list[Record]]]:
    """Every reply that a vector tells whole, by the scene's name and its own id."""
    for path in sorted(VECTORS.glob("*.json")):
        steps = json.loads(path.read_text("utf-8"))["steps"]
        events = [step["event"] for step in steps if "event" in step]
        for event in events:
            if event["type"] == "reply.created":
                records = [Record.of(n, 0, msgspec.convert(e, Event)) for n, e in enumerate(events, start=1)]
                yield f"{path.stem}/{event['reply']['id']}", records


SCENES = dict(scenes())


def told(*pieces: Piece, outcome: Outcome = STOP, started: bool = True) -> list[Record]:
    """The records of a reply that a responder wrote these pieces of."""
    reply = Reply(
        id="reply",
        role="assistant",
        parent="prompt",
        parts=(),
        text="",
        status="accepted",
        created_at=AT,
        responder="r",
    )
    writer = Writer(reply, 10**6)
    events: list[Any] = [ReplyCreated(reply)]
    if started:
        events.append(writer.start())
        events += [event for piece in pieces if (event := writer.write(piece))]
        events += writer.rest()
    return [Record.of(n, 0, event) for n, event in enumerate([*events, writer.end(outcome, 2)], start=1)]


def replied(records: list[Record], reply_id: str = "reply") -> Reply:
    draft = None
    for record in records:
        event = record.event()
        if isinstance(event, ReplyCreated) and event.reply.id == reply_id:
            draft = Draft(event.reply)
        elif getattr(event, "reply_id", None) == reply_id:
            draft.apply(event)
    return draft.reply()


pieces = st.one_of(
    st.text(max_size=3),
    st.text(max_size=3).map(Reasoning),
    st.sampled_from([CALL, OTHER, ToolResult("a", "x"), ToolResult("b", ""), Finish("length"), Usage(1, 2, 3)]),
)
