"""The server process: what it writes to a terminal, and the sockets that it listens with."""

from __future__ import annotations

import os
import pty
import resource
import socket
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from app.server import _listen, _max_connections
from app.settings import Settings
from tests.support.server import Server

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
        text = {"Accept": "text/plain"}
        answer = httpx.post(f"{url}/conversations", json=body, headers=text, timeout=60, trust_env=False)
        seen = read_until(outside, b"ValueError: oops")
    finally:
        process.terminate()
        process.wait(60)
        os.close(outside)

    assert answer.text == "a"
    assert b"PRIVATE" not in seen


def test_a_connection_rests_for_longer_than_httpx_keeps_it(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/health/live")
    connection.getresponse().read()

    assert connection.sock
    connection.sock.settimeout(httpx.Limits().keepalive_expiry)
    with connection.sock as resting, pytest.raises(TimeoutError):  # an end would be read as nothing at all
        resting.recv(1)


def test_accepted_connections_are_ended_when_the_peer_vanishes() -> None:
    with _listen(Settings(port=0)) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT]
            set_to = [accepted.getsockopt(socket.IPPROTO_TCP, option) for option in options]

            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert set_to == [30, 10, 3, 30_000]


@pytest.mark.parametrize(
    ("files", "connections"), [(1024, 824), (20_000, 2000), (resource.RLIM_INFINITY, 2000), (64, 1)]
)
def test_connections_are_fewer_than_files_may_be_open(
    monkeypatch: pytest.MonkeyPatch, files: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert _max_connections(Settings(max_streams=1000)) == connections
