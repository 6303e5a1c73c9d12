"""What befalls the page's connection: networks, servers and conversations that go away, and come back or do not."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.proxy import Harm, Proxy
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]
IN_MID_REPLY = b'"part":0'
"""What only the stream holds: an event, and no snapshot."""
AT_THE_GATE = f'"text":"{END[:4]}"'.encode()
"""The first piece behind it."""


class Later(Proxy):
    """Makes a server one that knows an event more than the page does."""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, harm: Harm | None) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk.replace(b"event: reply.started", b"event: reply.dreamed"))
            await writer.drain()


async def is_linked(tab: Tab, link: str) -> None:
    await expect(tab.page.locator(f"[data-link={link}]")).to_have_count(1)


async def meet(harm: Harm) -> None:
    """Wait until it has befallen a connection, and let it befall no other."""
    while not harm.met:  # noqa: ASYNC110 - the proxy has no event for it
        await asyncio.sleep(0.01)
    harm.mark = b"what nobody sends"


async def test_offline_in_mid_reply_and_back(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_contain_text(BEGINNING)

    await tab.page.context.set_offline(True)
    await is_linked(tab, "offline")
    gate.open()
    await tab.page.context.set_offline(False)

    await expect(tab.replies).to_contain_text(BEGINNING + END)
    await is_linked(tab, "open")


async def test_on_a_small_phone_the_words_of_a_lost_connection_cover_nothing(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, viewport={"width": 320, "height": 568})
    await is_linked(tab, "open")
    await tab.page.context.set_offline(True)
    await is_linked(tab, "offline")

    buttons = tab.page.locator("header button:visible")
    assert await buttons.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    assert await tab.page.evaluate("document.documentElement.scrollWidth") == 320


async def test_a_server_that_is_killed_in_mid_reply_and_started_again(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_contain_text(BEGINNING)
    await tab.say("before the kill")
    await expect(tab.broadcast).to_contain_text("before the kill")

    await server.kill()
    await is_linked(tab, "lost")
    await server.start()

    await expect(tab.replies).to_contain_text("Interrupted")
    await expect(tab.replies).to_contain_text(BEGINNING)
    await is_linked(tab, "open")
    await server.post("/send-message", {"message": "after the kill"})
    await expect(tab.broadcast.get_by_text("after the kill")).to_have_count(1)
    await expect(tab.broadcast.get_by_text("before the kill")).to_have_count(1)
    await expect(tab.broadcast.get_by_text("joined")).to_have_count(1)


async def test_a_server_that_drains_lets_the_reply_end_and_is_come_back_to(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_contain_text(BEGINNING)

    await server.signal(signal.SIGTERM)
    gate.open()
    await expect(tab.replies).to_contain_text(BEGINNING + END)
    assert await server.wait() == 0
    await is_linked(tab, "lost")
    await server.start()

    await is_linked(tab, "open")
    await tab.ask("and now?")
    await expect(tab.replies.last).to_contain_text("and now?")


async def test_a_conversation_is_deleted_while_it_is_shown_and_the_other_streams_go_on(
    server: Server, open_tab: OpenTab
) -> None:
    asked = await server.ask("for a moment")
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("for a moment")
    before = [url for url in tab.requests if "/streams" in url]

    await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")
    await expect(tab.conversation).to_contain_text("does not exist, or was deleted")
    await server.post("/send-message", {"message": "life goes on"})

    await expect(tab.broadcast).to_contain_text("life goes on")
    await is_linked(tab, "open")
    assert [url for url in tab.requests if "/streams" in url] == before


async def test_a_conversation_that_was_deleted_while_another_was_shown_is_gone_on_return(
    server: Server, open_tab: OpenTab
) -> None:
    asked, other = await server.ask("for a moment"), await server.ask("for longer")
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("for a moment")
    await tab.page.goto(f"{server.url}/#{other['conversation']['id']}")
    await expect(tab.replies).to_contain_text("for longer")

    await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")
    await tab.page.go_back()

    await expect(tab.conversation).to_contain_text("does not exist, or was deleted")


async def test_a_proxy_that_cuts_in_mid_reply_costs_nothing(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    harm = Harm(IN_MID_REPLY)
    async with Proxy(server, [harm] * 50) as proxy:
        tab = await open_tab(proxy)
        await tab.ask(gate)
        await expect(tab.replies).to_contain_text(BEGINNING, timeout=40_000)  # each cut makes the page wait longer

        gate.open()
        await meet(harm)

        await expect(tab.replies).to_contain_text(BEGINNING + END)
        await is_linked(tab, "open")
        await tab.page.close()


async def test_a_proxy_that_falls_silent_is_noticed_by_the_missing_pings(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    harm = Harm(AT_THE_GATE, "hold")
    async with Proxy(server, [harm] * 50) as proxy:
        tab = await open_tab(server, "/schema")
        await tab.page.clock.install()
        tab.origin = proxy.url
        tab.requests.clear()
        await tab.page.goto(proxy.url)
        await tab.ask(gate)
        await expect(tab.replies).to_contain_text(BEGINNING)

        gate.open()
        await meet(harm)
        await tab.page.clock.run_for(41_000)

        await expect(tab.replies).to_contain_text(BEGINNING + END)
        await tab.page.close()


async def test_an_event_that_the_page_does_not_know_is_left_out_and_told(server: Server, open_tab: OpenTab) -> None:
    async with Later(server) as proxy:
        tab = await open_tab(proxy)
        await tab.ask("one")
        await expect(tab.replies).to_have_attribute("data-status", "completed")
        streams = [url for url in tab.requests if "/streams?" in url]

        for prompt in ("two", "three"):
            await tab.ask(prompt)
            await expect(tab.replies.last).to_contain_text(prompt)
            await expect(tab.replies.last).to_have_attribute("data-status", "completed")

        assert [url for url in tab.requests if "/streams?" in url] == streams
        assert all("does not know" in words for words in tab.complaints)
        assert len(tab.complaints) == 1
        tab.complaints.clear()
        await tab.page.close()
