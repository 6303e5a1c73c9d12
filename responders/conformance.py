"""Whether a responder keeps the contract: every case run, and what came of it.

This is what `tickertape check` shows. It asks the responder for about twenty replies.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from responders.base import STOP_SECONDS
from responders.cases import CASES, Case
from responders.responder import Responder, describe
from responders.trial import Failed, Skipped, Trial


class Outcome(msgspec.Struct, frozen=True):
    """How a case went; one that could not be tried is `skipped`, and counts as passed."""

    name: str
    passed: bool
    sentence: str
    """What held, or what did not, or why that could not be seen."""
    skipped: bool = False


async def run(case: Case, trial: Trial) -> Outcome:
    """Run one case; it ends in time unless the responder blocks the event loop."""
    name = _name(case)
    try:
        await case(trial)
    except Failed as verdict:
        return Outcome(name, False, f"{verdict}")
    except Skipped as verdict:
        return Outcome(name, True, f"{verdict}", skipped=True)
    except Exception as error:  # noqa: BLE001 - from the author's `Options` or callable: a failure as well
        return Outcome(name, False, f"raised {describe(error)}")
    return Outcome(name, True, inspect.getdoc(case) or "")


def check(responder: Responder, *, options: Mapping[str, Any] | None = None, patience: float = 5.0) -> list[Outcome]:
    """Run every case and return the outcomes, in order; `options` are those to ask with, `patience` is in seconds.

    All cases share one event loop, as replies do in the server. It runs in a thread of its own, so that a responder
    that blocks it for ever fails, too.
    """
    trial = Trial(responder, options, patience)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop,), name="check", daemon=True)
    thread.start()
    outcomes: list[Outcome] = []
    limit = 4 * (patience + STOP_SECONDS)
    try:
        for case in CASES:
            try:
                outcomes.append(asyncio.run_coroutine_threadsafe(run(case, trial), loop).result(limit))
            except TimeoutError:
                sentence = f"it blocked the event loop for {limit:g} s; the rest was not run"
                outcomes.append(Outcome(_name(case), False, sentence))
                break
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_SECONDS)
    return outcomes


def _name(case: Case) -> str:
    return case.__name__.replace("_", " ")


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then let go of what does not leave."""
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.set_exception_handler(lambda *_: None)
    for task in (left := asyncio.all_tasks(loop)):
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=STOP_SECONDS / 2))
    loop.close()
