from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responders import prose
from responders.base import Finish, Prompt, Reasoning, Text, ToolCall, ToolResult, Usage
from responders.mock import TOKEN, Mock
from responders.responder import OptionError, Responder
from tests.responders.virtual import run_virtually

mock = Responder("mock", Mock)


async def read(text="What is new?", **options):
    prompt = Prompt(text, options=mock.parse_options(options))
    return [piece async for piece in mock.open(prompt)]


def write(text="What is new?", **options):
    """All pieces of a reply, in no time."""
    return run_virtually(read(text, **options))


def text_of(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


def test_the_same_seed_and_options_write_the_same_reply():
    assert write("one", seed=7, reasoning_tokens=5, tool_call=True) == write(
        "two", seed=7, reasoning_tokens=5, tool_call=True
    )


def test_another_seed_writes_another_reply():
    assert len({text_of(write(seed=seed)) for seed in range(20)}) == 20


def test_without_a_seed_the_prompt_s_text_is_one():
    assert write("one") == write("one")
    assert write("one") != write("two")


@pytest.mark.parametrize("text", ["", "\0", "\ud800", "👩‍🚀"])
def test_any_text_is_a_seed(text):
    assert text_of(write(text))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 600), st.integers(0, 2**53 - 1))
def test_there_are_as_many_tokens_as_were_asked_for(tokens, seed):
    pieces = write(tokens=tokens, seed=seed)

    texts = [piece.text for piece in pieces if isinstance(piece, Text)]
    assert len(texts) == tokens
    assert all(TOKEN.fullmatch(text) for text in texts)


def test_the_defaults_are_those_of_the_documentation():
    defaults = msgspec.to_builtins(mock.parse_options(None))

    assert defaults == {
        "tokens": 200,
        "tokens_per_second": 30.0,
        "first_token_delay": 0.2,
        "seed": None,
        "reasoning_tokens": 0,
        "tool_call": False,
        "fail_after": None,
    }


def test_a_long_reply_holds_every_kind_of_markdown_and_letters_of_many_bytes():
    text = text_of(write(tokens=2000, seed=1))

    for mark in ("\n## ", "\n- ", "\n1. ", "\n> ", "\n|---|", "**", "*", "`"):
        assert mark in text
    assert text.count("```") % 2 == 0
    assert len(text.encode()) > len(text)


@pytest.mark.parametrize("tokens", [1, 5, 12, 13, 40, 199, 200, 1000])
def test_a_reply_ends_with_a_whole_sentence(tokens):
    text = text_of(write(tokens=tokens))

    assert text.endswith(tuple(prose.CLOSERS))
    assert text == text.strip()


def test_there_is_a_closer_of_every_length_and_a_sentence_that_is_no_longer():
    sizes = [len(closer.split()) for closer in prose.CLOSERS]

    assert sizes == list(range(1, len(sizes) + 1))
    assert min(len(sentence.split()) for sentence in prose.SENTENCES) <= len(sizes)


def test_thoughts_then_a_tool_then_the_text_then_the_account():
    pieces = write("two words", tokens=30, reasoning_tokens=20, tool_call=True)

    kinds = [Reasoning] * 20 + [ToolCall, ToolResult] + [Text] * 30 + [Usage, Finish]
    assert [type(piece) for piece in pieces] == kinds
    assert pieces[-2:] == [Usage(2, 50, 52), Finish("stop")]


def test_a_tool_s_result_belongs_to_its_call():
    call, result = write(tokens=0, tool_call=True)[:2]

    assert call.call_id == result.call_id
    assert isinstance(msgspec.json.decode(call.arguments), dict)


@pytest.mark.parametrize("fail_after", [0, 1, 15, 30])
def test_it_fails_after_so_many_tokens(fail_after):
    got = []

    async def scenario():
        options = mock.parse_options({"tokens": 20, "reasoning_tokens": 10, "fail_after": fail_after})
        async for piece in mock.open(Prompt("?", options=options)):
            got.append(piece)  # noqa: PERF401 - a comprehension would be lost with the exception

    with pytest.raises(RuntimeError, match=f"fail after {fail_after} tokens"):
        run_virtually(scenario())

    assert len(got) == fail_after


def test_a_failure_that_would_come_after_the_end_does_not_come():
    assert write(tokens=20, fail_after=21)[-1] == Finish("stop")


def test_tokens_come_on_schedule():
    async def scenario():
        loop = asyncio.get_running_loop()
        options = mock.parse_options({"tokens": 4, "reasoning_tokens": 2, "tool_call": True, "tokens_per_second": 10})
        return [(type(piece), round(loop.time(), 6)) async for piece in mock.open(Prompt("?", options=options))]

    assert run_virtually(scenario()) == [
        (Reasoning, 0.2),
        (Reasoning, 0.3),
        (ToolCall, 0.4),
        (ToolResult, 0.4),
        (Text, 0.4),
        (Text, 0.5),
        (Text, 0.6),
        (Text, 0.7),
        (Usage, 0.7),
        (Finish, 0.7),
    ]


def test_a_late_reader_gets_all_that_is_due_at_once():
    async def scenario():
        loop = asyncio.get_running_loop()
        options = mock.parse_options({"tokens": 40, "tokens_per_second": 10, "first_token_delay": 0})
        pieces = mock.open(Prompt("?", options=options))
        await anext(pieces)
        loop.pass_time(2.05)
        times = [loop.time() async for _ in pieces]
        return times.count(2.05)

    assert run_virtually(scenario()) == 20


def test_a_reply_without_a_pace_takes_the_delay_only():
    async def scenario():
        await read(tokens=5000, tokens_per_second=None, first_token_delay=1.5)
        return asyncio.get_running_loop().time()

    assert run_virtually(scenario()) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tokens", -1),
        ("tokens", 100_001),
        ("tokens", 1.5),
        ("tokens", None),
        ("tokens_per_second", 0),
        ("tokens_per_second", -30),
        ("tokens_per_second", float("nan")),
        ("first_token_delay", -0.1),
        ("first_token_delay", 1e9),
        ("seed", -1),
        ("seed", 2**53),
        ("seed", "one"),
        ("reasoning_tokens", -1),
        ("tool_call", 1),
        ("fail_after", -1),
    ],
)
def test_an_option_out_of_its_bounds_is_refused_by_its_name(option, value):
    with pytest.raises(OptionError) as refused:
        mock.parse_options({option: value})

    assert refused.value.path == option


def test_it_leaves_the_dice_of_others_alone():
    random.seed(1)
    expected = random.random()
    random.seed(1)

    write()

    assert random.random() == expected
