"""Histories that a client sends whole: they continue what is stored, or are told as if they had happened here."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app import departures
from app.branches import merged
from app.continuing import continued
from app.errors import Invalid, NotFound, TooLarge
from app.idempotency import Key
from app.messages import Parameters
from app.questions import Question
from responders.base import Image, Prompt, Text, Tool, ToolCall, ToolResult, Turn
from tests.support.core import Core, open_core
from tests.support.stage import Stage

CALL = ToolCall("call-1", "clock", "{}")
GIVEN = Turn("tool", (ToolResult("call-1", "12:00"),), "")


def user(text: str) -> Turn:
    return Turn("user", (Text(text),), text)


def said(text: str) -> Turn:
    return Turn("assistant", (Text(text),), text)


class Witness:
    __name__ = "witness"

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    async def __call__(self, prompt: Prompt):
        self.prompts.append(prompt)
        if prompt.tools and not any(turn.role == "tool" for turn in prompt.messages):
            yield CALL
        else:
            yield f"re: {prompt.text}"


async def send(core: Core, *turns: Turn, conversation_id: str | None = None, **parameters: object):
    """Ask as a door does whose clients send everything with every turn."""
    branch, new = await continued(core.engine, "local", merged(turns), conversation_id)
    question = Question(turns=new, parameters=Parameters(**parameters), path="messages")
    if branch is None and conversation_id is None:
        asked, _ = await core.conversations.create("local", question)
    else:
        async with core.conversations.open("local", branch.conversation_id if branch else conversation_id) as tail:
            asked, _ = await core.conversations.ask(tail, question, parent=branch.message_id if branch else None)
    return asked, await core.ended(asked)


async def test_a_history_that_is_stored_goes_on_where_it_is(tmp_path):
    witness = Witness()
    async with open_core(tmp_path, witness) as core:
        first, one = await send(core, user("one"))
        second, _ = await send(core, user("one"), said(one.text), user("two"))
        beside, _ = await send(core, user("one"), said(one.text + "\n"), user("other two"))

        assert second.conversation.id == beside.conversation.id == first.conversation.id
        assert second.message.parent == beside.message.parent == first.reply.id
        assert [turn.text for turn in witness.prompts[-1].messages] == ["one", "re: one", "other two"]
        page, _ = await core.engine.conversations("local", None, 10)
        assert len(page) == 1


async def test_the_same_history_again_is_another_answer_to_the_same_message(tmp_path):
    async with open_core(tmp_path, Witness()) as core:
        _, one = await send(core, user("one"))
        history = user("one"), said(one.text), user("two")
        second, _ = await send(core, *history)
        again, _ = await send(core, *history)

        assert again.message == second.message
        assert again.reply.parent == second.reply.parent


async def test_two_who_ask_the_same_are_two_conversations(tmp_path):
    async with open_core(tmp_path, Witness()) as core:
        first, _ = await send(core, user("one"))
        second, _ = await send(core, user("one"))
        named, _ = await send(core, user("one"), conversation_id=first.conversation.id)

        assert second.conversation.id != first.conversation.id
        assert named.message == first.message


async def test_questions_behind_the_same_examples_are_conversations_of_their_own(tmp_path):
    examples = user("good"), said("POSITIVE"), user("bad"), said("NEGATIVE")
    async with open_core(tmp_path, Witness()) as core:
        first, one = await send(core, *examples, user("fine"))
        second, _ = await send(core, *examples, user("awful"))
        again, _ = await send(core, *examples, user("fine"))
        after, _ = await send(core, *examples, user("fine"), said(one.text), user("sure?"))

        asked = [first, second, again]
        assert len({each.conversation.id for each in asked}) == 3
        assert after.message.parent in (first.reply.id, again.reply.id)


async def test_a_history_from_elsewhere_is_told_as_if_it_had_happened_here(tmp_path):
    witness = Witness()
    told = (
        Turn("system", (Text("Be brief."),), "Be brief."),
        Turn("user", (Text("What is "), Image("data:,x"), Text("this?")), "What is this?"),
        Turn("assistant", (Text("Let me see."), CALL), "Let me see."),
        GIVEN,
        said("A clock."),
        user("Sure?"),
    )
    async with open_core(tmp_path, witness) as core:
        asked, _ = await send(core, *told)
        (prompt,) = witness.prompts
        history = await core.engine.page(asked.conversation.id, None, 100, 10**6)

        assert prompt.messages == told
        assert (prompt.text, prompt.system) == ("Sure?", "Be brief.")
        assert asked.conversation.title == "What is this?"
        foreign = [message for message in history[0] if message.role == "assistant"][:-1]
        assert [(m.responder, m.status, m.finish_reason) for m in foreign] == [
            ("client", "completed", "tool_calls"),
            ("client", "completed", "stop"),
        ]
        again, _ = await send(core, *told, said("re: Sure?"), user("Really?"))
        assert again.conversation.id == asked.conversation.id
        assert again.message.parent == asked.reply.id


async def test_a_reply_from_elsewhere_is_retried_by_the_default_responder(tmp_path):
    witness = Witness()
    async with open_core(tmp_path, witness) as core:
        asked, _ = await send(core, user("one"), said("Elsewhere."), user("two"))
        async with core.conversations.open("local", asked.conversation.id) as tail:
            retried, _ = await core.conversations.retry(tail, asked.message.parent)
        assert (await core.ended(retried)).text == "re: one"


async def test_a_prompt_carries_all_that_was_asked_for_and_so_does_its_retry(tmp_path):
    witness = Witness()
    tools = (Tool("clock", "Tells the time.", {"type": "object", "properties": {"zone": {"enum": ["UTC"]}}}),)
    wanted = {"instructions": "Use tools.", "tools": tools, "tool_choice": "clock", "max_tokens": 5}
    async with open_core(tmp_path, witness) as core:
        asked, reply = await send(core, user("What is the time?"), **wanted)
        after, _ = await send(core, user("What is the time?"), Turn("assistant", reply.parts, ""), GIVEN, **wanted)
        async with core.conversations.open("local", asked.conversation.id) as tail:
            retried, _ = await core.conversations.retry(tail, after.reply.id)
        await core.ended(retried)

    first, second, third = witness.prompts
    for prompt in witness.prompts:
        assert (prompt.tools, prompt.tool_choice, prompt.max_tokens) == (tools, "clock", 5)
        assert prompt.system == "Use tools."
        assert prompt.messages[0].role == "system"
        assert prompt.text == "What is the time?"
    assert second.messages == third.messages
    assert second.messages[2:] == (Turn("assistant", (CALL,), ""), GIVEN)
    assert after.message.role == "tool"
    assert len(first.messages) == 2


async def test_instructions_are_for_one_reply_alone(tmp_path):
    witness = Witness()
    async with open_core(tmp_path, witness) as core:
        _, one = await send(core, user("one"), instructions="Shout.")
        await send(core, user("one"), said(one.text), user("two"))

    assert [prompt.system for prompt in witness.prompts] == ["Shout.", ""]


@pytest.mark.parametrize(("tokens", "text", "finish_reason"), [(2, "a b ", "length"), (3, "a b c ", "stop")])
async def test_a_reply_ends_at_the_tokens_that_are_wanted_at_most(tmp_path, tokens, text, finish_reason):
    async def letters(prompt):
        for letter in "abc":
            yield f"{letter} "

    async with open_core(tmp_path, letters) as core:
        _, reply = await send(core, user("one"), max_tokens=tokens)

    assert (reply.text, reply.status, reply.finish_reason) == (text, "completed", finish_reason)
    assert reply.usage.output_tokens == tokens


@pytest.mark.parametrize(
    ("turns", "error"),
    [
        ((user("one"), said("two"), user(" ")), Invalid),
        ((user("one"), said("x" * 1001), user("two")), TooLarge),
        ((user("x" * 101),), TooLarge),
        ((user("one"), Turn("tool", (ToolResult("c", "x" * 200),), "")), TooLarge),
        (tuple(user(str(number)) for number in range(10)), TooLarge),
    ],
)
async def test_what_cannot_be_taken_changes_nothing(tmp_path, turns, error):
    limits = {"max_prompt_bytes": 100, "max_reply_bytes": 1000, "max_messages": 10}
    async with open_core(tmp_path, Witness(), **limits) as core:
        with pytest.raises(error):
            await send(core, *turns)
        assert await core.engine.conversations("local", None, 10) == ([], None)


@pytest.mark.parametrize(
    "wanted", [{"tools": (Tool(""),)}, {"tools": (Tool("clock"),), "tool_choice": "bell"}, {"tool_choice": "clock"}]
)
async def test_tools_that_cannot_be_called_are_refused(tmp_path, wanted):
    async with open_core(tmp_path, Witness()) as core:
        with pytest.raises(Invalid, match=r"^(A tool has a name|There is no tool of this name)\.$"):
            await send(core, user("one"), **wanted)


async def test_there_is_nothing_to_answer_where_a_history_ends_with_an_answer(tmp_path):
    async with open_core(tmp_path, Witness()) as core:
        _, one = await send(core, user("one"))

        with pytest.raises(Invalid, match="nothing to answer"):
            await send(core, user("one"), said(one.text))


# Transient conversations


async def begin_transient(core: Core, prompt: str):
    asked, _ = await core.conversations.create("local", Question.of(prompt), transient=True)
    return asked


async def until_gone(core: Core, conversation_id: str) -> None:
    async with asyncio.timeout(20):
        while await core.engine.conversation(conversation_id):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.001)


async def test_a_transient_conversation_goes_when_its_reply_has_ended_and_was_read(tmp_path):
    stage = Stage()
    async with open_core(tmp_path, stage) as core:
        asked = await begin_transient(core, "one")
        async with core.conversations.open("local", asked.conversation.id):
            stage.cue("one")
            await core.ended(asked)
            assert await core.engine.conversation(asked.conversation.id)

        await until_gone(core, asked.conversation.id)
        with pytest.raises(NotFound):
            await core.ended(asked)
        await core.until_quiet()


async def test_whoever_reads_a_transient_conversation_has_all_the_time_they_need(tmp_path, monkeypatch):
    monkeypatch.setattr(departures, "READ_WITHIN", 0.0)
    stage = Stage()
    async with open_core(tmp_path, stage) as core:
        asked = await begin_transient(core, "one")
        async with core.conversations.open("local", asked.conversation.id):
            stage.cue("one")
            await core.ended(asked)
            for _ in range(100):
                await asyncio.sleep(0)
            assert await core.engine.conversation(asked.conversation.id)
        await until_gone(core, asked.conversation.id)


async def test_a_transient_conversation_is_in_no_list(tmp_path):
    stage = Stage()
    async with open_core(tmp_path, stage) as core:
        asked = await begin_transient(core, "one")
        await core.until_text(asked, "one ")

        assert await core.engine.conversations("local", None, 10) == ([], None)
        assert core.log.listing.changes == 0


async def test_nothing_of_a_transient_conversation_is_kept_for_a_repeated_request(tmp_path):
    stage = Stage()
    async with open_core(tmp_path, stage) as core:
        key = Key.of("local", "POST", "/", "once", b"{}")
        question = Question.of("one")
        asked = [await core.conversations.create("local", question, transient=True, key=key) for _ in range(2)]

        assert [again for _, again in asked] == [False, False]
        assert await core.engine.answer(key.scope, asked[0][0].reply.created_at - timedelta(hours=1)) is None


async def test_a_transient_conversation_does_not_survive_the_server(tmp_path):
    stage = Stage()
    async with open_core(tmp_path, stage) as core:
        asked = await begin_transient(core, "one")
        await core.until_text(asked, "one ")
        core.crash()
    async with open_core(tmp_path, Stage()) as core:
        await until_gone(core, asked.conversation.id)
        await core.until_quiet()


async def test_a_conversation_that_has_gone_on_is_not_dropped(tmp_path):
    async with open_core(tmp_path, Witness()) as core:
        asked, one = await send(core, user("one"))
        await send(core, user("one"), said(one.text), user("two"))
        async with core.conversations.open("local", asked.conversation.id) as tail:
            assert not await core.conversations.delete(tail, head=asked.reply.id)
            assert await core.engine.conversation(asked.conversation.id)
            assert await core.conversations.delete(tail, head=tail.history.head)
        assert await core.engine.conversation(asked.conversation.id) is None


# Replies whose asker has gone


async def until_departed(core: Core) -> None:
    async with asyncio.timeout(20):
        while core.departures._tasks:
            await asyncio.wait(core.departures._tasks)


async def test_an_abandoned_reply_is_stopped(tmp_path):
    async with open_core(tmp_path, Stage()) as core:
        asked = await core.ask("one")
        async with core.conversations.open("local", asked.conversation.id) as tail:
            core.departures.hung_up(tail, asked.reply.id, 0)
        await until_departed(core)
        assert (await core.ended(asked)).status == "cancelled"
        await core.until_quiet()


async def test_an_abandoned_reply_that_somebody_has_come_back_to_goes_on(tmp_path):
    stage = Stage()
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("one")
        async with core.conversations.open("local", asked.conversation.id) as tail:
            core.departures.hung_up(tail, asked.reply.id, 0.05)
        async with core.conversations.open("local", asked.conversation.id):
            pass
        await until_departed(core)
        assert (await core.reply(asked)).live
        stage.cue("one")
        assert (await core.ended(asked)).status == "completed"
