"""Mock: a model that costs nothing. It writes plausible Markdown from a seed, at a pace, and fails when told to."""

from __future__ import annotations

import itertools
import random
import re
import zlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from responders import prose
from responders.base import Finish, Piece, Prompt, Reasoning, Text, ToolCall, ToolResult, Usage
from responders.pace import Pace

TOKEN = re.compile(r"\s*\S+")
"""A word with the white space before it, as models like to cut text."""

T = TypeVar("T")


class Mock:
    """Writes plausible Markdown from a seed, word by word and on schedule: a model for tests and demonstrations."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """The same options and seed give the same reply."""

        tokens: Annotated[int, Meta(ge=0, le=100_000, description="how many tokens of text")] = 200
        tokens_per_second: Annotated[float, Meta(ge=0.01, le=100_000, description="null: no pause")] | None = 30.0
        first_token_delay: Annotated[float, Meta(ge=0, le=3600, description="seconds before anything comes")] = 0.2
        seed: Annotated[int, Meta(ge=0, le=2**53 - 1, description="null: from the prompt's text")] | None = None
        reasoning_tokens: Annotated[int, Meta(ge=0, le=100_000, description="tokens of thought before the text")] = 0
        tool_call: Annotated[bool, Meta(description="whether a tool is called, with its result, before the text")] = (
            False
        )
        fail_after: (
            Annotated[int, Meta(ge=0, le=200_000, description="tokens, thoughts too, after which it raises")] | None
        ) = None

    async def __call__(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Yield thoughts, a tool call and its result, the text, and at last `Usage` and `Finish`, as the options say.

        `fail_after` raises a plain `RuntimeError` and no `ResponderError`: the failure that no author foresaw, of which
        the user sees the fixed sentence only.
        """
        options: Mock.Options = prompt.options
        seed = zlib.crc32(prompt.text.encode("utf-8", "surrogatepass")) if options.seed is None else options.seed
        dice = random.Random(seed)  # noqa: S311 - a reply that can be repeated, no secret
        pace = Pace(options.tokens_per_second, delay=options.first_token_delay)
        written = 0
        for piece in _pieces(dice, options):
            if written == options.fail_after:
                break
            if isinstance(piece, Text | Reasoning):
                await pace.tick()
                written += 1
            else:
                await pace.due()  # tools take no time of their own
            yield piece
        if written == options.fail_after:
            await pace.due()
            raise RuntimeError(f"the mock was told to fail after {written} tokens")
        asked = len(TOKEN.findall(prompt.text))
        yield Usage(asked, written, asked + written)
        yield Finish("stop")


def _pieces(dice: random.Random, options: Mock.Options) -> Iterator[Text | Reasoning | ToolCall | ToolResult]:
    thoughts = _Deck(dice, prose.THOUGHTS).endless()
    for token in itertools.islice(_tokens(thoughts, between=" "), options.reasoning_tokens):
        yield Reasoning(token)
    if options.tool_call:
        call_id = f"call_{dice.getrandbits(32):08x}"
        name, arguments, result = dice.choice(prose.CALLS)
        yield ToolCall(call_id, name, msgspec.json.encode(arguments).decode())
        yield ToolResult(call_id, msgspec.json.encode(result).decode())
    for token in _tokens(_blocks(dice, options.tokens), between="\n\n"):
        yield Text(token)


def _tokens(texts: Iterator[str], between: str) -> Iterator[str]:
    for index, text in enumerate(texts):
        for token in TOKEN.finditer(between + text if index else text):
            yield token[0]


def _size(text: str) -> int:
    return len(TOKEN.findall(text))


class _Deck(Generic[T]):
    """Cards that are dealt in a shuffled order; all are dealt before one comes again."""

    def __init__(self, dice: random.Random, cards: Sequence[T]) -> None:
        self._dice = dice
        self._cards = cards
        self._rest: list[T] = []

    def draw(self) -> T:
        if not self._rest:
            self._rest = self._dice.sample(self._cards, len(self._cards))
        return self._rest.pop()

    def endless(self) -> Iterator[T]:
        while True:
            yield self.draw()


def _blocks(dice: random.Random, tokens: int) -> Iterator[str]:
    """Yield blocks of Markdown of exactly this many tokens: sections while they fit, then a last paragraph."""
    headings, sentences = _Deck(dice, prose.HEADINGS), _Deck(dice, prose.SENTENCES)
    features = _Deck(dice, [_Deck(dice, kind) for kind in (prose.LISTS, prose.CODE, prose.TABLES, prose.QUOTES)])
    left = tokens
    for number in itertools.count():
        if number % 4 == 1:
            block = headings.draw()
        elif number % 4 == 3:
            block = features.draw().draw()
        else:
            block = " ".join(sentences.draw() for _ in range(dice.randint(1, 3)))
        if _size(block) + len(prose.CLOSERS) > left:
            break
        left -= _size(block)
        yield block
    if left:
        yield _ending(sentences, left)


def _ending(sentences: _Deck[str], tokens: int) -> str:
    """Return a paragraph of exactly this many tokens; there is a closer for each number of words up to their count."""
    paragraph = []
    while tokens > len(prose.CLOSERS):
        sentence = sentences.draw()
        if _size(sentence) < tokens:
            paragraph.append(sentence)
            tokens -= _size(sentence)
    return " ".join([*paragraph, prose.CLOSERS[tokens - 1]])
