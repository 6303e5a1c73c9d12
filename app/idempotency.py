"""Idempotent POSTs: the same key and the same bytes give the same answer, and act once (G9)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import msgspec

from app.engine.base import ANSWERS_KEPT, Engine, KeepAnswer, StoredAnswer
from app.errors import Invalid


class Key(msgspec.Struct, frozen=True):
    """What makes two requests the same: `scope` digests who asks what under which key, `request` digests the bytes."""

    scope: bytes
    request: bytes

    @classmethod
    def of(cls, principal: str, method: str, path: str, key: str, body: bytes) -> Key:
        """Return the key of a request."""
        scope = f"{principal}\0{method}\0{path}\0{key}"
        return cls(hashlib.sha256(scope.encode()).digest(), hashlib.sha256(body).digest())

    def keep(self, answer: bytes) -> KeepAnswer:
        """Return the row that keeps an answer."""
        return KeepAnswer(self.scope, self.request, answer, datetime.now(UTC))


class Answers:
    """The answers that were kept, and the requests that are about to be answered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def once(self, key: Key | None) -> AsyncIterator[StoredAnswer | None]:
        """Give the answer kept under a key, or None to the one request that is to act and keep one.

        A request that comes while another one acts under the same key waits for it. Raises `Invalid` when the key was
        used with other bytes.
        """
        if key is None:
            yield None
            return
        lock = self._asking.setdefault(key.scope, asyncio.Lock())
        async with lock:
            stored = await self._engine.answer(key.scope, datetime.now(UTC) - ANSWERS_KEPT)
            if stored and stored.request != key.request:
                raise Invalid("This Idempotency-Key was used with another body.", "Idempotency-Key")
            yield stored
