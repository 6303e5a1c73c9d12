"""The cases that anybody's responder has to pass: the contract of `responders.base`, tried out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import msgspec

from responders.base import STOP_SECONDS, Piece, ResponderError, ToolCall, ToolResult
from responders.responder import OptionError, describe
from responders.threaded import THREAD_PREFIX
from responders.trial import Failed, Reading, Skipped, Trial

BLOCKED_SECONDS = 0.5
"""For how long the event loop may stand still."""
POOLS = ("asyncio_", "ThreadPoolExecutor-")
"""What the names of pooled threads begin with; these outlive the calls that they are used for."""

TEXTS = {
    "emoji": "👩‍🚀 🏳️‍🌈 👍🏽 🇰🇪",
    "right to left": "שלום, العالم",
    "combining marks": "e\u0301 n\u0303 Z\u0351\u036b\u0343",
    "NUL": "before\0after",
    "lone line breaks": "a\rb\nc\u2028d\u2029e\x85f\x1cg\n",
    "100 kB": "tick " * 20_000,
    "a word of 100 kB": "x" * 100_000,
}

Case = Callable[[Trial], Awaitable[None]]
"""Returns where the responder passes, raises `Failed` or `Skipped`; the first line of its docstring is its promise."""


# What it yields


async def yields_only_pieces(trial: Trial) -> None:
    """Everything it yields is a str, a Part, Usage or Finish."""
    reading = await trial.read()
    for piece in reading.pieces:
        if not isinstance(piece, Piece):
            raise Failed(f"it yielded {_shown(piece)}; a responder yields str, a Part, Usage or Finish")
    _reached(reading, trial)


async def parts_are_well_formed(trial: Trial) -> None:
    """Its parts hold what they should: texts are str, a tool's arguments are JSON, a result follows its call."""
    reading = await trial.read()
    calls: set[str] = set()
    for piece in reading.pieces:
        if flaw := _flaw(piece, calls):
            raise Failed(f"it yielded {_shown(piece)}: {flaw}")
    _reached(reading, trial)


async def answers_any_text(trial: Trial) -> None:
    """No text of a prompt makes it raise, unless it is a ResponderError."""
    readings = {name: trial.ask(text) for name, text in TEXTS.items()}
    try:
        await asyncio.gather(*map(trial.see_out, readings.values()), return_exceptions=True)
    finally:
        await asyncio.gather(*(reading.leave() for reading in readings.values()))
    for name, reading in readings.items():
        if reading.error is not None and not isinstance(reading.error, ResponderError):
            raise Failed(f"it raised {describe(reading.error)} on a prompt with {name}")


async def runs_side_by_side(trial: Trial) -> None:
    """Replies at the same time do not disturb each other, and stopping one leaves the others alone."""
    readings = [trial.ask() for _ in range(3)]
    try:
        await readings[0].first(trial.patience)
        await readings[0].stop()
        for reading in readings[1:]:
            await trial.see_out(reading)
    finally:
        await asyncio.gather(*(reading.leave() for reading in readings))


# Its options


async def defaults_suffice(trial: Trial) -> None:
    """A prompt without options gets a reply, and the defaults are options that it would accept."""
    try:
        defaults = trial.responder.parse_options(None)
    except OptionError as error:
        raise Failed(f"it does not work without options: {error}") from error
    try:
        trial.responder.parse_options(msgspec.to_builtins(defaults))
    except OptionError as error:
        raise Failed(f"one of its defaults is refused when it is given: {error}") from error
    reading = Trial(trial.responder, None, trial.patience).ask(most=1)
    await trial.see_out(reading)
    _reached(reading, trial)


async def refuses_unknown_options(trial: Trial) -> None:
    """An option that it does not have is refused, and the refusal names it."""
    unknown = "no_such_option"
    while unknown in trial.responder.schema()["properties"]:
        unknown += "_"
    try:
        trial.responder.parse_options({unknown: 1})
    except OptionError as error:
        if error.path != unknown:
            raise Failed(f"it refused {unknown} by the name of {error.path!r}") from error
    else:
        raise Failed(f"it accepted {unknown}")


# Its end


async def stops_before_its_first_piece(trial: Trial) -> None:
    """Stopped at once, it leaves within a second."""
    reading = trial.ask()
    await asyncio.sleep(0)  # the reading's task enters the generator
    await reading.stop()


async def stops_in_the_middle(trial: Trial) -> None:
    """Stopped after a piece, it leaves within a second."""
    reading = trial.ask()
    await reading.first(trial.patience)
    await reading.stop()


