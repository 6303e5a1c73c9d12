"""Fixtures that many tests share."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.browser import chromium
from tests.support.server import Server

# A machine that is busy with something else is no bug.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

without_browser = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Take note of the tests that want a browser and had none, whichever process they were in."""
    reports = terminalreporter.stats.get("skipped", [])
    names = [report.nodeid.rpartition("::")[2] for report in reports if chromium.NONE in str(report.longrepr)]
    terminalreporter.config.stash[without_browser] = names


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Name what did not run, in the last line of all."""
    if names := config.stash.get(without_browser, None):
        print(f"Skipped, since {chromium.NONE}: {', '.join(sorted(names))}")


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Start real servers, each over a folder of its own unless `data` is given; ended with the test."""
    async with AsyncExitStack() as stack:
        number = itertools.count()

        async def start(**settings: Any) -> Server:
            data = settings.pop("data", tmp_path / f"data-{next(number)}")
            return await stack.enter_async_context(Server(data, **settings))

        yield start


@pytest.fixture
async def server(start_server: Callable[..., Awaitable[Server]]) -> Server:
    """A real server with the default settings."""
    return await start_server()
