"""Runs uvicorn: one process, a drain that begins in the signal handler, and connections that can be aborted."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
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
from app.protocol import Protocol
from app.settings import Settings

logger = structlog.stdlib.get_logger(__name__)

BACKLOG = 2048
LAST_WORDS_SECONDS = 1.0
"""How long connections may take to send their last frames after the drain."""
LEAVE_SECONDS = 0.2
"""How long tasks that are still there at the very end may take to leave."""


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
            if isinstance(connection, Protocol) and connection.cycle and not connection.cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


def run(settings: Settings) -> None:
    """Serve until a signal ends it. Raises `StartError`."""
    configure_logging()
    check_host(settings)
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
                timeout_graceful_shutdown=1,
            )
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
        listener.bind(place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(f"The address {address} is in use by another program; choose another port.") from error
        raise StartError(f"The address {address} cannot be listened on: {error.strerror}.") from error
    return listener


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
