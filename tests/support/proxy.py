"""A TCP proxy before a server, which does to connections what networks do: it cuts them, holds them, chops them up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from tests.support.server import Server


@dataclass
class Harm:
    """What befalls a connection right behind the first occurrence of `mark` in what the server sends."""

    mark: bytes
    how: Literal["cut", "hold"] = "cut"
    met: bool = False


class Proxy:
    """Forwards bytes; each connection takes the next of the `harms`, and those after the last one are left in peace.

    With `dribble`, the server's bytes go out one by one, so that every boundary falls somewhere.
    """

    def __init__(self, server: Server, harms: Iterable[Harm | None] = (), *, dribble: bool = False) -> None:
        self.connections = 0
        self._server = server
        self._harms = list(harms)
        self._dribble = dribble
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        harm = self._harms.pop(0) if self._harms else None
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server.port)
        except OSError:
            return writer.close()
        asking = asyncio.create_task(_forward(reader, to_server))
        try:
            await self._answer(from_server, writer, harm)
        except OSError:
            pass
        finally:
            asking.cancel()
            to_server.close()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, harm: Harm | None) -> None:
        seen = b""
        while chunk := await reader.read(65536):
            sent, seen = len(seen), seen + chunk
            at = seen.find(harm.mark) if harm else -1
            end = len(seen) if at < 0 or not harm else at + len(harm.mark)
            for piece in [seen[sent:end]] if not self._dribble else (seen[i : i + 1] for i in range(sent, end)):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if at >= 0 and harm:
                harm.met = True
                if harm.how == "hold":
                    await asyncio.get_running_loop().create_future()
                return


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
