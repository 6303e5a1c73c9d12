"""The engine double conforms as well, so what tests prove over it holds."""

from __future__ import annotations

from pathlib import Path

from tests.engine.conformance import EngineConformance
from tests.support.memory import MemoryEngine, open_disk


class TestMemory(EngineConformance):
    def make_engine(self, folder: Path) -> MemoryEngine:
        return MemoryEngine(open_disk(folder))
