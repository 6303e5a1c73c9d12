"""The fold: what a conversation's events add up to. The shared vectors show whole scenes; here are the rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events import (
    BroadcastMessage,
    ConversationDeleted,
    MessageCreated,
    ReplyCreated,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
    ReplyToolCall,
    ReplyToolResult,
)
from app.history import Draft, History, fold
from app.messages import Conversation, Outline, Reply, text_message
from responders.base import Reasoning, Text, ToolCall, Usage
from tests.support.properties import PROPERTY

START = datetime(2026, 1, 2, tzinfo=UTC)


def later(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def reply(id: str = "r", parent: str | None = "m", **fields: object) -> Reply:
    usual = {"role": "assistant", "parts": (), "text": "", "status": "accepted", "responder": "echo"}
    return Reply(id=id, parent=parent, created_at=later(2), **{**usual, **fields})


def ended(id: str = "r", text: str = "") -> ReplyEnded:
    return ReplyEnded(id, "completed", text, "", "stop", Usage(0, 0, 0), later(9))


@pytest.fixture
def history() -> History:
    """A conversation in which one reply runs."""
    conversation = Conversation(id="c", title="T", head=None, running=(), created_at=START, updated_at=START)
    history = History(conversation)
    fold(history, MessageCreated(text_message(id="m", role="user", parent=None, text="Hi", created_at=later(1))))
    fold(history, ReplyCreated(reply()))
    fold(history, ReplyStarted("r", later(3)))
    return history


def draft_of(history: History, id: str = "r") -> Draft:
    draft = history.messages[id]
    assert isinstance(draft, Draft)
    return draft


kinds = st.sampled_from(["text", "reasoning"])


@PROPERTY
@given(st.lists(st.tuples(kinds, st.text(max_size=20)), min_size=1, max_size=12), st.data())
def test_any_split_of_the_pieces_is_the_same_reply(runs, data):
    whole, split = Draft(reply()), Draft(reply())

    last, part = None, -1
    for kind, text in runs:
        part, last = (part if kind == last else part + 1), kind
        field = None if kind == "text" else "reasoning"
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        whole.apply(ReplyDelta("r", part, text, field))
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            split.apply(ReplyDelta("r", part, text[start:end], field))

    assert split.reply() == whole.reply()
    assert split.reply().text == "".join(text for kind, text in runs if kind == "text")


@pytest.mark.parametrize("pieces", [1023, 1024, 1025, 1026, 5000])
def test_a_reply_of_many_pieces_loses_none(pieces):
    draft = Draft(reply())

    for number in range(pieces):
        draft.apply(ReplyDelta("r", 0, f"{number} "))

    assert draft.reply().text == "".join(f"{number} " for number in range(pieces))
    assert draft.parts == 1


def test_a_reply_can_be_read_at_any_time_without_changing_it():
    draft = Draft(reply())
    draft.apply(ReplyDelta("r", 0, "one "))
    before = draft.reply()

    draft.apply(ReplyDelta("r", 0, "two"))

    assert before.text == "one "
    assert draft.reply().text == "one two"


def test_a_piece_continues_only_the_last_part_and_only_its_own_kind():
    draft = Draft(reply())
    assert draft.grows is not Text

    draft.apply(ReplyDelta("r", 0, "a"))
    assert draft.grows is Text

    draft.apply(ReplyToolCall("r", 1, "a", "find", "{}"))
    assert draft.grows is not Text
    assert draft.reply().parts == (Text("a"), ToolCall("a", "find", "{}"))


@pytest.mark.parametrize(
    "first",
    [
        ReplyDelta("r", 0, "a", at=later(4)),
        ReplyToolCall("r", 0, "a", "f", "{}", later(4)),
        ReplyToolResult("r", 0, "a", "x", later(4)),
    ],
    ids=["delta", "call", "result"],
)
def test_the_first_piece_tells_when_it_came_and_later_ones_do_not_change_that(first):
    draft = Draft(reply())

    draft.apply(first)
    draft.apply(ReplyDelta("r", 1, "b"))

    assert draft.reply().first_token_at == later(4)


def test_text_for_a_tool_call_is_an_error():
    draft = Draft(reply())
    draft.apply(ReplyToolCall("r", 0, "a", "find", "{}"))

    with pytest.raises(ValueError, match="takes no text"):
        draft.apply(ReplyDelta("r", 0, "a"))


def test_a_draft_that_begins_with_parts_goes_on_where_they_end():
    begun = reply(parts=(Reasoning("Hm"), Text("He")), text="He", status="running")
    draft = Draft(begun)
    assert draft.reply() == begun

    draft.apply(ReplyDelta("r", 1, "llo"))

    assert draft.reply().parts == (Reasoning("Hm"), Text("Hello"))


def test_a_running_reply_is_in_running_until_its_ending(history):
    assert history.running == ["r"]
    assert history.conversation().running == ("r",)

    fold(history, ended())

    assert history.running == []
    assert isinstance(history.messages["r"], Reply)
    assert not history.messages["r"].live


def test_the_running_ones_stand_in_order_of_creation(history):
    for id in ("b", "a"):
        fold(history, ReplyCreated(reply(id)))
    assert history.running == ["r", "b", "a"]

    fold(history, ended("b"))

    assert history.running == ["r", "a"]
    assert history.head == "a"


def test_activity_is_the_newest_message_or_ending_and_no_piece(history):
    before = history.updated_at

    fold(history, ReplyDelta("r", 0, "a", at=later(4)))
    assert history.updated_at == before == later(2)

    fold(history, ended(text="a"))
    assert history.updated_at == later(9)


def test_nothing_of_a_reply_follows_its_ending(history):
    fold(history, ended())

    for event in (ReplyDelta("r", 0, "a"), ReplyStarted("r", later(9)), ended()):
        with pytest.raises(ValueError, match="has ended"):
            fold(history, event)


def test_a_prompt_is_no_reply(history):
    with pytest.raises(ValueError, match="is none"):
        fold(history, ReplyDelta("m", 0, "a"))


def test_a_piece_of_an_unknown_reply_is_an_error(history):
    with pytest.raises(ValueError, match="has ended, or is none"):
        fold(history, ReplyDelta("other", 0, "a"))


def test_a_broadcast_message_is_none_of_a_conversation(history):
    with pytest.raises(ValueError, match="no broadcast"):
        fold(history, BroadcastMessage("Hi"))


def test_a_branch_leads_from_the_root_to_its_leaf(history):
    fold(history, MessageCreated(text_message(id="n", role="user", parent="r", text="And?", created_at=later(5))))
    fold(history, MessageCreated(text_message(id="edit", role="user", parent=None, text="Ho", created_at=later(6))))

    assert [message.id for message in history.branch("n")] == ["m", "r", "n"]
    assert [message.id for message in history.branch("edit")] == ["edit"]
    assert history.branch(None) == []


def test_what_is_forgotten_keeps_its_place_in_the_tree(history):
    fold(history, ended())

    history.forget("m")
    history.forget("r")

    assert list(history.messages.values()) == [
        Outline("m", None, "user", "completed"),
        Outline("r", "m", "assistant", "completed"),
    ]


def test_a_history_that_begins_with_outlines_knows_what_runs():
    conversation = Conversation(id="c", title="T", head="r", running=("r",), created_at=START, updated_at=later(2))
    outlines = [Outline("m", None, "user", "completed"), Outline("r", "m", "assistant", "running")]

    assert History(conversation, outlines).conversation() == conversation


def test_a_deletion_leaves_a_mark(history):
    fold(history, ConversationDeleted())

    assert history.deleted
