"""A real Chromium for the tests of this folder, which run last. All share one event loop, one browser and a server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser import chromium
from tests.browser.tab import Tab
from tests.browser.tale import Gate
from tests.support.server import Server

FOLDER = Path(__file__).parent
RESPONDER = f"{FOLDER / 'tale.py'}:tale"
UNUSED = [
    # The address bar's suggestions: each window draws its own, which costs several times what our page does.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # What Playwright switches off itself where nobody names any: questions to the world, and a leaving page's shortcut.
    "AimEnabled",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PreconnectToSearch",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
]
found = pytest.StashKey[str | None]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests last, and in one loop."""
    items.sort(key=lambda item: FOLDER in item.path.parents)
    ours = [item for item in items if FOLDER in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Find or install a Chromium before the clock of the first test runs, and only when there is one to run."""
    ours = [item for item in session.items if FOLDER in item.path.parents]
    if ours and not session.config.option.collectonly:
        session.config.stash[found] = chromium.find()
        if session.config.stash[found] is None:
            for item in ours:
                item.add_marker(pytest.mark.skip(reason=chromium.NONE))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(pytestconfig: pytest.Config) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=pytestconfig.stash[found],
            # As root there is no sandbox, and these pages are ours.
            args=["--no-sandbox", f"--disable-features={','.join(UNUSED)}"],
            ignore_default_args=["--disable-back-forward-cache"],  # people's browsers have it
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def the_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("browser"), responder=RESPONDER) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def server(the_server: Server) -> Server:
    """The one server of all these tests; some kill it and start it again."""
    if the_server.process and the_server.process.poll() is not None:
        await the_server.start()
    return the_server


@pytest_asyncio.fixture(loop_scope="session")
async def open_tab(browser: Browser) -> AsyncIterator[Callable[..., Awaitable[Tab]]]:
    """Open a server's page in a browser of its own; at the end it must have behaved."""
    async with AsyncExitStack() as stack:
        tabs: list[Tab] = []

        async def open_tab(server: Server, path: str = "/", **settings: Any) -> Tab:
            context = await browser.new_context(reduced_motion="reduce", **settings)
            stack.push_async_callback(context.close)
            context.set_default_timeout(15_000)
            tabs.append(Tab(await context.new_page(), server.url))
            await tabs[-1].page.goto(server.url + path)
            return tabs[-1]

        yield open_tab
        for tab in tabs:
            tab.check()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """What a reply waits for in the middle, when it is what is asked."""
    return Gate(tmp_path / "a.gate")
