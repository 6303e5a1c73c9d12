"""Somebody at a terminal: starts a program in a pseudo-terminal, types, and waits for what the screen says."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

CONTROL_C = "\x03"
CONTROL_D = "\x04"
_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Typist:
    """`raw` is all that the program has written, `text` the same without escape sequences."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], rows: int = 24, columns: int = 80
    ) -> None:
        self.raw = ""
        self._bytes = b""
        self._read_to = 0
        self._changed = asyncio.Event()
        self._terminal, self._inner = pty.openpty()
        termios.tcsetwinsize(self._inner, (rows, columns))
        # A session's leader that opens a terminal gets it as its own, and with it the signals that keys send.
        opens = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(self._inner), *command]
        self.process = subprocess.Popen(opens, env={**environment, "TERM": "xterm"}, start_new_session=True)

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._terminal, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)
        self.process.kill()
        await asyncio.to_thread(self.process.wait)
        os.close(self._terminal)
        os.close(self._inner)

    @property
    def text(self) -> str:
        return _SEQUENCE.sub("", self.raw)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    async def sees(self, words: str, within: float = 20.0) -> None:
        """Wait until the screen says something anew, behind what was seen before."""
        try:
            async with asyncio.timeout(within):
                while (at := self.text.find(words, self._read_to)) < 0:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise AssertionError(f"{words!r} is not in {self.text[self._read_to :]!r}") from error
        self._read_to = at + len(words)

    async def ends(self, within: float = 20.0, *, pressing: str = "") -> int:
        """Wait for the end of the program and return its status, `pressing` keys again and again until then.

        Python misses a Ctrl-C that comes after its prompt and before it waits for keys.
        """
        async with asyncio.timeout(within):
            while self.process.poll() is None:
                self.type(pressing)
                with suppress(subprocess.TimeoutExpired):
                    await asyncio.to_thread(self.process.wait, 0.05)
        return self.process.returncode

    def _read(self) -> None:
        self._bytes += os.read(self._terminal, 65536)
        self.raw = self._bytes.decode(errors="ignore")
        self._changed.set()
