"""`tickertape serve` that tells on SIGUSR1 what it holds: open streams, tails, tasks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from app import cli, main
from app.api.node import Node
from app.settings import Settings
from tests.support.server import Server

_open_node = main.open_node


@asynccontextmanager
async def open_node(settings: Settings) -> AsyncIterator[Node]:
    async with _open_node(settings) as node:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell, node)
        yield node


def tell(node: Node) -> None:
    tails = node.log.tails.held.values()
    held = {
        "streams": node.streams.open,
        "tails": len(tails),
        "holders": sum(tail.holders for tail in tails),
        "tasks": len(asyncio.all_tasks()),
    }
    print(json.dumps({"event": "census", **held}), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Census:
    """What a server holds; `fds` and `threads` as the kernel counts them."""

    streams: int
    tails: int
    holders: int
    tasks: int
    fds: int
    threads: int

    def beyond(self, baseline: Census) -> dict[str, int]:
        """Return what there is more of than there was.

        A thread of the engine's that had not read anything yet opens its two files when it first does.
        """
        more = {name: count - getattr(baseline, name) for name, count in asdict(self).items()}
        if 0 < more["fds"] <= FDS_OF_READERS:
            more["fds"] = 0
        return {name: count for name, count in more.items() if count}


KEPT_THREADS = 7
"""The loop's, the one that start-up used, the engine's writer and its three readers, and the index's writer."""
FDS_OF_READERS = 6


class CountedServer(Server):
    """A server that can be asked what it holds."""

    def __init__(self, data: Path, **settings: object) -> None:
        super().__init__(data, command=[sys.executable, __file__], **settings)

    async def census(self) -> Census:
        """Return what it holds now."""
        told = len(self._censuses())
        os.kill(self.pid, signal.SIGUSR1)
        async with asyncio.timeout(60):
            while len(self._censuses()) == told:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.005)
        held = {name: count for name, count in self._censuses()[-1].items() if name != "event"}
        fds, threads = (len(os.listdir(f"/proc/{self.pid}/{kind}")) for kind in ("fd", "task"))  # noqa: PTH208
        return Census(**held, fds=fds, threads=threads)

    async def warm_up(self) -> None:
        """Let it make all threads and connections that it keeps."""
        async with asyncio.timeout(60):
            while (await self.census()).threads < KEPT_THREADS:
                await asyncio.gather(*(self.get("/conversations") for _ in range(50)))

    async def settles(self, streams: int, baseline: Census | None = None) -> Census:
        """Wait until as many streams are open and nothing moves any more, and return what it holds then.

        With a baseline it has to hold nothing beyond that, too.
        """
        await self.client.aclose()
        self.client = httpx.AsyncClient(timeout=30.0, trust_env=False)
        last = more = None
        try:
            async with asyncio.timeout(60):
                while (census := await self.census()) != last or census.streams != streams or more:
                    last, more = census, baseline and census.beyond(baseline)
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise AssertionError(f"it holds {last}, which is {more} beyond {baseline}") from error
        return census

    def resident(self) -> int:
        """Return its resident memory in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def _censuses(self) -> list[dict[str, int]]:
        return [entry for entry in self.log if isinstance(entry, dict) and entry.get("event") == "census"]


if __name__ == "__main__":
    main.open_node = open_node
    sys.argv = ["tickertape", "serve"]
    cli.main()
