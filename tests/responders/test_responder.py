from __future__ import annotations

import asyncio
import functools
from contextlib import aclosing
from typing import Annotated

import msgspec
import pytest

from responders.base import Prompt
from responders.responder import LoadError, OptionError, Responder
from tests.responders import zoo


async def read(source, options=None):
    responder = Responder("tried", source)
    async with aclosing(responder.open(Prompt("hello you", options=responder.parse_options(options)))) as pieces:
        return [piece async for piece in pieces]


class Speaker:
    """Has methods that are responders."""

    @staticmethod
    def quote(prompt):
        return zoo.shout(prompt)

    @staticmethod
    def quote_an_answer(prompt):
        return answer(prompt)

    async def speak(self, prompt):
        yield "spoken"


# --- what is a responder ---


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (zoo.shout, "HELLO YOU "),
        (zoo.count, "0 1 2 "),
        (zoo.Repeat, "hello youhello you"),
        (zoo.Repeat(), "hello youhello you"),
        (zoo.PlainRepeat, "hello youhello you"),
        (zoo.hand_on, "HELLO YOU "),
        (zoo.hand_on_plain, "0 1 2 "),
        (zoo.iterate, "2 1 0 "),
        (zoo.with_prefix, "Well, hello you"),
        (functools.partial(functools.partial(zoo.prefixed), "Now, "), "Now, hello you"),
        (functools.partial(zoo.Repeat()), "hello youhello you"),
        (functools.partial(zoo.PlainRepeat()), "hello youhello you"),
        (Speaker().speak, "spoken"),
        (Speaker.quote, "HELLO YOU "),
    ],
)
async def test_a_source_that_yields_a_reply_is_a_responder(source, text):
    assert "".join(await read(source)) == text


class NeedsArguments:
    def __init__(self, model):
        self.model = model

    async def __call__(self, prompt):
        yield self.model


class Unable:
    def __init__(self):
        raise OSError("no model\nfound.")


class Silent:
    """Cannot be called."""


async def answer(prompt):
    return prompt.text


async def no_prompt():
    yield "hello"


async def two_prompts(one, two):
    yield "hello"


def having(options):
    return type("Having", (zoo.Repeat,), {"Options": options})


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (42, "cannot be called; a responder is"),
        ("text", "cannot be called"),
        (Silent, "cannot be called"),
        (answer, "coroutine function without a `yield`"),
        (functools.partial(answer), "coroutine function without a `yield`"),
        (no_prompt, "cannot be called with one argument, the prompt"),
        (two_prompts, "cannot be called with one argument, the prompt"),
        (NeedsArguments, "The class tried cannot be created without arguments: TypeError: "),
        (Unable, "OSError: no model found."),
        (having(dict), "tried.Options is not a msgspec.Struct"),
        (having({"level": 1}), "Options is not a msgspec.Struct"),
        (having(msgspec.defstruct("Options", ["a"], array_like=True)), "with named fields"),
        (having(msgspec.defstruct("Options", [("a", object(), None)])), "cannot be described as JSON Schema"),
    ],
)
def test_anything_else_is_refused_in_one_sentence(source, sentence):
    with pytest.raises(LoadError) as refused:
        Responder("tried", source)

    assert sentence in str(refused.value)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("source", "kind"),
    [(lambda prompt: prompt.text, "str"), (Speaker.quote_an_answer, "coroutine"), (print, "NoneType")],
)
async def test_a_callable_that_returns_no_generator_fails_its_reply(source, kind):
    with pytest.raises(TypeError, match=f"the responder tried returned {kind}, not an async generator"):
        await read(source)


def test_a_class_is_created_once():
    created = []

    class Counted:
        def __init__(self):
            created.append(self)

        async def __call__(self, prompt):
            yield "one"

    asyncio.run(_twice(Responder("counted", Counted)))

    assert len(created) == 1


async def _twice(responder):
    for _ in range(2):
        assert [piece async for piece in responder.open(Prompt("?"))] == ["one"]


@pytest.mark.parametrize(
    ("source", "description"),
    [
        (zoo.shout, "Says it louder."),
        (zoo.Repeat, "Says it again."),
        (zoo.Repeat(), "Says it again."),
        (zoo.with_prefix, "Says something first."),
        (zoo.silent, ""),
    ],
)
def test_the_description_is_the_first_line_of_the_docstring(source, description):
    assert Responder("tried", source).description == description


# --- its life ---


@pytest.mark.parametrize("source", [zoo.shout, zoo.count, zoo.hand_on])
async def test_nothing_runs_before_the_first_piece_is_asked_for(source):
    called = []

    def noting(prompt):
        called.append(prompt)
        return source(prompt)

    await Responder("tried", noting).open(Prompt("?")).aclose()

    assert called == []


async def test_what_a_callable_raises_is_raised_to_the_reader():
    def fail(prompt):
        raise ValueError("out of ink")

    with pytest.raises(ValueError, match="out of ink"):
        await read(fail)


