"""Views of a conversation, each true at one position."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app import snapshots
from app.errors import NotFound
from app.history import Draft
from app.ids import Cursor, conversation_stream
from app.messages import Message, Outline, Reply
from app.questions import Question
from app.snapshots import Known, read_message, read_page, read_prompt, take_snapshot
from responders.responder import Responder
from tests.support.core import Core, MoodyEngine, open_core


async def echo(prompt):
    yield prompt.text


async def halting(prompt):
    yield "so far"
    await asyncio.Event().wait()


async def ask_in_a_row(core: Core, prompts: Sequence[str]) -> Any:
    """Ask one prompt after another in one conversation, and return the last one asked."""
    asked = await core.ask(prompts[0])
    await core.ended(asked)
    for prompt in prompts[1:]:
        asked = await core.follow(asked, prompt)
        await core.ended(asked)
    return asked


async def test_a_snapshot_holds_the_conversation_as_it_stands_and_where_it_is_true(tmp_path):
    async with open_core(tmp_path, echo) as core:
        asked = await core.ask("Hello")
        reply = await core.ended(asked)
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            snapshot, seq = await take_snapshot(core.engine, tail)

            assert seq == tail.head == 5
            assert snapshot.cursor == str(Cursor(tail.epoch, 5))
    assert snapshot.messages == [asked.message, reply]
    assert (snapshot.conversation.head, snapshot.conversation.running) == (reply.id, ())
    assert snapshot.conversation.updated_at == reply.ended_at


async def test_a_snapshot_holds_what_a_running_reply_has_written_so_far(tmp_path):
    async with open_core(tmp_path, halting) as core:
        asked = await core.ask("Hello")
        await core.until_text(asked, "so far")
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            snapshot, _ = await take_snapshot(core.engine, tail)

    assert snapshot.conversation.running == (asked.reply.id,)
    assert isinstance(snapshot.messages[1], Reply)
    assert (snapshot.messages[1].status, snapshot.messages[1].text) == ("running", "so far")


async def test_a_snapshot_holds_the_newest_messages_whole_and_the_others_as_outlines(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "WHOLE_MESSAGES", 4)
    async with open_core(tmp_path, echo) as core:
        asked = await ask_in_a_row(core, ["one", "two", "three"])
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            snapshot, _ = await take_snapshot(core.engine, tail)

    assert [getattr(message, "text", None) for message in snapshot.messages] == [
        None,
        None,
        "two",
        "two",
        "three",
        "three",
    ]
    assert [type(message) for message in snapshot.messages[:3]] == [Outline, Outline, Message]
    assert [message.role for message in snapshot.messages] == ["user", "assistant"] * 3


async def test_a_snapshot_is_bounded_in_bytes_and_prefers_the_newest(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshots, "WHOLE_BYTES", 3000)
    async with open_core(tmp_path, echo) as core:
        asked = await ask_in_a_row(core, ["x" * 1000, "two"])
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            snapshot, _ = await take_snapshot(core.engine, tail)

    whole = [message.text for message in snapshot.messages if isinstance(message, Message)]
    assert whole == ["two", "two"]
    assert len(snapshot.messages) == 4


async def test_a_snapshot_holds_other_branches_as_outlines_but_a_running_reply_of_theirs_in_full(tmp_path):
    async with open_core(tmp_path, halting, echo) as core:
        first = await core.ask("one")
        await core.until_text(first, "so far")
        async with core.conversations.open("local", first.conversation.id) as tail:
            asked, _ = await core.conversations.ask(tail, Question.of("two", responder="echo"), parent=None)
            await core.ended(asked)
            snapshot, _ = await take_snapshot(core.engine, tail)

    kinds = [(type(message), getattr(message, "text", "")) for message in snapshot.messages]
    assert kinds == [(Outline, ""), (Reply, "so far"), (Message, "two"), (Reply, "two")]


async def test_a_snapshot_of_a_deleted_conversation_is_none(tmp_path):
    async with open_core(tmp_path, echo) as core:
        asked = await core.ask()
        await core.ended(asked)
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            await core.conversations.delete(tail)
            with pytest.raises(NotFound):
                await take_snapshot(core.engine, tail)


async def test_the_broadcast_channel_is_no_conversation(tmp_path):
    async with open_core(tmp_path, echo) as core, core.log.tails.open("broadcast") as tail:
        with pytest.raises(NotFound):
            await take_snapshot(core.engine, tail)


async def test_a_message_is_read_whole_and_a_running_reply_as_it_stands(tmp_path):
    async with open_core(tmp_path, halting) as core:
        asked = await core.ask("Hello")
        await core.until_text(asked, "so far")
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            assert await read_message(core.engine, tail, asked.message.id) == asked.message
            assert (await read_message(core.engine, tail, asked.reply.id)).text == "so far"
            with pytest.raises(NotFound):
                await read_message(core.engine, tail, "other")


async def test_pages_hold_every_message_once_and_running_replies_as_they_stand(tmp_path):
    async with open_core(tmp_path, echo, halting) as core:
        asked = await ask_in_a_row(core, ["one", "two"])
        async with core.conversations.open("local", asked.conversation.id) as tail:
            last, _ = await core.conversations.ask(tail, Question.of("three", responder="halting"))
            await core.until_text(last, "so far")
            newest, before = await read_page(core.engine, tail, None, 4)
            oldest, end = await read_page(core.engine, tail, before, 4)

    assert [message.text for message in newest] == ["two", "two", "three", "so far"]
    assert [message.text for message in oldest] == ["one", "one"]
    assert end is None


class PageAtTheWrongMoment(MoodyEngine):
    """Reads a page, and gives it only after whatever the test does in between."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.between: Any = None

    async def page(self, *args: Any) -> Any:
        page = await super().page(*args)
        if self.between:
            await self.between()
        return page


