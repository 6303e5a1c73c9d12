"""Runs uvicorn: one process, a drain that begins in the signal handler, and connections that can be aborted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import ipaddress
import logging
import os
import resource
import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn
import uvloop

from app.api.node import Node
from app.errors import StartError
from app.main import create_app
from app.protocol import MAX_REFUSING, Protocol
from app.settings import Settings

logger = structlog.stdlib.get_logger(__name__)

BACKLOG = 2048
LAST_WORDS_SECONDS = 1.0
"""How long connections may take to send their last frames after the drain."""
LEAVE_SECONDS = 0.2
"""How long tasks that are still there at the very end may take to leave."""
SPARE_CONNECTIONS = 1000
"""How many connections may be open beside those that carry streams."""
SPARE_FILES = 100
"""How many files the process may need for something else than connections."""
KEEP_ALIVE_SECONDS = 8
"""How long a connection may rest between two requests. Clients that keep theirs for 5 seconds, httpx and with it
OpenAI's library, would else send a prompt at the moment in which we close."""
COLLECTED_AFTER = 10_000
"""How many more objects there are than at the last look before Python looks for cycles among the newest."""
SILENT_SECONDS = 30
"""How long a peer may leave what was sent to it unacknowledged, or be silent before the kernel asks after it."""


class Server(uvicorn.Server):
    """A server whose first signal drains and whose second one ends all at once.

    uvicorn runs an application's shutdown only after all responses have ended, and an open stream never does; so the
    drain begins in the signal handler, while the listener still answers.
    """

    def __init__(self, config: uvicorn.Config, node: Node) -> None:
        super().__init__(config)
        self._node = node
        self._hurry = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begin the drain, or hurry the one that has begun."""
        self._loop.call_soon_threadsafe(self._on_signal, signal.Signals(sig).name)

    def _on_signal(self, name: str) -> None:
        if self._draining:
            logger.info("second signal, ending at once", signal=name)
            self._hurry.set()
        else:
            logger.info("draining", signal=name, running=len(self._node.running))
            self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._node.running.drain(self._node.settings.drain_seconds, self._hurry)
        finally:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let streams send their last frames, abort who does not read them, and close."""
        deadline = self._loop.time() + LAST_WORDS_SECONDS
        while self.server_state.tasks and self._loop.time() < deadline and not self._hurry.is_set():
            await asyncio.wait(self.server_state.tasks, timeout=deadline - self._loop.time())
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol) and connection.asked():
                connection.transport.abort()
        await super().shutdown(sockets)


def run(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `StartError`."""
    configure_logging()
    check_host(settings)
    _allow_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(settings))
        except ExceptionGroup as group:
            raise _only(group) from None
        if runner.run(_tasks_stay()):
            # Everything is stored and closed. Closing the runner would wait for ever for these: a responder that
            # ignores its cancellation is one.
            os._exit(0)


def _only(error: BaseException) -> BaseException:
    """Return the one error in groups of one: Litestar enters our lifespan within a task group of its own."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _tasks_stay() -> bool:
    """Cancel every other task; says whether some of them go on all the same."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    return bool(others) and bool((await asyncio.wait(others, timeout=LEAVE_SECONDS))[1])


async def _serve(settings: Settings) -> None:
    listener = _listen(settings)
    with listener:
        app = create_app(settings)
        async with app.lifespan():
            config = uvicorn.Config(
                app,
                http=Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whom to believe them is no setting, and nothing here asks for them
                limit_concurrency=_max_connections(settings),
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
            )
            # What was loaded by now stays. Looking at it again and again, and so often, takes a tenth of all CPU.
            gc.freeze()
            gc.set_threshold(COLLECTED_AFTER)
            host, port = listener.getsockname()[:2]
            logger.info("serving", url=f"http://{f'[{host}]' if ':' in host else host}:{port}")
            await Server(config, app.state.node).serve(sockets=[listener])
    logger.info("ended")


def _listen(settings: Settings) -> socket.socket:
    address = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _notice_who_is_gone(listener)
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"The address {address} is in use by another program; choose another port.") from error
        raise StartError(f"The address {address} cannot be listened on: {error.strerror}.") from error
    return listener


def _notice_who_is_gone(listener: socket.socket) -> None:
    """Let the kernel end connections to peers that vanished; those that are accepted inherit this."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in {
        "TCP_KEEPIDLE": SILENT_SECONDS,
        "TCP_KEEPINTVL": SILENT_SECONDS // 3,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": SILENT_SECONDS * 1000,
    }.items():
        if (option := getattr(socket, name, None)) is not None:  # not every system has all of them
            listener.setsockopt(socket.IPPROTO_TCP, option, value)


def _max_connections(settings: Settings) -> int:
    """Return how many connections may be open: never more than there may be files, or `accept` would fail."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = settings.max_streams + SPARE_CONNECTIONS
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files - SPARE_FILES - MAX_REFUSING))


def _allow_files() -> None:
    """Take as many open files as the process may have; the usual limit is made for programs that use `select`."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    for files in (most, 10_240):  # macOS says infinity, and means the second
        with contextlib.suppress(ValueError, OSError):
            return resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return None


def check_host(settings: Settings) -> None:
    """Refuse to be reached from other machines unless that is allowed: there is no authentication yet."""
    try:
        loopback = settings.host == "localhost" or ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = False
    if not loopback and not settings.allow_remote:
        raise StartError(
            f"The host {settings.host} is not a loopback address, and whoever reaches this server may read and write"
            " everything. Set TICKERTAPE_ALLOW_REMOTE=true if that is meant."
        )


def configure_logging() -> None:
    """Send all logs, ours and the libraries', to standard error: lines for people on a terminal, else JSON."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    for_people = sys.stderr.isatty()
    # Plain tracebacks: pretty ones show the frames' variables, and those hold prompts.
    for_terminal = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = for_terminal if for_people else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *([] if for_people else [structlog.processors.format_exc_info]),
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
