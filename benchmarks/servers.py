"""The servers under test: how each is started, asked and watched from outside."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EXPRESS = HERE / "peers" / "express"
READY_SECONDS = 30.0
END_SECONDS = 5.0
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

SERVER_CORE, LOAD_CORE = (sorted(os.sched_getaffinity(0)) * 2)[:2]
"""One core each; on a machine with only one they share it."""

PROMPT = "What do the gulls want?"
COMPLETIONS = "/v1/chat/completions"
LIMITS = {"MAX_STREAMS": 20_000, "MAX_RUNNING": 20_000, "MAX_MESSAGES": 1_000_000}
"""The server's limits are not what is measured."""


@dataclass(frozen=True)
class Contender:
    """One kind of server.

    `event`, `token` and `chunk` are bytes that stand once in the frame of a broadcast, of a piece, and of a piece as
    OpenAI's clients get it.
    """

    name: str
    title: str
    event: bytes
    token: bytes
    chunk: bytes
    chat: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port_variable: str = "PORT"

    def question(self, tokens: int, per_second: float | None = None, *, burst: bool = False) -> dict[str, Any]:
        """Return the body that asks for so many tokens."""
        options = {"tokens": tokens, "per_second": per_second, "burst": burst}
        asked: dict[str, Any] = {"prompt": PROMPT}
        if self.chat == COMPLETIONS:
            asked = {"model": "Words", "messages": [{"role": "user", "content": PROMPT}], "stream": True}
        return {**asked, **({"options": options} if self.name == "tickertape" else options)}

    def as_openai(self) -> Contender:
        """Return the same as OpenAI's clients ask it."""
        return replace(self, token=self.chunk, chat=COMPLETIONS)

    def ask(self, tokens: int, per_second: float | None = None, *, burst: bool = False) -> bytes:
        """Return the request whose answer streams a reply of so many tokens."""
        return request("POST", self.chat, self.question(tokens, per_second, burst=burst), accept="text/event-stream")


def request(method: str, path: str, body: object = None, *, accept: str = "*/*", cursor: str | None = None) -> bytes:
    """Return an HTTP/1.1 request as bytes."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Accept: {accept}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    if cursor is not None:
        lines.append(f"Last-Event-ID: {cursor}")
    return "\r\n".join([*lines, "", ""]).encode() + data


def tickertape(python: Path = ROOT / ".venv" / "bin" / "python") -> Contender:
    """Return ours, from the environment of this Python: by default the one that `make run` uses."""
    return Contender(
        name="tickertape",
        title="Tickertape",
        event=b"\nid: ",
        token=b"event: reply.delta",
        chunk=b'"delta":{"content":',
        chat="/conversations",
        command=(str(python.with_name("tickertape")), "serve", "--responder", "benchmarks.words:Words"),
        environment={f"TICKERTAPE_{name}": str(value) for name, value in LIMITS.items()},
        port_variable="TICKERTAPE_PORT",
    )


def express() -> Contender | None:
    """Return the article's server, where Node and Express are there."""
    node = shutil.which("node", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if node is None or not (EXPRESS / "node_modules" / "express").is_dir():
        return None
    # A package's `node` may be a script that starts the real one, whose process we have to watch.
    binary = subprocess.run([node, "-p", "process.execPath"], capture_output=True, text=True, check=True).stdout.strip()
    return Contender(
        name="express",
        title="Express",
        event=b"data: ",
        token=b"data: ",
        chunk=b'"delta":{"content":',
        chat="/chat",
        command=(binary, str(EXPRESS / "server.js")),
        environment={"NODE_ENV": "production"},
    )


def fastapi(python: Path = Path(sys.executable)) -> Contender | None:
    """Return the FastAPI server, where this Python has what it needs."""
    if subprocess.run(
        [str(python), "-c", "import fastapi, sse_starlette"], capture_output=True, check=False
    ).returncode:
        return None
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning", "--port")
    return Contender(
        name="fastapi",
        title="FastAPI",
        event=b"data: ",
        token=b"data: ",
        chunk=b'"delta": {"content":',
        chat="/chat",
        command=(str(python), "-m", "uvicorn", "benchmarks.peers.fastapi_server:app", *options),
    )


def library(python: Path = ROOT / ".venv" / "bin" / "python") -> Contender | None:
    """Return OpenAI's own library, where this Python's environment has it: no server, but a reader of an upstream."""
    if not (python.parent.parent / "clients" / "openai").is_dir():
        return None
    return Contender(
        name="library", title="OpenAI's library", event=b"", token=b"", chunk=b"", chat="", command=(str(python),)
    )


class Server:
    """A contender's process on its own core, from a start until the end of a `with`; `folder` keeps what it stores."""

    def __init__(self, contender: Contender, folder: Path, **environment: str) -> None:
        self.contender = contender
        self.folder = folder
        self.port = _free_port()
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def as_openai(self) -> Server:
        """Return the same process as OpenAI's clients ask it."""
        same = copy.copy(self)
        same.contender = self.contender.as_openai()
        return same

    def start(self) -> None:
        """Start, and return when it answers. Raises `RuntimeError` with its last words."""
        log = self.folder / "log"
        settings = {self.contender.port_variable: str(self.port), "TICKERTAPE_DATA": str(self.folder / "data")}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TICKERTAPE_")}
        command = self.contender.command
        if command[-1] == "--port":
            command = (*command, str(self.port))
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SERVER_CORE})  # a child inherits it, and so do all of its threads
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=inherited | dict(self.contender.environment) | settings | self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,  # Ctrl-C is ours, and we end it
                )
        finally:
            os.sched_setaffinity(0, before)
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.contender.title} does not serve: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        """Say whether it answers a request, with whatever status: a listener may be there long before."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=READY_SECONDS) as probe:
                probe.sendall(request("GET", "/", accept="*/*"))
                return bool(probe.recv(1))
        except OSError:
            return False

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it. Nothing that is measured needs a clean end, and an unclean one is quick."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @property
    def _proc(self) -> Path:
        assert self._process
        return Path("/proc", str(self._process.pid))

    def cpu(self) -> float:
        """Return the CPU seconds that it has used so far, all threads together."""
        try:
            return sum(int(path.read_text().split()[0]) for path in self._proc.glob("task/*/schedstat")) / 1e9
        except OSError:  # a thread has just ended, or the kernel does not count so finely
            fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> int:
        """Return its resident bytes."""
        return int((self._proc / "statm").read_text().split()[1]) * PAGE


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
