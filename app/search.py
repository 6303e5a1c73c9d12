"""Search: follows the store into an index, and finds conversations by what was written in them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Protocol, Self

import msgspec

from app.engine.base import Change, Engine, Found, Match
from app.errors import Invalid, NotReady, NotStoring, TooMany
from app.messages import Conversation
from app.words import excerpt, read_query

logger = logging.getLogger(__name__)

MAX_QUERY_CHARACTERS = 500
MAX_SEARCHES = 8
"""How many searches may be under way at a time."""
PATIENCE = 2.0
"""Seconds that a search waits for the index to catch up."""
LOOK_EVERY = 1.0
"""Seconds from one look at the store to the next while nobody searches."""
TRY_EVERY = 1.0
"""Seconds from one try to the next while the index cannot be used."""
_BATCH = 500
_BATCH_BYTES = 256 * 1024
_PAGE_BYTES = 2 * 2**20
"""How much text is read for one page; it ends there, and `next` goes on."""
_CUT_AT_ONCE = 8 * 1024
_STORE = b"search"


class Spot(msgspec.Struct, frozen=True):
    """Where a search found something; `text` is an excerpt of the message, or of the title without a `message_id`.

    `ranges` are the places in it, `[start, end)` in UTF-16 code units.
    """

    message_id: str | None
    text: str
    ranges: Sequence[tuple[int, int]]


class Listed(Conversation, frozen=True, kw_only=True):
    """A conversation as a list shows it, with `match` where it was searched for."""

    match: Spot | msgspec.UnsetType = msgspec.UNSET

    @classmethod
    def of(cls, conversation: Conversation, match: Spot | msgspec.UnsetType = msgspec.UNSET) -> Self:
        """Return a conversation as a list shows it."""
        return cls(**msgspec.structs.asdict(conversation), match=match)


class Index(Protocol):
    """What was written, by its words; each method raises `NotStoring` while it cannot work."""

    async def open(self, epoch: str, head: int) -> int:
        """Open the index of the store that `epoch` names, begun anew where need be; return the last change in it."""

    async def add(self, changes: Sequence[Change]) -> int:
        """Take up changes, all or the first of them, for good or not at all; return the last one taken up."""

    async def find(
        self, query: Sequence[str], principal: str, before: tuple[int, int] | None, limit: int
    ) -> Sequence[Match]:
        """Return a page of matches, newest activity first, one for each of a principal's conversations."""

    async def close(self) -> None:
        """Let the index go."""


class Search:
    """Finds conversations; an async context manager that owns the index and the task that keeps it up with the store.

    The index is a reader of the store like any other: it has a number, and reads what has changed after it.
    """

    def __init__(self, engine: Engine, index: Index) -> None:
        self._engine = engine
        self._index = index
        self._reached = -1
        self._error: NotStoring | None = None
        self._broken = False
        self._moved = asyncio.Event()
        self._wanted = asyncio.Event()
        self._searches = 0
        self._cutting = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow(), name="search-follow")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following:
            self._following.cancel()
            await asyncio.wait({self._following})
        await self._index.close()

    async def find(
        self, principal: str, text: str, before: tuple[int, int] | None, limit: int
    ) -> tuple[list[Listed], tuple[int, int] | None]:
        """Return a page of a principal's conversations in which all words are found, and where the next page begins.

        Whatever was stored before the call is looked at. A page may be short though more follow. Raises `Invalid`,
        `TooMany`, `NotReady` while the index is too far behind, and `NotStoring`.
        """
        if len(text) > MAX_QUERY_CHARACTERS:
            raise Invalid(f"A search has {MAX_QUERY_CHARACTERS} characters at most.", "q")
        query = read_query(text)
        if not query:
            return [], None
        if self._searches >= MAX_SEARCHES:
            raise TooMany("Too many searches are under way.")
        self._searches += 1
        try:
            await self._catch_up(await self._engine.changed())
            matches = await self._matches(query, principal, before, limit + 1)
            more = len(matches) > limit
            places = [(match.conversation, match.position) for match in matches[:limit]]
            found = await self._engine.found(principal, places, _PAGE_BYTES)
            hits = [hit for there in found if there and (hit := await self._hit(there, query))]
            last = matches[len(found) - 1] if found and (more or len(found) < len(places)) else None
            return hits, (last.updated, last.conversation) if last else None
        finally:
            self._searches -= 1

    async def _catch_up(self, number: int) -> None:
        """Wait until a change is in the index."""
        self._wanted.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._reached < number and not self._error:
                    await self._moved.wait()
        if self._error:
            raise self._error
        if self._reached < number:
            raise NotReady("The search index is being made; it takes a while where much is stored.")

    async def _hit(self, found: Found, query: Sequence[str]) -> Listed | None:
        """Return what is shown of a place; None for a title that has changed since it was found."""
        if len(found.text) <= _CUT_AT_ONCE:
            # Here, with a turn for everybody else before the next: a thread would hold the interpreter for longer.
            await asyncio.sleep(0)
            text, ranges = excerpt(found.text, query)
        else:
            async with self._cutting:
                text, ranges = await asyncio.to_thread(excerpt, found.text, query)
        if not ranges and found.message_id is None:
            return None
        return Listed.of(found.conversation, Spot(found.message_id, text, ranges))

    async def _matches(
        self, query: Sequence[str], principal: str, before: tuple[int, int] | None, limit: int
    ) -> Sequence[Match]:
        try:
            return await self._index.find(query, principal, before, limit)
        except NotStoring as error:
            self._fail(error)
            self._broken = True
            self._wanted.set()
            raise

    # Follow

    async def _follow(self) -> None:
        while True:
            try:
                await self._keep_up()
            except NotStoring as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, it is logged, and nothing else may suffer
                self._fail(NotStoring(f"Search has failed: {error!r}."), error)
            await asyncio.sleep(TRY_EVERY)

    async def _keep_up(self) -> None:
        """Open the index and take up what changes; returns when the index has to be opened anew."""
        loop = asyncio.get_running_loop()
        self._broken = False
        head = await self._engine.changed()
        reached = await self._index.open(self._engine.epoch(_STORE), head)
        if head and not reached:
            logger.info("the search index is made anew")
        while not self._broken:
            self._wanted.clear()
            started = loop.time()
            changes = await self._engine.changes(reached, _BATCH, _BATCH_BYTES)
            if changes:
                reached = await self._index.add(changes)
            self._move(reached)
            if changes:
                # Half of the time is left to the replies that run: they share the interpreter and the disk.
                await asyncio.sleep(loop.time() - started)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._wanted.wait()

    def _move(self, reached: int) -> None:
        if self._error:
            logger.info("search works again")
        self._error = None
        self._reached = reached
        self._tell()

    def _fail(self, error: NotStoring, unexpected: Exception | None = None) -> None:
        if not self._error:
            logger.warning("search does not work: %s", error, exc_info=unexpected)
        self._error = error
        self._tell()

    def _tell(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
