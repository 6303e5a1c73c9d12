"""The log: all streams of this process. Append, group commit, publish after commit, subscribe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from app.cadence import Cadence
from app.engine.base import Commit, Engine, Entry, Row, Settlement
from app.errors import RESTORE, NotFound, NotStoring, StartError
from app.events import Event, Record
from app.ids import BROADCAST
from app.listing import Listing
from app.tail import Tail
from app.tails import Tails

logger = logging.getLogger(__name__)

PROBE_INTERVAL = 0.5
"""Seconds between tries while the store takes no commit, so that it is found to work again though nobody writes; and
while it takes one stream's settlement not."""
SETTLE_EVERY = 1000
"""How many unsettled records of one stream make it due for settling although replies still run in it..."""
SETTLE_BYTES = 2**20
"""... or how many bytes of their JSON; what is more is left for the next commit, since packing holds all streams."""
SETTLE_LATE = 2000
"""After how many later commits a stream is settled all the same, so that a silent one does not hold the journal."""
BROADCAST_KEPT = 10_000
"""How many messages of the broadcast channel are kept."""


class Append:
    """Events on their way into one stream; `first` is the number of the first one, once it is committed.

    It is `open` for more events until a commit takes it.
    """

    __slots__ = ("_done", "error", "events", "first", "open", "records", "rows", "tail")

    def __init__(self, tail: Tail, events: Sequence[Event], rows: Sequence[Row], done: asyncio.Event) -> None:
        self.tail = tail
        self.events: list[Event] = []
        self.records: list[Record] = []
        self.rows = rows
        self.first = 0
        self.open = True
        self.error: NotStoring | None = None
        self._done = done
        for event in events:
            self.add(event)

    def add(self, event: Event) -> int:
        """Add an event behind the others while the append is open; returns its size in bytes."""
        # Encoded here: an event that cannot be fails its caller, and never the commit that it would share.
        record = Record.of(0, 0, event)
        self.records.append(record)
        self.events.append(event)
        return len(record.data)

    async def committed(self) -> None:
        """Wait until the events are stored and published. Raises `NotStoring` when they never will be."""
        await self._done.wait()
        if self.error:
            raise self.error