async def test_a_reply_that_ends_while_a_page_is_read_is_whole_in_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.support.core.MoodyEngine", PageAtTheWrongMoment)
    async with open_core(tmp_path, halting) as core:
        asked = await core.ask("Hello")
        await core.until_text(asked, "so far")
        core.engine.between = lambda: core.stop(asked)
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            page, _ = await read_page(core.engine, tail, None, 10)

            assert page == [asked.message, await core.reply(asked)]
            assert page[1].status == "cancelled"


class Options(msgspec.Struct):
    loud: bool = False


class Witness:
    """Notes what it is given."""

    __name__ = "witness"
    Options = Options

    def __init__(self) -> None:
        self.prompts: list[Any] = []

    async def __call__(self, prompt):
        self.prompts.append(prompt)
        if prompt.text != "silence":
            yield f"re: {prompt.text}"


async def test_a_responder_is_given_the_branch_and_nothing_beside_it(tmp_path):
    witness = Witness()
    async with open_core(tmp_path, witness) as core:
        question = Question.of("one", options={"loud": True}, system="Be brief.")
        first, _ = await core.conversations.create("local", question)
        await core.ended(first)
        second = await core.follow(first, "two")
        await core.ended(second)
        beside = await core.follow(first, "other two", parent=first.reply.id)
        await core.ended(beside)

    prompt = witness.prompts[2]
    assert [(turn.role, turn.text) for turn in prompt.messages] == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "re: one"),
        ("user", "other two"),
    ]
    assert (prompt.text, prompt.system, prompt.options) == ("other two", "Be brief.", Options())
    assert (prompt.conversation_id, prompt.reply_id) == (first.conversation.id, beside.reply.id)
    assert witness.prompts[0].options == Options(loud=True)


async def test_an_empty_reply_is_no_turn_and_a_stopped_one_is(tmp_path):
    witness = Witness()
    async with open_core(tmp_path, witness, halting) as core:
        first = await core.ask("silence")
        await core.ended(first)
        async with core.conversations.open("local", first.conversation.id) as tail:
            second, _ = await core.conversations.ask(tail, Question.of("two", responder="halting"))
            await core.until_text(second, "so far")
            await core.stop(second)
            third, _ = await core.conversations.ask(tail, Question.of("three"))
            await core.ended(third)

    assert [turn.text for turn in witness.prompts[1].messages] == ["silence", "two", "so far", "three"]


async def test_a_prompt_is_read_as_it_was_asked_whatever_followed(tmp_path):
    async with open_core(tmp_path, halting) as core:
        asked = await core.ask("one")
        await core.until_text(asked, "so far")
        await core.follow(asked, "two", if_running="queue")
        async with core.log.tails.open(conversation_stream(asked.conversation.id)) as tail:
            draft = tail.history.messages[asked.reply.id]
            prompt = await read_prompt(core.engine, tail, draft, Known(), Responder("halting", halting))

    assert [turn.text for turn in prompt.messages] == ["one"]


async def test_a_prompt_is_the_same_whether_it_was_known_or_read(tmp_path):
    seen = []

    class Witness:
        class Options(msgspec.Struct):
            times: int = 1

        async def __call__(self, prompt):
            seen.append(prompt)
            yield "so far"
            await asyncio.Event().wait()

    async with open_core(tmp_path, Witness) as core:
        first, _ = await core.conversations.create(
            "local", Question.of("one", options={"times": 2}, system="Be short.")
        )
        await core.until_text(first, "so far")
        await core.stop(first)
        second = await core.follow(first, "two")
        await core.until_text(second, "so far")
        async with core.log.tails.open(conversation_stream(first.conversation.id)) as tail:
            responder = Responder("Witness", Witness)
            drafts = [Draft(await core.reply(asked)) for asked in (first, second)]
            read = [await read_prompt(core.engine, tail, draft, Known(), responder) for draft in drafts]

    assert [(p.text, p.system, p.messages, p.conversation_id, p.reply_id) for p in seen] == [
        (p.text, p.system, p.messages, p.conversation_id, p.reply_id) for p in read
    ]
    assert [prompt.options.times for prompt in seen] == [prompt.options.times for prompt in read] == [2, 1]
