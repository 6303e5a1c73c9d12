from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from responders import cases, conformance, trial
from responders.base import Finish, Image, Text, ToolCall, ToolResult, Usage
from responders.cases import (
    CASES,
    answers_any_text,
    closes_after_a_piece,
    defaults_suffice,
    keeps_the_loop_free,
    leaves_nothing_after_a_stop,
    leaves_nothing_after_its_end,
    parts_are_well_formed,
    refuses_unknown_options,
    runs_side_by_side,
    stops_before_its_first_piece,
    stops_in_the_middle,
    yields_only_pieces,
)
from responders.conformance import check, run
from responders.echo import Echo
from responders.mock import Mock
from responders.responder import Responder
from responders.trial import Trial
from tests.responders import zoo

litter = zoo.Litter()

BAD = [
    (yields_only_pieces, zoo.yield_numbers, "yielded 42"),
    (yields_only_pieces, zoo.yielding(None), "yielded None"),
    (yields_only_pieces, zoo.yielding(Image("data:,")), "yielded Image"),
    (yields_only_pieces, zoo.fail, "raised ValueError: out of ink"),
    (yields_only_pieces, zoo.Demanding, "options left out are refused: times: This option is required"),
    (parts_are_well_formed, zoo.yielding(Text(b"bytes")), "Expected `str`, got `bytes`"),
    (parts_are_well_formed, zoo.yielding(Finish("tired")), "Invalid enum value"),
    (parts_are_well_formed, zoo.yielding(ToolCall("", "look", "{}")), "needs a name, and an id"),
    (parts_are_well_formed, zoo.yielding(*[ToolCall("a", "look", "{}")] * 2), "an id of its own"),
    (parts_are_well_formed, zoo.yielding(ToolCall("a", "look", "at it")), "are not JSON text"),
    (parts_are_well_formed, zoo.yielding(ToolResult("a", "seen")), "a call that came before"),
    (parts_are_well_formed, zoo.yielding(Usage(1, -1, 0)), "Expected `int` >= 0"),
    (answers_any_text, zoo.choke_on_nul, "on a prompt with NUL"),
    (runs_side_by_side, zoo.OneAtATime, "raised RuntimeError: busy"),
    (defaults_suffice, zoo.Demanding, "does not work without options: times: This option is required"),
    (defaults_suffice, zoo.WrongDefault, "one of its defaults is refused"),
    (stops_before_its_first_piece, zoo.Stubborn(), "had not left"),
    (stops_in_the_middle, zoo.Stubborn("so "), "had not left"),
    (stops_in_the_middle, zoo.raise_when_stopped, "raised ValueError: I was not done when it was stopped"),
    (closes_after_a_piece, zoo.cling, "ignored GeneratorExit"),
    (closes_after_a_piece, zoo.close_slowly, "was not closed"),
    (leaves_nothing_after_its_end, litter.task, "left the task litter behind"),
    (leaves_nothing_after_its_end, litter.thread, "left litter behind"),
    (leaves_nothing_after_a_stop, litter.task, "left the task litter behind"),
    (leaves_nothing_after_a_stop, litter.thread, "left litter behind"),
    (keeps_the_loop_free, zoo.block, "the event loop stood still for "),
]


@pytest.fixture(autouse=True)
def swept():
    litter.swept.clear()
    yield
    litter.swept.set()
    litter.tasks.clear()


@pytest.fixture
def hurried(monkeypatch):
    """A responder has to leave sooner than it really must."""
    for module in (trial, cases, conformance):
        monkeypatch.setattr(module, "STOP_SECONDS", 0.1)


def responder(source):
    return Responder("tried", source)


@pytest.mark.parametrize("name", zoo.GOOD)
def test_a_good_responder_passes_every_case(name):
    outcomes = check(responder(zoo.GOOD[name]), patience=0.1)

    assert [outcome for outcome in outcomes if not outcome.passed] == []
    assert len(outcomes) == len(CASES)


