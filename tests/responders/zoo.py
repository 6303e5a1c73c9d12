"""Responders good and bad. Each has one habit, and none is a double: they run as anybody's would."""

from __future__ import annotations

import asyncio
import functools
import threading
import time

import msgspec

from responders.base import Finish, Reasoning, ResponderError, Text, ToolCall, ToolResult, Usage
from responders.responder import Responder

# --- good ones ---


async def shout(prompt):
    """Says it louder.

    More about that.
    """
    for word in prompt.text.split():
        yield word.upper() + " "


def count(prompt):
    """Counts, without async."""
    for number in range(3):
        yield f"{number} "


class Repeat:
    """Says it again."""

    class Options(msgspec.Struct):
        times: int = 2

    async def __call__(self, prompt):
        for _ in range(prompt.options.times):
            yield prompt.text


class PlainRepeat(Repeat):
    """Says it again, without async."""

    def __call__(self, prompt):
        for _ in range(prompt.options.times):
            yield prompt.text


def hand_on(prompt):
    """Returns a generator that it did not write."""
    return shout(prompt)


def hand_on_plain(prompt):
    return count(prompt)


class Countdown:
    """An async iterator that is no generator."""

    def __init__(self, start):
        self._left = start

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return f"{self._left} "


def iterate(prompt):
    return Countdown(3)


async def prefixed(prefix, prompt):
    """Says something first."""
    yield prefix
    yield prompt.text


with_prefix = functools.partial(prefixed, "Well, ")


async def use_everything(prompt):
    yield Reasoning("hm")
    yield ToolCall("a", "look", '{"at": "it"}')
    yield ToolResult("a", "seen")
    yield Text("It is ")
    yield "there."
    yield Usage(1, 2, 3)
    yield Finish("length")


async def huge(prompt):
    yield "x" * 3_000_000


async def endless(prompt):
    while True:
        yield "and "


async def silent(prompt):
    await asyncio.Event().wait()
    yield "never"


async def refuse(prompt):
    if len(prompt.text) > 1000:
        raise ResponderError("That is too long.")
    yield "fine"


async def leave_late(prompt):
    """Takes its time to leave, within the second that it has."""
    try:
        while True:
            yield "so "
            await asyncio.sleep(0.001)
    finally:
        await asyncio.sleep(0.05)


class KeepsAClient:
    """Makes something at its first reply that serves all later ones."""

    def __init__(self):
        self._client = None

    async def __call__(self, prompt):
        self._client = self._client or asyncio.create_task(asyncio.Event().wait(), name="client")
        yield "answered"


async def ask_a_pool(prompt):
    for _ in range(3):
        yield await asyncio.to_thread(str.upper, "pooled ")


GOOD = {
    "shout": shout,
    "count": count,
    "repeat": Repeat,
    "plain repeat": PlainRepeat,
    "hand on": hand_on,
    "hand on plain": hand_on_plain,
    "iterate": iterate,
    "with prefix": with_prefix,
    "use everything": use_everything,
    "huge": huge,
    "endless": endless,
    "silent": silent,
    "refuse": refuse,
    "leave late": leave_late,
    "keeps a client": KeepsAClient,
    "ask a pool": ask_a_pool,
}

# --- bad ones ---


async def yield_numbers(prompt):
    yield 42


async def fail(prompt):
    yield "so "
    raise ValueError("out of ink")


def yielding(*pieces):
    async def say(prompt):
        for piece in pieces:
            yield piece

    return say


async def choke_on_nul(prompt):
    if "\0" in prompt.text:
        raise ValueError("embedded null byte")
    yield prompt.text


class OneAtATime:
    """Keeps a reply's state where all replies see it."""

    def __init__(self):
        self._busy = False

    async def __call__(self, prompt):
        if self._busy:
            raise RuntimeError("busy")
        self._busy = True
        try:
            yield "one "
            await asyncio.sleep(0.01)
            yield "two"
        finally:
            self._busy = False


class Demanding(Repeat):
    class Options(msgspec.Struct):
        times: int


class WrongDefault(Repeat):
    class Options(msgspec.Struct):
        times: int = "two"  # type: ignore[assignment]


class Lenient(Responder):
    """Takes any option: what our own `Responder` never does."""

    def parse_options(self, raw):
        return None


class Stubborn:
    """Takes longer to leave than a hurried test allows, and yet leaves: nothing waits for it for ever."""

    def __init__(self, *pieces):
        self._pieces = pieces

    async def __call__(self, prompt):
        for piece in self._pieces:
            yield piece
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            try:
                await asyncio.sleep(until - time.monotonic())
            except asyncio.CancelledError:
                continue


async def raise_when_stopped(prompt):
    yield "so "
    try:
        await asyncio.Event().wait()
    finally:
        raise ValueError("I was not done")


async def cling(prompt):
    try:
        yield "one "
    finally:
        yield "two"


async def close_slowly(prompt):
    try:
        yield "one "
    finally:
        await asyncio.sleep(2)


class Litter:
    """Leaves a task or a thread behind, until it is told to clean up."""

    def __init__(self):
        self.swept = threading.Event()
        self.tasks = set()

    async def task(self, prompt):
        self.tasks.add(asyncio.create_task(asyncio.Event().wait(), name="litter"))
        yield "oops"

    async def thread(self, prompt):
        threading.Thread(target=self.swept.wait, name="litter", daemon=True).start()
        yield "oops"

    def slow(self, prompt):
        """Is no litter: a plain generator that takes its time between two pieces."""
        yield "one "
        self.swept.wait()

    async def block(self, prompt):
        """Holds the event loop until it is told."""
        self.swept.wait()
        yield "done"


async def block(prompt):
    time.sleep(0.7)  # noqa: ASYNC251 - the habit that it shows
    yield "done"
