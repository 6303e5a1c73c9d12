"""Fixtures of the edge's tests: one real server for all of them, since a start costs more than a hundred tests.

When all are done, its log must be clean. `start_server` is for tests that change settings or do harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.api.answers", "tests.api.bystanders", "tests.api.watched")

from tests.api.bystanders import Control, Quiet  # noqa: E402 - after the line above, so that their asserts explain themselves
from tests.api.watched import WatchedServer  # noqa: E402


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedServer]:
    """The server that all modules share; the replies that say nothing outlast them, however long they take."""
    settings = {"max_running": 1000, "reply_idle_seconds": 3600}
    async with WatchedServer(tmp_path_factory.mktemp("data"), **settings) as server:
        yield server
        await server.kill()
    server.check_log()


@pytest_asyncio.fixture(scope="package", loop_scope="package", autouse=True)
async def quiet(server: WatchedServer) -> AsyncIterator[Quiet]:
    """Streams on which nobody says anything. Opened first of all, so that no test has to wait for their pings."""
    quiet = await Quiet.open(server)
    yield quiet
    quiet.close()


@pytest_asyncio.fixture(loop_scope="package")
async def start_server(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[WatchedServer]]]:
    """Start servers of the test's own."""
    started: list[WatchedServer] = []
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> WatchedServer:
            server = WatchedServer(tmp_path / f"data-{len(started)}", **settings)
            started.append(server)
            return await stack.enter_async_context(server)

        yield start
    for server in started:
        server.check_log()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def control(server: WatchedServer) -> AsyncIterator[Control]:
    """A conversation with a reply that runs all the time; whatever the module does, its stream must not notice."""
    control = await Control.begin(server)
    yield control
    await control.end()


@pytest_asyncio.fixture(loop_scope="package")
async def untouched(server: WatchedServer, control: Control) -> AsyncIterator[None]:
    """Whatever the test sends is refused: nothing is stored, and the control stream flows on."""
    before = await server.state()
    yield
    assert await server.state() == before
    await control.flows()