@pytest.mark.parametrize(
    ("built_in", "options"),
    [
        (Echo, None),
        (Mock, {"tokens_per_second": None, "first_token_delay": 0, "reasoning_tokens": 9, "tool_call": True}),
    ],
)
def test_a_built_in_passes_every_case(built_in, options):
    outcomes = check(responder(built_in), options=options)

    assert [outcome for outcome in outcomes if not outcome.passed or outcome.skipped] == []


def test_the_mock_at_a_pace_fails_no_case():
    outcomes = check(responder(Mock), options={"first_token_delay": 0.02}, patience=0.1)

    assert [outcome for outcome in outcomes if not outcome.passed] == []


@pytest.mark.parametrize(("case", "source", "sentence"), BAD)
async def test_a_case_fails(case, source, sentence, hurried):
    outcome = await run(case, Trial(responder(source), patience=1.5))

    assert not outcome.passed
    assert sentence in outcome.sentence


async def test_a_responder_that_takes_any_option_fails():
    outcome = await run(refuses_unknown_options, Trial(zoo.Lenient("lenient", zoo.shout)))

    assert not outcome.passed
    assert outcome.sentence == "it accepted no_such_option"


def test_every_case_is_seen_to_fail():
    assert {case for case, _, _ in BAD} | {refuses_unknown_options} == set(CASES)


async def test_a_slow_responder_skips_what_it_does_not_reach():
    outcomes = [await run(case, Trial(responder(zoo.silent), patience=0.05)) for case in CASES]

    skipped = Counter(outcome.sentence for outcome in outcomes if outcome.skipped)
    assert all(outcome.passed for outcome in outcomes)
    assert skipped == {"nothing came within 0.05 s": 7, "it did not end within 0.05 s": 1}


async def test_a_plain_generator_that_takes_its_time_is_no_litter(hurried):
    outcome = await run(leaves_nothing_after_a_stop, Trial(responder(litter.slow)))

    assert outcome.skipped
    assert "thread still runs" in outcome.sentence


@pytest.mark.parametrize("case", [leaves_nothing_after_its_end, leaves_nothing_after_a_stop])
@pytest.mark.parametrize("source", [zoo.KeepsAClient, zoo.ask_a_pool])
async def test_what_serves_all_replies_may_stay(case, source):
    outcome = await run(case, Trial(responder(source)))

    assert outcome.passed
    assert not outcome.skipped


async def test_a_reply_that_fails_at_once_cannot_be_stopped_in_the_middle():
    outcome = await run(stops_in_the_middle, Trial(responder(zoo.yielding), patience=1))

    assert outcome.skipped
    assert "raised TypeError" in outcome.sentence


def test_options_are_handed_to_the_responder():
    outcomes = check(responder(zoo.Demanding), options={"times": 3}, patience=1)

    assert [outcome.name for outcome in outcomes if not outcome.passed] == ["defaults suffice"]


def test_a_responder_that_blocks_for_ever_does_not_block_the_check(hurried):
    outcomes = check(responder(litter.block), patience=0.05)

    assert [(outcome.name, outcome.passed) for outcome in outcomes] == [("yields only pieces", False)]
    assert "blocked the event loop" in outcomes[0].sentence


def test_a_check_inside_a_running_loop_works():
    async def inside():
        return await asyncio.to_thread(check, responder(zoo.shout))

    outcomes = asyncio.run(inside())

    assert all(outcome.passed for outcome in outcomes)


def test_a_check_leaves_no_thread_behind():
    before = set(threading.enumerate())

    check(responder(zoo.count))

    assert [thread for thread in set(threading.enumerate()) - before if thread.is_alive()] == []


def test_an_outcome_that_passed_says_what_held():
    outcomes = check(responder(zoo.shout))

    assert outcomes[0].name == "yields only pieces"
    assert outcomes[0].sentence == "Everything it yields is a str, a Part, Usage or Finish."
