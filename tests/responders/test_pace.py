from __future__ import annotations

import asyncio

import pytest

from responders.pace import Pace
from tests.responders.virtual import run_virtually


async def ticks(pace, count, *, late_after=None, late_by=0.0):
    """The times of so many ticks; after one of them the machine is busy for a while."""
    loop = asyncio.get_running_loop()
    times = []
    for number in range(count):
        await pace.tick()
        times.append(loop.time())
        if number == late_after:
            loop.pass_time(late_by)
    return times


def test_tokens_come_after_the_delay_and_then_at_the_rate():
    async def scenario():
        return await ticks(Pace(10, delay=2), 4)

    assert run_virtually(scenario()) == pytest.approx([2.0, 2.1, 2.2, 2.3])


def test_after_a_late_tick_all_that_is_due_comes_without_a_wait():
    async def scenario():
        return await ticks(Pace(10), 7, late_after=1, late_by=0.35)

    assert run_virtually(scenario()) == pytest.approx([0.0, 0.1, 0.45, 0.45, 0.45, 0.5, 0.6])


def test_without_a_rate_nothing_waits_but_for_the_delay():
    async def scenario():
        return await ticks(Pace(None, delay=0.5), 3)

    assert run_virtually(scenario()) == pytest.approx([0.5, 0.5, 0.5])


def test_waiting_for_a_token_does_not_count_it():
    async def scenario():
        pace = Pace(10, delay=1)
        await pace.due()
        await pace.due()
        return await ticks(pace, 2)

    assert run_virtually(scenario()) == pytest.approx([1.0, 1.1])


def test_lateness_does_not_add_up():
    async def scenario():
        pace = Pace(1000)
        loop = asyncio.get_running_loop()
        for _ in range(1000):
            await pace.tick()
            loop.pass_time(0.0009)
        return loop.time()

    assert run_virtually(scenario()) == pytest.approx(1.0, abs=0.002)
