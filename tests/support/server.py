"""A real server in a subprocess, with a client for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.sse import EventStream

JSON = {"Content-Type": "application/json"}
READY_WITHIN = 60.0


def hold(port: int = 0) -> socket.socket:
    """Keep a port, or any free one, from whoever looks for a free one; who names it may still listen on it."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", port))
    return place


class Server:
    """`tickertape serve` on a free port of 127.0.0.1; the port stays the same, and its own, over restarts.

    `log` holds what it has written to standard error, one parsed object per line (or the bare line).
    """

    def __init__(self, data: Path, *, command: Sequence[str] = (), **settings: object) -> None:
        self.data = data
        self.settings = settings
        self.command = list(command) or [str(Path(sys.executable).with_name("tickertape")), "serve"]
        self.port = 0
        self.log: list[Any] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.AsyncClient(timeout=30.0, trust_env=False)
        self._place: socket.socket | None = None
        self._serving = threading.Event()
        self._reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    async def start(self) -> Self:
        """Start, and return when it serves."""
        await self.launch()
        if not await asyncio.to_thread(self._serving.wait, READY_WITHIN):
            raise AssertionError(f"the server does not serve; its log: {self.log}")
        if self.process.poll() is not None:  # type: ignore[union-attr]
            raise AssertionError(f"the server ended; its log: {self.log}")
        return self

    async def launch(self) -> None:
        """Start without waiting, for servers that are to fail."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TICKERTAPE_")}
        settings = {"DATA": self.data, "PORT": self.port, **{k.upper(): v for k, v in self.settings.items()}}
        environment |= {f"TICKERTAPE_{name}": str(value) for name, value in settings.items()}
        self._serving.clear()
        self.process = subprocess.Popen(  # noqa: ASYNC220 - starts at once, and threads read it
            self.command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self._reader = threading.Thread(target=self._read_log, args=(self.process,), daemon=True)
        self._reader.start()

    async def wait(self, within: float = 30.0) -> int:
        """Wait for the process to end and return its status."""
        assert self.process
        assert self._reader
        status = await asyncio.to_thread(self.process.wait, within)
        await asyncio.to_thread(self._reader.join, within)
        if self.port and not self._place:
            self._place = hold(self.port)
        return status

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it is gone."""
        await self.signal(signal.SIGKILL)
        await self.wait()

    async def restart(self) -> None:
        """Kill it with SIGKILL and start it anew, on the same port and data."""
        await self.kill()
        await self.start()

    async def stop(self) -> int:
        """End it with SIGTERM and return its status."""
        if self.process and self.process.poll() is None:
            await self.signal(signal.SIGTERM)
        return await self.wait() if self.process else 0

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        if self.process and self.process.poll() is None:
            await self.kill()
        if self._place:
            self._place.close()

    # Calls

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(self.url + path, **more)

    async def post(self, path: str, body: object = None, **more: Any) -> httpx.Response:
        return await self.client.post(self.url + path, json=body, **more)

    async def ask(self, prompt: str = "Hello there", path: str = "/conversations", **fields: Any) -> dict[str, Any]:
        """POST a prompt and return the 201's body."""
        answer = await self.post(path, {"prompt": prompt, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def listen(self, path: str, cursor: str | None = None, **more: Any) -> EventStream:
        """Open a stream, with a cursor as `Last-Event-ID`."""
        headers = {"Last-Event-ID": cursor} if cursor is not None else {}
        return await EventStream.open(self.url + path, headers=headers | more.pop("headers", {}), **more)

    async def ended(self, asked: dict[str, Any], within: float = 60.0) -> dict[str, Any]:
        """Wait until the reply of a 201's body has ended, and return it."""
        path = f"/conversations/{asked['conversation']['id']}/replies/{asked['reply']['id']}"
        async with asyncio.timeout(within):
            while (reply := (await self.get(path + "?wait=10")).json()["reply"])["ended_at"] is None:
                pass
            return reply

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        for line in process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = line.decode(errors="replace")
            self.log.append(entry)
            if isinstance(entry, dict) and entry.get("event") == "serving":
                self.port = int(entry["url"].rpartition(":")[2])
                self._serving.set()
        process.stderr.close()
        self._serving.set()
