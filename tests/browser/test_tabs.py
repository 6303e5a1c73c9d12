"""Many tabs of one browser: one connection for all, whoever leads, and each shows what it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Request, expect

from tests.browser.tab import PATIENCE, Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.server import Server

IMPATIENT = "const { setInterval } = window; window.setInterval = (run, wait) => setInterval(run, wait / 50)"
"""Makes a tab look after its leader far more often than every four seconds."""
WORDS = [f"word{number}" for number in range(150)]


class Window:
    """A browser with many tabs, and the connections to `/streams` that these have open."""

    def __init__(self, context: BrowserContext, server: Server) -> None:
        self.context = context
        self.server = server
        self.tabs: list[Tab] = []
        self._streams: set[Request] = set()
        context.on("request", lambda request: "/streams?" in request.url and self._streams.add(request))
        for end in ("requestfinished", "requestfailed"):
            context.on(end, lambda request: self._streams.discard(request))  # noqa: PLW0108 - it marks what it is given

    async def has_streams(self, count: int) -> None:
        """Wait until so many are open. Who hands over tells so a moment later, who is closed never tells of an end."""
        async with asyncio.timeout(PATIENCE / 1000):
            while len([one for one in self._streams if not one.frame.page.is_closed()]) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def open(self, asked: dict[str, Any] | None = None) -> Tab:
        """Open a tab, on a conversation that a 201 has named."""
        tab = Tab(await self.context.new_page(), self.server.url)
        await self.begin(tab, asked)
        return tab

    async def begin(self, tab: Tab, asked: dict[str, Any] | None) -> None:
        self.tabs.append(tab)
        await tab.page.goto(f"{self.server.url}/#{asked['conversation']['id'] if asked else ''}")
        await expect(tab.page.locator("[data-link=open]")).to_have_count(1)

    @asynccontextmanager
    async def hold(self, tab: Tab) -> AsyncIterator[None]:
        """Let a tab hang: nothing in it runs, and it is not told so."""
        devtools = await self.context.new_cdp_session(tab.page)
        await devtools.send("Debugger.enable")
        paused = asyncio.Event()
        devtools.on("Debugger.paused", lambda _: paused.set())
        hanging = asyncio.ensure_future(devtools.send("Runtime.evaluate", {"expression": "debugger"}))
        await paused.wait()
        yield
        await devtools.send("Debugger.resume")
        await hanging

    async def lifecycle(self, tab: Tab, state: str) -> None:
        devtools = await self.context.new_cdp_session(tab.page)
        await devtools.send("Page.setWebLifecycleState", {"state": state})


@pytest_asyncio.fixture(loop_scope="session")
async def open_window(browser: Browser) -> AsyncIterator[Callable[..., Awaitable[Window]]]:
    """Open a browser of its own; at the end its tabs must have behaved."""
    async with AsyncExitStack() as stack:
        windows: list[Window] = []

        async def open_window(server: Server, script: str = "") -> Window:
            context = await browser.new_context(reduced_motion="reduce")
            stack.push_async_callback(context.close)
            context.set_default_timeout(15_000)
            if script:
                await context.add_init_script(script)
            windows.append(Window(context, server))
            return windows[-1]

        yield open_window
        for window in windows:
            for tab in window.tabs:
                tab.check()


OpenWindow = Callable[..., Awaitable[Window]]


async def tell(server: Server) -> dict[str, Any]:
    """Begin a reply of many words, which takes some two seconds."""
    options = {"tokens_per_second": 80}
    return await server.ask(" ".join(WORDS), responder="echo", options=options)


async def test_ten_tabs_on_ten_conversations_are_live_and_one_more_loads(
    server: Server, open_window: OpenWindow, tmp_path: Path
) -> None:
    window = await open_window(server)
    gates = [Gate(tmp_path / f"{number}.gate") for number in range(10)]
    asked = [await server.ask(str(gate)) for gate in gates]

    tabs = list(await asyncio.gather(*(window.open(one) for one in asked)))
    for tab in tabs:
        await expect(tab.replies).to_contain_text(BEGINNING)
    for gate in gates:
        gate.open()

    for tab in tabs:
        await expect(tab.replies).to_contain_text(BEGINNING + END)
    await window.has_streams(1)
    await expect((await window.open(asked[0])).replies).to_contain_text(BEGINNING + END)
    await server.post("/send-message", {"message": "for all of you"})
    for tab in tabs:
        await expect(tab.broadcast).to_contain_text("for all of you")
        await expect(tab.broadcast.get_by_text("A new user joined!")).to_have_count(1)


async def test_one_conversation_in_three_tabs_shows_the_same(
    server: Server, open_window: OpenWindow, gate: Gate
) -> None:
    window = await open_window(server)
    asked = await server.ask(str(gate))
    tabs = [await window.open(asked) for _ in range(3)]

    for tab in tabs:
        await expect(tab.replies).to_contain_text(BEGINNING)
    gate.open()

    for tab in tabs:
        await expect(tab.replies).to_contain_text(BEGINNING + END)
        await expect(tab.button("Send")).to_be_visible()
    texts = [await tab.replies.inner_text() for tab in tabs]
    assert texts == texts[:1] * 3


async def test_a_tab_is_no_newcomer_beside_another_and_is_told_what_was_said(
    server: Server, open_window: OpenWindow
) -> None:
    window = await open_window(server)
    one = await window.open()
    await one.say("before you came")
    await expect(one.broadcast).to_contain_text("before you came")

    async with await server.listen("/events", cursor=None) as listener:
        two = await window.open()
        await expect(two.broadcast).to_contain_text("before you came")
        await server.post("/send-message", {"message": "the next"})
        heard = [frame.data async for frame in until(listener, "the next")]

    assert heard.count("A new user joined!") <= 1  # the listener itself


async def until(listener: Any, last: str) -> AsyncIterator[Any]:
    async for frame in listener:
        if frame.event == "message":
            yield frame
        if frame.data == last:
            return


async def test_the_leader_is_closed_in_mid_reply(server: Server, open_window: OpenWindow) -> None:
    window = await open_window(server)
    asked = await tell(server)
    leader, *others = [await window.open(asked) for _ in range(3)]

    await expect(others[-1].replies).to_contain_text("word20 ")
    await leader.page.close()

    for tab in others:
        await expect(tab.replies).to_contain_text(" ".join(WORDS))
        await expect(tab.page.locator("[data-link=open]")).to_have_count(1)
    await window.has_streams(1)


async def test_the_leader_crashes_in_mid_reply(server: Server, open_window: OpenWindow) -> None:
    window = await open_window(server)
    asked = await tell(server)
    leader, *others = [await window.open(asked) for _ in range(3)]
    await expect(others[-1].replies).to_contain_text("word20 ")

    devtools = await window.context.new_cdp_session(leader.page)
    async with leader.page.expect_event("crash"):
        crashing = asyncio.ensure_future(devtools.send("Page.crash"))
    crashing.cancel()

    for tab in others:
        await expect(tab.replies).to_contain_text(" ".join(WORDS))


async def test_a_leader_that_the_browser_freezes_hands_over_and_comes_back(
    server: Server, open_window: OpenWindow, gate: Gate
) -> None:
    window = await open_window(server)
    asked = await server.ask(str(gate))
    leader, other = [await window.open(asked) for _ in range(2)]
    await expect(other.replies).to_contain_text(BEGINNING)

    await window.lifecycle(leader, "frozen")
    gate.open()
    await expect(other.replies).to_contain_text(BEGINNING + END)
    await window.lifecycle(leader, "active")

    await expect(leader.replies).to_contain_text(BEGINNING + END)
    await server.post("/send-message", {"message": "to both"})
    for tab in (leader, other):
        await expect(tab.broadcast.get_by_text("to both")).to_have_count(1)


async def test_a_leader_that_hangs_is_deposed_by_a_tab_that_somebody_looks_at(
    server: Server, open_window: OpenWindow, gate: Gate
) -> None:
    window = await open_window(server)
    asked = await server.ask(str(gate))
    leader = await window.open(asked)
    other = Tab(await window.context.new_page(), server.url)
    await other.page.add_init_script(IMPATIENT)
    await window.begin(other, asked)
    await expect(other.replies).to_contain_text(BEGINNING)

    async with window.hold(leader):
        gate.open()
        await expect(other.replies).to_contain_text(BEGINNING + END)

    await expect(leader.replies).to_contain_text(BEGINNING + END)
    await server.post("/send-message", {"message": "to both"})
    for tab in (leader, other):
        await expect(tab.broadcast.get_by_text("to both")).to_have_count(1)
    await window.has_streams(1)


async def test_without_web_locks_each_tab_has_a_connection_of_its_own(
    server: Server, open_window: OpenWindow, gate: Gate
) -> None:
    window = await open_window(server, "delete Navigator.prototype.locks")
    asked = await server.ask(str(gate))
    tabs = [await window.open(asked) for _ in range(3)]

    for tab in tabs:
        await expect(tab.replies).to_contain_text(BEGINNING)
    gate.open()

    for tab in tabs:
        await expect(tab.replies).to_contain_text(BEGINNING + END)
    await window.has_streams(3)


async def test_a_reply_is_followed_again_by_a_tab_that_has_shown_another_conversation(
    server: Server, open_window: OpenWindow, gate: Gate
) -> None:
    window = await open_window(server)
    asked, other = await server.ask(str(gate)), await server.ask("something else")
    await window.open()
    tab = await window.open(asked)
    await expect(tab.replies).to_contain_text(BEGINNING)

    await tab.page.goto(f"{server.url}/#{other['conversation']['id']}")
    await expect(tab.replies).to_contain_text("something else")
    gate.open()
    await server.ended(asked)
    await tab.page.go_back()

    await expect(tab.replies).to_contain_text(BEGINNING + END)
