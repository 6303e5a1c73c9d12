"""The server process: what it writes to a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow

OOPS = """
async def oops(prompt):
    yield "a"
    raise ValueError("oops")
"""


def read_until(terminal: int, word: bytes, seen: bytes = b"") -> bytes:
    while word not in seen:
        seen += os.read(terminal, 4096)
    return seen


def test_a_traceback_on_a_terminal_shows_no_prompt(tmp_path: Path) -> None:
    (tmp_path / "oops.py").write_text(OOPS)
    outside, inside = pty.openpty()
    command = [
        str(Path(sys.executable).with_name("tickertape")),
        "serve",
        "--port",
        "0",
        "--responder",
        "./oops.py:oops",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    try:
        seen = read_until(outside, b"http://127.0.0.1:")
        seen = read_until(outside, b"\n", seen[seen.index(b"http://127.0.0.1:") :])
        url = seen.split(b"\x1b")[0].split()[0].decode()

        body = {"prompt": "PRIVATE-PROMPT", "system": "PRIVATE-SYSTEM"}
        answer = httpx.post(f"{url}/conversations", json=body, headers={"Accept": "text/plain"}, trust_env=False)
        seen = read_until(outside, b"ValueError: oops")
    finally:
        process.terminate()
        process.wait(20)
        os.close(outside)

    assert answer.text == "a"
    assert b"PRIVATE" not in seen
