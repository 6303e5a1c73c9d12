"""A folder, and the engine that has it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.engine.base import Engine
from app.events import Record


class Store:
    """One folder and the engine that has it now; `unsettled` is what its claim returned."""

    def __init__(self, make_engine: Callable[[Path], Engine], folder: Path) -> None:
        self.folder = folder
        self.make_engine = make_engine
        self.engine: Engine
        self.unsettled: dict[str, list[Record]]

    async def open(self) -> Engine:
        """Claim the folder with a new engine."""
        self.engine = self.make_engine(self.folder)
        self.unsettled = await self.engine.claim()
        return self.engine

    async def reopen(self) -> dict[str, list[Record]]:
        """Close the engine, claim the folder with another one, and return what is unsettled."""
        await self.engine.close()
        await self.open()
        return self.unsettled
