"""Where responders come from: a module, a file, or the entry points of installed packages."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from threading import Thread
from typing import TypeVar

from responders.responder import LoadError, Responder, describe
from responders.source import Source, load

T = TypeVar("T")

logger = logging.getLogger(__name__)

GROUP = "tickertape.responders"
"""The entry-point group in which packages offer responders; ours come in by it, too."""
LOAD_SECONDS = 10.0
"""How long loading changed code may take; one that takes longer may never come back, and nobody waits for it."""


class UnknownResponder(LookupError):
    """There is no responder of this `name`."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"There is no responder named {self.name!r}."


class Registry:
    """The responders that a server offers, by name, and which of them is the default.

    Entry points are loaded when they are asked for, once; one that does not load is left out and logged. Of two with
    one name the built-in wins, then the one found first; `add` replaces.
    """

    default: str
    """The name of the responder for a prompt that names none."""

    def __init__(
        self, responders: Iterable[Responder] = (), *, offered: Iterable[EntryPoint] = (), default: str = "mock"
    ) -> None:
        self.default = default
        self._known: dict[str, Responder | EntryPoint | LoadError] = {}
        self._source: Source | None = None
        self._failure: LoadError | None = None
        self._loading = asyncio.Lock()
        for offer in sorted(offered, key=lambda offer: not offer.value.startswith("responders.")):
            first = self._known.setdefault(offer.name, offer)
            if isinstance(first, EntryPoint) and first.value != offer.value:
                logger.warning("responder %s = %s is hidden by %s", offer.name, offer.value, first.value)
        for responder in responders:
            self.add(responder)

    @classmethod
    def discover(cls, default: str = "mock", *, reload: bool = False) -> Registry:
        """Return what is installed; `default` is a name, or a `module:attr` that is loaded and added.

        With `reload` that one is loaded again by `refresh` when it has changed; what is installed never is. Raises
        `LoadError` or `UnknownResponder` where that default cannot be used.
        """
        registry = cls(offered=entry_points(group=GROUP), default=default)
        if ":" in default:
            if reload:
                registry._source = Source(default)
            responder = registry._source.load() if registry._source else load(default)
            registry.add(responder)
            registry.default = responder.name
        registry.get(registry.default)
        return registry

    def add(self, responder: Responder) -> None:
        """Offer a responder under its name, in place of another of that name."""
        self._known[responder.name] = responder

    def get(self, name: str) -> Responder:
        """Return the responder of that name; raises `UnknownResponder`, or `LoadError` where it does not load."""
        if self._failure and name == self.default:
            raise LoadError(str(self._failure)) from self._failure
        return self.last(name)

    def last(self, name: str) -> Responder:
        """Return what `get` returned last: for replies that were accepted before their responder's code broke."""
        known = self._known.get(name)
        if known is None:
            raise UnknownResponder(name)
        if isinstance(known, EntryPoint):
            known = self._known[name] = _offered(known)
        if isinstance(known, LoadError):
            raise LoadError(str(known)) from known
        return known

    async def refresh(self, name: str | None, until: asyncio.Event) -> None:
        """Load a responder again where that is wanted and its code has changed; None names the default one.

        This takes `LOAD_SECONDS` at most, and waits no longer once `until` is set. Code that does not load any more is
        logged, and told by `get`.
        """
        if self._source is None or name not in (None, self.default):
            return
        # Not cancelled with its caller: that leaves a load behind, and the next one has to wait for it.
        load = asyncio.create_task(self._load_in_turn(self._source))
        end = asyncio.create_task(until.wait())
        try:
            await asyncio.wait({load, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            end.cancel()
        if load.done():
            load.result()

    async def _load_in_turn(self, source: Source) -> None:
        async with self._loading:
            try:
                responder = await _load_in_time(source)
            except LoadError as error:
                self._failure = error
                logger.warning(
                    "the responder %s does not load any more: %s", self.default, error, exc_info=error.__cause__
                )
                return
            if responder:
                self._failure = None
                self.add(responder)
                logger.info("the responder %s is loaded again", self.default)

    def __iter__(self) -> Iterator[Responder]:
        """Yield the responders that load, in the order of their names."""
        for name in sorted(self._known):
            try:
                yield self.get(name)
            except LoadError:  # logged when it was first tried
                continue


async def _load_in_time(source: Source) -> Responder | None:
    try:
        async with asyncio.timeout(LOAD_SECONDS):
            return await _in_daemon(source.newer)
    except TimeoutError:
        source.give_up()
        raise LoadError(f"Loading it did not end within {LOAD_SECONDS:g} seconds.") from None


async def _in_daemon(work: Callable[[], T]) -> T:
    """Return what work in a thread returns. It may never come back, and the end of the process does not wait for it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            hand_over = partial(done.set_result, work())
        except LoadError as error:
            hand_over = partial(done.set_exception, error)
        except BaseException as error:  # noqa: BLE001 - a stranger's import may raise anything
            hand_over = partial(done.set_exception, LoadError(f"Loading it raised {describe(error)}."))
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.done() else hand_over())

    Thread(target=run, name="load-responder", daemon=True).start()
    return await done


def _offered(offer: EntryPoint) -> Responder | LoadError:
    try:
        return Responder(offer.name, offer.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything
        package = offer.dist.name if offer.dist else "an installed package"
        reason = str(error) if isinstance(error, LoadError) else f"{describe(error)}."
        failure = LoadError(f"The responder {offer.name} ({offer.value}, from {package}) does not load: {reason}")
        failure.__cause__ = error
        logger.warning("%s", failure)
        return failure
