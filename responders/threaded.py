"""A plain generator, run in a thread of its own and read as an async one."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Generator

import msgspec

from responders.base import Piece

logger = logging.getLogger(__name__)

AHEAD = 16
"""How many pieces the thread may be ahead of its reader, beside the one in its hands."""
THREAD_PREFIX = "responder-"
"""What the names of these threads begin with."""

Pieces = Generator[Piece, None, object]


class _End(msgspec.Struct, frozen=True):
    """The last thing that the thread hands over: how the generator ended."""

    error: BaseException | None


async def in_thread(name: str, generator: Pieces) -> AsyncGenerator[Piece, None]:
    """Yield what a plain generator yields, which runs in a daemon thread of its own and may block there.

    Closing or cancelling this side returns at once. The generator is then closed at its next `yield`, in its thread,
    so its `finally` runs there; one that never comes back keeps its thread, and nothing else.
    """
    handover = _Handover(generator)
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(handover.run,), name=f"{THREAD_PREFIX}{name}", daemon=True).start()
    try:
        while not isinstance(item := await handover.take(), _End):
            yield item
    finally:
        handover.close()
    if item.error is not None:
        raise _presentable(item.error)


class _Handover:
    """What passes between a generator's thread and the loop that reads it.

    There is no lock: the thread appends to the deque on the right, the loop takes on the left, and each is atomic.
    """

    def __init__(self, generator: Pieces) -> None:
        self._generator = generator
        self._loop = asyncio.get_running_loop()
        self._items: deque[Piece | _End] = deque()
        self._changed = asyncio.Event()
        self._room = threading.Semaphore(AHEAD)
        self._closed = False

    async def take(self) -> Piece | _End:
        """Return the next item, waiting for it."""
        while True:
            self._changed.clear()  # before looking: an append after the look sets it again
            if self._items:
                self._room.release()
                return self._items.popleft()
            await self._changed.wait()

    def close(self) -> None:
        """Have the generator closed at its next `yield`; at once where the thread stands there, waiting for room."""
        self._closed = True
        self._room.release()

    def run(self) -> None:
        """Run the generator until it ends or is found closed at a `yield`; this is the thread's whole life."""
        error: BaseException | None = None
        try:
            with contextlib.closing(self._generator) as pieces:
                for piece in pieces:
                    self._room.acquire()
                    if self._closed:
                        break
                    self._hand_over(piece)
        except BaseException as raised:  # noqa: BLE001 - it travels to the reader, whatever it is
            error = raised
        if error is not None and self._closed:
            logger.warning("a responder raised after it was stopped", exc_info=error)
        self._hand_over(_End(error))

    def _hand_over(self, item: Piece | _End) -> None:
        self._items.append(item)
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:  # the loop is closed, so nobody reads any more
            self._closed = True


def _presentable(error: BaseException) -> BaseException:
    """Return what may be raised in the reader: a `CancelledError` of the generator's own would stop the reader."""
    if isinstance(error, Exception):
        return error
    replacement = RuntimeError(f"the responder raised {type(error).__name__}")
    replacement.__cause__ = error
    return replacement
