"""Which replies wait, which run, and how many may."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from app.errors import TooMany
from tests.support.core import open_core
from tests.support.stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_as_many_replies_run_as_may_and_the_next_one_is_refused(tmp_path, stage):
    async with open_core(tmp_path, stage, max_running=2) as core:
        first, second = await core.ask("one"), await core.ask("two")
        with pytest.raises(TooMany):
            await core.ask("three")
        assert len(core.running) == 2

        stage.cue("one")
        await core.ended(first)
        third = await core.ask("three")

        await core.until_text(third, "three ")
        assert (await core.reply(second)).status == "running"


async def test_prompts_that_come_together_do_not_pass_the_limit_together(tmp_path, stage):
    async with open_core(tmp_path, stage, max_running=3) as core:
        answers = await asyncio.gather(*(core.ask(str(number)) for number in range(10)), return_exceptions=True)

        assert sum(isinstance(answer, TooMany) for answer in answers) == 7
        page, _ = await core.engine.conversations("local", None, 100)
        assert len(page) == 3
        assert stage.most <= 3


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_a_prompt_that_waits_starts_when_the_reply_it_follows_ends_however_it_ends(tmp_path, stage, how):
    prompt = "fail" if how == "failed" else "first"
    async with open_core(tmp_path, stage) as core:
        first = await core.ask(prompt)
        await core.until_text(first, f"{prompt} ")
        second = await core.follow(first, "second", if_running="queue")
        assert (await core.reply(second)).status == "accepted"
        assert stage.order == [prompt]

        await core.stop(first) if how == "cancelled" else stage.cue(prompt)
        stage.cue("second")

        assert (await core.ended(first)).status == how
        assert (await core.ended(second)).text == "second done"


async def test_prompts_that_wait_run_in_the_order_in_which_they_came(tmp_path, stage):
    names = ["a", "b", "c", "d"]
    async with open_core(tmp_path, stage) as core:
        asked = [await core.ask("a")]
        for name in names[1:]:
            asked.append(await core.follow(asked[-1], name, if_running="queue"))
        for name in reversed(names):
            stage.cue(name)
        replies = [await core.ended(one) for one in asked]

    assert stage.order == names
    assert stage.most == 1
    assert all(later.started_at >= reply.ended_at for reply, later in pairwise(replies))


async def test_no_more_than_ten_prompts_wait_in_a_conversation(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        asked = await core.ask("a")
        for _ in range(10):
            await core.follow(asked, "b", if_running="queue", parent=asked.reply.id)
        with pytest.raises(TooMany):
            await core.follow(asked, "b", if_running="queue", parent=asked.reply.id)


async def test_prompts_that_become_ready_together_keep_to_the_limit(tmp_path, stage):
    async with open_core(tmp_path, stage, max_running=2) as core:
        first = await core.ask("a")
        later = [await core.follow(first, "b", if_running="queue", parent=first.reply.id) for _ in range(5)]
        stage.cue("a")
        for one in later[:2]:
            await core.until_text(one, "b ")
        assert [(await core.reply(one)).status for one in later[2:]] == ["accepted"] * 3
        stage.cue("b")
        for one in later:
            await core.ended(one)

    assert stage.most <= 2
    assert stage.order == ["a"] + ["b"] * 5


async def test_a_prompt_that_waits_is_stopped_without_a_start_and_its_own_follower_runs_all_the_same(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        first = await core.ask("a")
        second = await core.follow(first, "b", if_running="queue")
        third = await core.follow(second, "c", if_running="queue")

        stopped = await core.stop(second)
        stage.cue("c")

        assert (stopped.status, stopped.started_at, stopped.text) == ("cancelled", None, "")
        assert (await core.ended(second)) == stopped
        assert (await core.ended(third)).status == "completed"
        assert "b" not in stage.order
        assert (await core.reply(first)).status == "running"


async def test_a_prompt_that_interrupts_stops_the_reply_it_follows_first(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        first = await core.ask("a")
        await core.until_text(first, "a ")
        stage.cue("b")

        second = await core.follow(first, "b", if_running="interrupt")

        assert (await core.ended(first)).status == "cancelled"
        assert (await core.ended(second)).text == "b done"


async def test_when_all_is_quiet_nothing_is_held(tmp_path, stage):
    async with open_core(tmp_path, stage) as core:
        tasks = len(asyncio.all_tasks())
        first = await core.ask("a")
        second = await core.follow(first, "b", if_running="queue")
        stage.cue("a")
        await core.stop(await core.follow(second, "c", if_running="queue"))
        stage.cue("b")
        await core.ended(second)

        await core.until_quiet()
        assert len(asyncio.all_tasks()) == tasks
        assert len(core.running) == 0