class Log:
    """All streams of this process; an async context manager that owns the engine and the committing task.

    `tails` are the streams in memory, `listing` tells which conversations changed.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.tails = Tails(engine)
        self.listing = Listing()
        self.storing = True
        """Whether the last commit succeeded."""
        self._pending: list[Append] = []
        self._done = asyncio.Event()
        self._due: dict[str, Tail] = {}
        self._since: dict[Tail, int] = {}
        self._put_off: set[Tail] = set()
        self._put_off_until = 0.0
        self._commits = 0
        self._wanted = asyncio.Event()
        self._closing = False
        self._failed: NotStoring | None = None
        self._committing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start(await self.engine.claim())
        except BaseException as error:
            await self.__aexit__()
            if isinstance(error, NotFound | NotStoring):
                raise StartError(f"The log cannot be taken up: {error} {RESTORE}") from error
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wanted.set()
        if self._committing:
            await asyncio.wait({self._committing})
        await self.engine.close()

    async def _start(self, unsettled: Mapping[str, Sequence[Record]]) -> None:
        for name, records in unsettled.items():
            self._note_unsettled(await self.tails.take_up(name, records))
        self._committing = asyncio.create_task(self._commit_until_closed(), name="log-commit")
        if await self.engine.stream(BROADCAST) is None:
            tail, created = self.tails.create(BROADCAST)
            append = self.append(tail, (), [created])
            self.tails.release(tail)
            await append.committed()

    # Append and commit

    def append(self, tail: Tail, events: Sequence[Event], rows: Sequence[Row] = ()) -> Append:
        """Take events, and the rows that go with them, for the next commit. Never waits."""
        append = Append(tail, events, rows, self._done)
        if self._failed:
            append.open, append.error = False, self._failed
            self._done.set()
            return append
        self.tails.share(tail)
        self._pending.append(append)
        self._wanted.set()
        return append

    async def _commit_until_closed(self) -> None:
        try:
            await self._commit_all()
        except Exception:
            # What is stored is safe, what is in memory may be wrong: nothing more is taken, and a restart mends it.
            logger.critical("the log has failed; the server must be restarted", exc_info=True)
            self._failed = NotStoring("The log has failed.")
            self._fail([], self._done, self._failed)

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        cadence = Cadence(loop.time())
        while not self._closing or self._pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.storing and not self._put_off else PROBE_INTERVAL):
                    await self._wanted.wait()
            self._wanted.clear()
            started = loop.time()
            if self.storing and self._put_off and started >= self._put_off_until:
                await self._settle_apart(list(self._put_off))
            if self.storing and not self._pending and not self._due:
                continue
            pause = cadence.pause(len(self._pending), started)
            await self._commit_once()
            if not self._closing:
                await asyncio.sleep(max(0.0, started + pause - loop.time()))

    async def _commit_once(self) -> None:
        appends, self._pending = self._pending, []
        done, self._done = self._done, asyncio.Event()
        due, self._due = self._due, {}
        settlements = [_settlement(tail) for tail in due.values() if tail.unsettled]
        try:
            entries = list(_number(appends))
            settled = await self._store(entries, settlements)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing of this commit may count as stored
            self._due = due | self._due
            self._fail(appends, done, error)
        else:
            if not self.storing:
                logger.info("the store takes commits again")
            self.storing = True
            self._commits += 1
            if settled:
                for settlement in settlements:
                    self._settled(due[settlement.stream], settlement)
            self._publish(appends, entries, done)
            if not settled:
                await self._settle_apart(due.values())

    async def _store(self, entries: list[Entry], settlements: list[Settlement]) -> bool:
        """Commit events, and settlements with them; returns whether these were taken, too."""
        try:
            await self.engine.commit(Commit(entries, settlements))
        except Exception:
            if not settlements:
                raise
            # A settlement that can never succeed would else fail every later commit with it.
            await self.engine.commit(Commit(entries, []))
            return False
        return True

    def _fail(self, appends: list[Append], done: asyncio.Event, error: Exception) -> None:
        """Fail a commit, and all that was appended behind it: a reply whose middle is missing must not go on."""
        if self.storing:
            unexpected = None if isinstance(error, NotStoring) else error
            logger.error("the store did not take a commit: %s", error, exc_info=unexpected)
        self.storing = False
        reason = error if isinstance(error, NotStoring) else NotStoring("The store did not take the write.")
        behind, self._pending = self._pending, []
        later, self._done = self._done, asyncio.Event()
        for append in [*appends, *behind]:
            append.open, append.error = False, reason
            self.tails.release(append.tail)
        done.set()
        later.set()

    def _publish(self, appends: list[Append], entries: list[Entry], done: asyncio.Event) -> None:
        touched: dict[Tail, list[Record]] = {}
        try:
            for append, entry in zip(appends, entries, strict=True):
                append.tail.publish(entry.records, append.events)
                touched.setdefault(append.tail, []).extend(entry.records)
            for tail, records in touched.items():
                self._note_unsettled(tail)
                tail.announce(records)
        finally:
            done.set()
        for append in appends:
            if append.rows:
                self.listing.note(append.tail)
            self.tails.release(append.tail)
        oldest = next((tail for tail in self._since if tail not in self._put_off), None)
        if oldest and self._commits - self._since[oldest] > SETTLE_LATE:
            self._want_settled(oldest)

    # Settle

    def _note_unsettled(self, tail: Tail) -> None:
        if tail.deleted:
            tail.settle(tail.head)
            self._since.pop(tail, None)
            self._put_off.discard(tail)
            self._due.pop(tail.name, None)
        if not tail.unsettled:
            return
        self._since.setdefault(tail, self._commits)
        if tail.idle or tail.unsettled >= SETTLE_EVERY or tail.unsettled_bytes >= SETTLE_BYTES:
            self._want_settled(tail)

    def _want_settled(self, tail: Tail) -> None:
        if tail not in self._put_off:
            self._due[tail.name] = tail
            self._wanted.set()

    async def _settle_apart(self, tails: Iterable[Tail]) -> None:
        """Settle each stream in a commit of its own; one that cannot be is put off, and stays in the journal."""
        for tail in tails:
            if not tail.unsettled:
                continue
            settlement = _settlement(tail)
            try:
                await self.engine.commit(Commit([], [settlement]))
            except Exception:
                if tail not in self._put_off:
                    logger.exception("a stream could not be settled yet", extra={"stream": tail.name})
                self._put_off.add(tail)
            else:
                self._settled(tail, settlement)
        self._put_off_until = asyncio.get_running_loop().time() + PROBE_INTERVAL

    def _settled(self, tail: Tail, settlement: Settlement) -> None:
        del self._since[tail]
        self._put_off.discard(tail)
        tail.start = max(tail.start, settlement.keep_from - 1)
        tail.settle(settlement.records[-1].seq)
        self._note_unsettled(tail)
        self.tails.forget_unused(tail)


def _number(appends: list[Append]) -> Iterator[Entry]:
    """Give the events of one commit their numbers.

    Only here, while no other commit is under way: numbers given at append would leave a hole where a commit fails.
    """
    now = time.time_ns() // 1_000_000
    heads: dict[Tail, int] = {}
    for append in appends:
        head = heads.get(append.tail, append.tail.head)
        append.open, append.first = False, head + 1
        for seq, record in enumerate(append.records, start=append.first):
            record.seq, record.at = seq, now
        heads[append.tail] = head + len(append.records)
        yield Entry(append.tail.name, append.records, append.rows)


def _settlement(tail: Tail) -> Settlement:
    records = tail.unsettled_records(SETTLE_BYTES)
    last = records[-1].seq
    keep_from = last - BROADCAST_KEPT + 1 if tail.name == BROADCAST else 0
    return Settlement(tail.name, records, keep_from, more=last < tail.head)