async def test_a_generator_that_was_handed_on_is_closed_with_its_reader():
    closed = []

    async def inner():
        try:
            while True:
                yield "and "
        finally:
            closed.append(True)

    pieces = Responder("tried", lambda prompt: inner()).open(Prompt("?"))
    await anext(pieces)
    await pieces.aclose()

    assert closed == [True]


async def test_a_cancellation_reaches_the_await_where_the_generator_stands():
    seen = []
    waiting = asyncio.Event()

    async def wait(prompt):
        try:
            waiting.set()
            await asyncio.Event().wait()
            yield "never"
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("finally")

    reading = asyncio.create_task(read(wait))
    await waiting.wait()
    reading.cancel()
    await asyncio.wait({reading}, timeout=60)

    assert reading.cancelled()
    assert seen == ["cancelled", "finally"]


# --- its options ---


class Inner(msgspec.Struct):
    weight: float = 1.0


class Several:
    class Options(msgspec.Struct, rename={"kind": "type"}):
        limit: Annotated[int, msgspec.Meta(ge=1, le=9)] = 3
        rate: float | None = None
        kind: str = "plain"
        inner: Inner | None = None
        rates: list[float] = []

        def __post_init__(self):
            if self.kind == "odd":
                raise ValueError("odd is not even")
            if self.kind == "broken":
                raise KeyError("oops")

    async def __call__(self, prompt):
        yield f"{prompt.options.limit}"


several = Responder("several", Several)


def test_options_left_out_are_the_defaults():
    assert several.parse_options(None) == several.parse_options({}) == Several.Options()


async def test_options_reach_the_responder():
    assert await read(Several, {"limit": 5}) == ["5"]


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        ({"colour": "red"}, "colour", "several has no option of this name; it has limit, rate, type, inner, rates"),
        ({"kind": "renamed"}, "kind", "no option of this name"),
        ({"limit": 0}, "limit", "Expected `int` >= 1"),
        ({"limit": "3"}, "limit", "Expected `int`, got `str`"),
        ({"limit": 10**400}, "limit", ""),
        ({"rate": 10**400}, "rate", "out of range"),
        ({"rate": float("nan")}, "rate", "must be finite"),
        ({"rate": float("-inf")}, "rate", "must be finite"),
        ({"inner": {"weight": float("inf")}}, "inner.weight", "must be finite"),
        ({"rates": [1.0, float("nan")]}, "rates[1]", "must be finite"),
        ({"rates": [1.0, "two"]}, "rates[1]", "Expected `float`, got `str`"),
        ({"inner": {"weight": "x"}}, "inner.weight", "Expected `float`, got `str`"),
        ({"inner": []}, "inner", "Expected `object | null`, got `array`"),
        ({"type": "odd"}, "", "odd is not even"),
        ({"type": "broken"}, "", "KeyError: 'oops'"),
    ],
)
def test_a_bad_option_is_refused_by_its_name(raw, path, message):
    with pytest.raises(OptionError) as refused:
        several.parse_options(raw)

    assert refused.value.path == path
    assert message in refused.value.message
    assert str(refused.value) == (f"{path}: {refused.value.message}" if path else refused.value.message)


def test_an_option_that_is_required_is_asked_for():
    with pytest.raises(OptionError) as refused:
        Responder("demanding", zoo.Demanding).parse_options(None)

    assert (refused.value.path, refused.value.message) == ("times", "This option is required")


def test_deep_options_are_read_to_the_bottom():
    raw = {"limit": functools.reduce(lambda inner, _: [inner], range(10_000), float("nan"))}

    with pytest.raises(OptionError):
        several.parse_options(raw)


def test_a_responder_without_options_takes_none():
    shout = Responder("shout", zoo.shout)

    with pytest.raises(OptionError) as refused:
        shout.parse_options({"loud": True})

    assert shout.options is None
    assert shout.parse_options(None) is None
    assert shout.parse_options({}) is None
    assert (refused.value.path, refused.value.message) == ("loud", "shout has no option of this name; it has none")


def test_the_schema_is_an_object_with_its_references_at_hand():
    schema = several.schema()

    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == ["limit", "rate", "type", "inner", "rates"]
    assert schema["properties"]["limit"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 3}
    assert list(schema["$defs"]) == ["Inner"]


def test_the_schema_without_references_has_no_definitions():
    assert "$defs" not in Responder("repeat", zoo.Repeat).schema()


class Tree(msgspec.Struct):
    """Options that refer to themselves."""

    left: Tree | None = None


def test_the_schema_of_options_that_refer_to_themselves_keeps_their_definition():
    schema = Responder("tree", having(Tree)).schema()

    assert schema["type"] == "object"
    assert list(schema["$defs"]) == ["Tree"]


def test_the_schema_without_options_allows_nothing():
    schema = Responder("shout", zoo.shout).schema()

    assert schema == {"type": "object", "properties": {}, "additionalProperties": False}
