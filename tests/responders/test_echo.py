from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responders.base import Prompt
from responders.echo import Echo
from responders.responder import OptionError, Responder
from tests.responders.virtual import run_virtually

echo = Responder("echo", Echo)


async def say(text, options=None):
    prompt = Prompt(text, options=echo.parse_options(options))
    return [piece async for piece in echo.open(prompt)]


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(exclude_categories=[])))
def test_the_pieces_joined_are_the_prompt_s_text(text):
    assert "".join(asyncio.run(say(text))) == text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("one two  three", ["one ", "two  ", "three"]),
        ("  one\n\n", ["  ", "one\n\n"]),
        (" \n", [" \n"]),
        ("", []),
        ("a\x1cb\u2028c\x85d\u00a0e", ["a\x1c", "b\u2028", "c\x85", "d\u00a0", "e"]),
        ("zero\u200bwidth \ud800", ["zero\u200bwidth ", "\ud800"]),
    ],
)
async def test_a_piece_is_a_word_with_the_white_space_behind_it(text, pieces):
    assert await say(text) == pieces


def test_words_come_at_the_pace_that_is_asked_for():
    async def scenario():
        await say("one two three", {"tokens_per_second": 2})
        return asyncio.get_running_loop().time()

    assert run_virtually(scenario()) == pytest.approx(1.0)


def test_unpaced_it_takes_no_time():
    async def scenario():
        await say("word " * 10_000)
        return asyncio.get_running_loop().time()

    assert run_virtually(scenario()) == 0.0


@pytest.mark.parametrize("rate", [0, -1, "fast", True, 1e300, float("inf")])
def test_a_pace_that_is_none_is_refused(rate):
    with pytest.raises(OptionError) as refused:
        echo.parse_options({"tokens_per_second": rate})

    assert refused.value.path == "tokens_per_second"
