"""The writer: pieces in, events out; no log and no loop."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.messages import Reply
from app.writer import LENGTH, Writer, failed
from responders.base import Finish, Reasoning, Text, ToolCall, ToolResult, Usage

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def writer(room: int = 1000) -> Writer:
    reply = Reply(
        id="r", role="assistant", parent="m", parts=(), text="", status="accepted", created_at=NOW, responder="test"
    )
    return Writer(reply, room)


def test_every_event_is_in_the_draft() -> None:
    written = writer()

    for piece in ("a", Reasoning("b"), ToolCall("c", "look", "{}"), ToolResult("c", "rain"), Text("d"), "e"):
        written.write(piece)

    assert written.draft.reply().parts == (
        Text("a"),
        Reasoning("b"),
        ToolCall("c", "look", "{}"),
        ToolResult("c", "rain"),
        Text("de"),
    )


@pytest.mark.parametrize("piece", ["", Text(""), Usage(1, 2, 3), Finish("length")])
def test_a_piece_without_content_is_no_event(piece: object) -> None:
    assert writer().write(piece) is None  # type: ignore[arg-type]


def test_half_a_character_waits_for_the_next_piece_of_its_own_kind() -> None:
    written = writer()

    for piece in ("a\ud83d", Reasoning("thought"), "\ude00"):
        written.write(piece)

    assert written.draft.reply().parts == (Text("a"), Reasoning("thought"), Text("\N{GRINNING FACE}"))


def test_half_a_character_that_stays_alone_is_replaced_at_the_end() -> None:
    written = writer()
    written.write("a\ud83d")

    rest = [event.text for event in written.rest()]  # type: ignore[union-attr]

    assert rest == ["\N{REPLACEMENT CHARACTER}"]
    assert written.draft.reply().text == "a\N{REPLACEMENT CHARACTER}"


def test_a_text_is_cut_where_the_room_ends() -> None:
    written = writer(room=5)

    event = written.write("ab\N{EURO SIGN}\N{EURO SIGN}")

    assert event is not None
    assert event.text == "ab\N{EURO SIGN}"  # type: ignore[union-attr]
    assert written.full


@pytest.mark.parametrize("piece", [ToolCall("c", "look", '{"a": 1}'), ToolResult("c", "a long result")])
def test_a_tool_piece_that_does_not_fit_is_left_out_whole(piece: ToolCall | ToolResult) -> None:
    written = writer(room=10)

    event = written.write(piece)

    assert event is None
    assert written.full
    assert written.draft.reply().parts == ()


def test_an_ending_says_what_the_draft_holds() -> None:
    written = writer()
    written.write("done")

    ended = written.end(failed("code", "A sentence."), prompt_words=3)

    assert (ended.status, ended.text, ended.finish_reason) == ("failed", "done", None)
    assert ended.usage == Usage(3, 1, 4, partial=True, estimated=True)
    assert written.draft.reply().status == "failed"


def test_an_ending_at_the_limit_is_complete() -> None:
    ended = writer().end(LENGTH, prompt_words=0)

    assert (ended.status, ended.finish_reason) == ("completed", "length")


def test_after_going_back_only_what_was_stored_counts() -> None:
    written = writer()
    written.write("stored ")
    stored = written.draft.reply()
    written.write("lost")

    written.go_back_to(stored)

    assert written.draft.reply().text == "stored "
