"""A log over an engine in memory, whose commits and reads a gate can hold."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.log import Log
from tests.support.logs import Gate
from tests.support.memory import Disk, MemoryEngine


@pytest.fixture
async def gate() -> Gate:
    return Gate()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def engine(disk: Disk, gate: Gate) -> MemoryEngine:
    return MemoryEngine(disk, gate)


@pytest.fixture
async def log(engine: MemoryEngine, gate: Gate) -> AsyncIterator[Log]:
    async with Log(engine) as log:
        yield log
        gate.open()
