"""What becomes of the pieces that a responder yields: parts, limits, usage, back-pressure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.events import Event, ReplyDelta, ReplyToolCall, ReplyToolResult
from app.messages import Reply
from app.writer import PART_BYTES
from responders.base import Finish, Reasoning, Text, ToolCall, ToolResult, Usage
from tests.support.core import open_core


def yielding(*pieces: Any) -> Callable[..., Any]:
    """Return a responder that yields these pieces."""

    async def answer(prompt):
        for piece in pieces:
            yield piece

    return answer


async def run(folder: Path, *pieces: Any, **settings: Any) -> tuple[Reply, list[Event]]:
    """Run a responder that yields these pieces to its end; returns the reply and its pieces' events."""
    async with open_core(folder, yielding(*pieces), **settings) as core:
        asked = await core.ask("three little words")
        reply = await core.ended(asked)
        events = await core.events(asked)
        return reply, [event for event in events if isinstance(event, ReplyDelta | ReplyToolCall | ReplyToolResult)]


async def test_what_is_yielded_is_the_reply(tmp_path):
    reply, pieces = await run(tmp_path, "Hello", " ", "there", "")

    assert (reply.status, reply.text, reply.finish_reason, reply.error) == ("completed", "Hello there", "stop", None)
    assert [piece.text for piece in pieces] == ["Hello", " ", "there"]


async def test_a_responder_that_yields_nothing_gives_an_empty_reply(tmp_path):
    reply, pieces = await run(tmp_path)

    assert (reply.status, reply.text, reply.parts, reply.first_token_at) == ("completed", "", (), None)
    assert pieces == []


