"""Idempotency keys: the same key and bytes act once and give one answer (G9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from app.engine.base import ANSWERS_KEPT
from app.errors import Invalid, NotStoring
from app.idempotency import Answers, Key
from app.ids import BROADCAST
from app.questions import Question
from tests.support.core import Core, open_core

KEY = Key.of("local", "POST", "/conversations", "once", b"{}")


async def echo(prompt):
    yield prompt.text


@pytest.fixture
async def core(tmp_path) -> AsyncIterator[Core]:
    async with open_core(tmp_path, echo) as core:
        yield core


async def keep(core: Core, key: Key, answer: bytes, **fields: Any) -> None:
    """Keep an answer under a key, as a command does with its commit."""
    async with core.log.tails.open(BROADCAST) as tail:
        row = msgspec.structs.replace(key.keep(answer), **fields)
        await core.log.append(tail, [], [row]).committed()


@pytest.mark.parametrize(
    "other",
    [
        Key.of("other", "POST", "/conversations", "once", b"{}"),
        Key.of("local", "PUT", "/conversations", "once", b"{}"),
        Key.of("local", "POST", "/conversations/x", "once", b"{}"),
        Key.of("local", "POST", "/conversations", "twice", b"{}"),
        Key.of("localPOST", "", "/conversations", "once", b"{}"),
    ],
    ids=["principal", "method", "path", "key", "seam"],
)
def test_a_key_belongs_to_who_asks_what_where(other):
    assert other.scope != KEY.scope
    assert other.request == KEY.request


def test_the_bytes_are_no_part_of_the_scope():
    other = Key.of("local", "POST", "/conversations", "once", b"{ }")

    assert other.scope == KEY.scope
    assert other.request != KEY.request


async def test_without_a_key_nobody_waits_and_nothing_is_found(core):
    answers = Answers(core.engine)

    async with answers.once(None) as first, answers.once(None) as second:
        assert (first, second) == (None, None)


async def test_the_first_request_acts_and_a_later_one_finds_its_answer(core):
    answers = Answers(core.engine)
    async with answers.once(KEY) as kept:
        assert kept is None
        await keep(core, KEY, b"the answer")

    async with answers.once(KEY) as kept:
        assert kept.answer == b"the answer"


async def test_requests_that_come_together_act_one_after_the_other_and_only_the_first_acts(core):
    answers, acted = Answers(core.engine), []

    async def request(number: int) -> bytes:
        async with answers.once(KEY) as kept:
            if kept:
                return kept.answer
            acted.append(number)
            await keep(core, KEY, b"the answer")
            return b"the answer"

    given = await asyncio.gather(*(request(number) for number in range(50)))

    assert acted == [0]
    assert given == [b"the answer"] * 50


async def test_when_the_first_request_fails_the_next_one_acts(core):
    answers = Answers(core.engine)
    with pytest.raises(NotStoring):
        async with answers.once(KEY):
            raise NotStoring("The disk is full.")

    async with answers.once(KEY) as kept:
        assert kept is None


async def test_other_bytes_under_the_same_key_are_refused_and_the_answer_stays(core):
    answers = Answers(core.engine)
    await keep(core, KEY, b"the answer")

    with pytest.raises(Invalid) as refused:
        async with answers.once(Key.of("local", "POST", "/conversations", "once", b"other")):
            pytest.fail("it must not act")

    assert refused.value.path == "Idempotency-Key"
    async with answers.once(KEY) as kept:
        assert kept.answer == b"the answer"


async def test_a_key_is_free_again_after_a_day(core):
    answers = Answers(core.engine)
    old = KEY.keep(b"").at - ANSWERS_KEPT
    await keep(core, KEY, b"old", at=old - timedelta(seconds=1))

    async with answers.once(KEY) as kept:
        assert kept is None


async def test_an_answer_is_kept_for_a_day(core):
    answers = Answers(core.engine)
    old = KEY.keep(b"").at - ANSWERS_KEPT
    await keep(core, KEY, b"old", at=old + timedelta(minutes=5))

    async with answers.once(KEY) as kept:
        assert kept.answer == b"old"


async def test_no_lock_is_left_behind(core):
    answers = Answers(core.engine)
    async with answers.once(KEY):
        assert len(answers._asking) == 1

    assert len(answers._asking) == 0


async def test_a_prompt_that_is_sent_again_is_the_same_conversation_over_a_restart(tmp_path):
    async with open_core(tmp_path, echo) as core:
        question = Question.of("Hello")
        asked = await asyncio.gather(*(core.conversations.create("local", question, key=KEY) for _ in range(10)))
        first = asked[0][0]
        await core.ended(first)

    async with open_core(tmp_path, echo) as core:
        later, again = await core.conversations.create("local", question, key=KEY)
        page, _ = await core.engine.conversations("local", None, 10)

    assert [answer for answer, _ in asked] == [first] * 10
    assert sum(not repeated for _, repeated in asked) == 1
    assert (later, again) == (first, True)
    assert [conversation.id for conversation in page] == [first.conversation.id]