async def closes_after_a_piece(trial: Trial) -> None:
    """Closed where it stands at a `yield`, it ends there and yields no more."""
    reading = trial.ask(most=1)
    await reading.first(trial.patience)
    if not await reading.over(STOP_SECONDS):
        await reading.leave()
        raise Failed(f"it was not closed after {STOP_SECONDS:g} s")
    if reading.error is not None:
        raise Failed(f"it raised {describe(reading.error)} when it was closed")


async def leaves_nothing_after_its_end(trial: Trial) -> None:
    """When it has ended, no task and no thread of it is left."""

    async def to_the_end() -> None:
        reading = trial.ask()
        if not await reading.over(trial.patience):
            await reading.leave()
            raise Skipped(f"it did not end within {trial.patience:g} s")

    await _leaves_nothing(to_the_end)


async def leaves_nothing_after_a_stop(trial: Trial) -> None:
    """When it was stopped, no task and no thread of it is left."""

    async def to_a_stop() -> None:
        reading = trial.ask()
        await reading.first(trial.patience)
        await reading.stop()

    await _leaves_nothing(to_a_stop)


async def keeps_the_loop_free(trial: Trial) -> None:
    """It does not hold up the event loop, on which every other reply runs too."""
    loop = asyncio.get_running_loop()
    gaps = [0.0]
    last = loop.time()

    async def beat() -> None:
        nonlocal last
        while True:
            await asyncio.sleep(0.01)
            now = loop.time()
            gaps.append(now - last)
            last = now

    heart = asyncio.create_task(beat())
    try:
        await trial.read()
    finally:
        heart.cancel()
    worst = max(*gaps, loop.time() - last)
    if worst > BLOCKED_SECONDS:
        raise Failed(f"the event loop stood still for {worst:.1f} s; what blocks belongs in a thread")


CASES: tuple[Case, ...] = (
    yields_only_pieces,
    parts_are_well_formed,
    answers_any_text,
    runs_side_by_side,
    defaults_suffice,
    refuses_unknown_options,
    stops_before_its_first_piece,
    stops_in_the_middle,
    closes_after_a_piece,
    leaves_nothing_after_its_end,
    leaves_nothing_after_a_stop,
    keeps_the_loop_free,
)


# What the cases look at


def _shown(piece: object) -> str:
    text = repr(piece)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _reached(reading: Reading, trial: Trial) -> None:
    """Skip where nothing came, so that there was nothing to judge."""
    if not reading.pieces and not reading.complete:
        raise Skipped(f"nothing came within {trial.patience:g} s")


def _flaw(piece: Piece, calls: set[str]) -> str | None:
    """Return what is wrong with a piece that follows these calls of tools; a call joins them."""
    if isinstance(piece, str) or not isinstance(piece, Piece):
        return None
    try:
        msgspec.convert(msgspec.structs.asdict(piece), type(piece))
    except msgspec.ValidationError as error:
        return str(error)
    match piece:
        case ToolCall(call_id, name, arguments):
            repeated = call_id in calls
            calls.add(call_id)
            if not call_id or not name or repeated:
                return "a call needs a name, and an id of its own"
            try:
                msgspec.json.decode(arguments)
            except msgspec.DecodeError as error:
                return f"its arguments are not JSON text: {error}"
        case ToolResult(call_id) if call_id not in calls:
            return "a result names a call that came before it"
    return None


async def _leaves_nothing(reply: Callable[[], Awaitable[None]]) -> None:
    await reply()  # what a first reply makes, such as a client or a pool, may stay
    before = _alive()
    await reply()
    for _ in range(int(STOP_SECONDS * 100)):
        if not _alive() - before:
            return
        await asyncio.sleep(0.01)
    names = sorted(_name(one) for one in _alive() - before)
    if names and all(name.startswith(THREAD_PREFIX) for name in names):
        raise Skipped("its thread still runs; a plain generator is closed at its next `yield`")
    if names:
        raise Failed(f"it left {', '.join(names)} behind")


def _alive() -> set[asyncio.Task[object] | threading.Thread]:
    threads = (thread for thread in threading.enumerate() if not thread.name.startswith(POOLS))
    return {*asyncio.all_tasks(), *threads}


def _name(one: asyncio.Task[object] | threading.Thread) -> str:
    return one.name if isinstance(one, threading.Thread) else f"the task {one.get_name()}"