async def test_pieces_of_one_kind_that_follow_each_other_are_one_part(tmp_path):
    call, result = ToolCall("a", "find", "{}"), ToolResult("a", "x")

    reply, pieces = await run(
        tmp_path,
        Reasoning("H"),
        Reasoning("m"),
        Text("On"),
        "e",
        Usage(1, 2, 3),
        "!",
        call,
        result,
        "Two",
        Reasoning("?"),
    )

    assert reply.parts == (Reasoning("Hm"), Text("One!"), call, result, Text("Two"), Reasoning("?"))
    assert reply.text == "One!Two"
    assert [piece.part for piece in pieces] == [0, 0, 1, 1, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("first", ["Hi", Reasoning("Hm"), ToolCall("a", "f", "{}"), ToolResult("a", "x")], ids=repr)
async def test_only_the_first_piece_says_when_it_came(tmp_path, first):
    reply, pieces = await run(tmp_path, "", first, "more", Reasoning("more"), "more")

    assert pieces[0].at == reply.first_token_at
    assert [piece.at for piece in pieces[1:]] == [None, None, None]
    assert reply.created_at <= reply.started_at <= reply.first_token_at <= reply.ended_at


async def test_a_character_that_is_cut_between_two_pieces_is_whole_in_the_log(tmp_path):
    reply, pieces = await run(
        tmp_path, "a\ud83d", "\udc4b", Reasoning("\udc4b"), ToolCall("\ud83d", "f", "\udc4b"), "\ud83d"
    )

    assert reply.text == "a👋\ufffd"
    assert reply.parts[1:3] == (Reasoning("\ufffd"), ToolCall("\ufffd", "f", "\ufffd"))
    assert [piece.text for piece in pieces[:2]] == ["a", "👋"]


async def test_a_text_that_is_a_kind_of_str_is_its_text(tmp_path):
    class Loud(str):
        __slots__ = ()

    reply, _ = await run(tmp_path, Loud("Hello"), Text(Loud(" there")), ToolCall(Loud("a"), Loud("f"), Loud("{}")))

    assert (reply.status, reply.text) == ("completed", "Hello there")


async def test_a_reply_has_as_many_bytes_as_it_may_and_whole_characters(tmp_path):
    chance = random.Random(1)
    texts = ["".join(chance.choices("aé日👋", k=chance.randrange(12))) for _ in range(60)]

    async def answer(prompt):
        for at in range(0, len(text := texts[int(prompt.text)]), 3):
            yield text[at : at + 3]

    async with open_core(tmp_path, answer, max_reply_bytes=16) as core:
        asked = [await core.ask(str(number)) for number in range(len(texts))]
        replies = [await core.ended(one) for one in asked]

    assert {reply.finish_reason for reply in replies} == {"stop", "length"}
    for text, reply in zip(texts, replies, strict=True):
        fitting = max(end for end in range(len(text) + 1) if len(text[:end].encode()) <= 16)
        assert reply.text == text[:fitting]
        assert reply.status == "completed"
        assert (reply.finish_reason == "length") == (reply.text != text)


async def test_a_reply_that_just_fits_stops_by_itself(tmp_path):
    reply, _ = await run(tmp_path, "12345", "67890", max_reply_bytes=10)

    assert (reply.text, reply.finish_reason) == ("1234567890", "stop")


async def test_a_responder_that_never_waits_lets_others_run(tmp_path):
    turns: list[int] = []

    async def busy(prompt):
        for _ in range(1000):
            turns.append(ticks)
            yield "x"

    ticks = 0
    async with open_core(tmp_path, busy) as core:
        await core.ask()
        while len(turns) < 1000:
            ticks += 1
            await asyncio.sleep(0)

    assert turns[-1] - turns[0] >= 10


async def test_a_huge_reply_ends_at_the_limit_and_its_responder_is_closed(tmp_path):
    closed = asyncio.Event()

    async def endless(prompt):
        try:
            while True:
                yield "日本" * 5_000
        finally:
            closed.set()

    async with open_core(tmp_path, endless) as core:
        reply = await core.ended(await core.ask())

    assert (reply.status, reply.finish_reason, reply.usage.partial) == ("completed", "length", False)
    assert len(reply.text.encode()) == 2**20 - 2**20 % 3
    assert closed.is_set()


async def test_the_limit_counts_everything_that_is_stored(tmp_path):
    room = 10 + 3 * PART_BYTES  # the first part is free, the others are not

    reply, _ = await run(
        tmp_path, Reasoning("123"), ToolCall("4", "5", "6"), ToolResult("7", "8"), "90", "x", max_reply_bytes=room
    )

    assert (reply.text, reply.finish_reason) == ("90", "length")


async def test_a_reply_of_many_parts_without_text_comes_to_its_end(tmp_path):
    calls = [ToolCall("", "", "")] * 1000

    reply, _ = await run(tmp_path, *calls, max_reply_bytes=10 * PART_BYTES)

    assert (len(reply.parts), reply.status, reply.finish_reason) == (11, "completed", "length")


async def test_a_reply_whose_responder_does_not_count_is_counted_in_pieces(tmp_path):
    reply, _ = await run(tmp_path, "one ", Reasoning("hm"), "two")

    assert reply.usage == Usage(3, 3, 6, estimated=True)


async def test_the_responders_own_count_goes_before_ours_and_its_last_one_counts(tmp_path):
    reply, _ = await run(tmp_path, Usage(1, 1, 2), "one", Usage(10, 20, 30, partial=True, estimated=True))

    assert reply.usage == Usage(10, 20, 30)


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
async def test_a_responder_may_say_why_it_is_complete(tmp_path, reason):
    reply, _ = await run(tmp_path, "one", Finish(reason), " two")

    assert (reply.text, reply.finish_reason) == ("one two", reason)


@pytest.mark.parametrize("wide", ["x", "👋"], ids=["ascii", "emoji"])
async def test_a_responder_waits_while_256_kib_of_its_reply_are_uncommitted(tmp_path, wide):
    piece = wide * (1024 // len(wide.encode()))
    entered, go, yielded = asyncio.Event(), asyncio.Event(), []

    async def eager(prompt):
        entered.set()
        await go.wait()
        for number in range(1000):
            yielded.append(number)
            yield piece

    async with open_core(tmp_path, eager) as core:
        asked = await core.ask()
        await entered.wait()
        core.engine.passing.clear()
        go.set()
        for _ in range(200):  # turns of the loop, in which 64 pieces each would pass
            await asyncio.sleep(0)
        held = len(yielded)
        core.engine.passing.set()
        reply = await core.ended(asked)

    assert 128 <= held <= 256
    assert (reply.status, len(reply.text.encode())) == ("completed", 1000 * 1024)
