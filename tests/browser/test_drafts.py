"""Drafts on the page: what is being written survives reloads, switching and closed tabs, and is sent once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from playwright.async_api import Route, expect

from tests.browser.tab import Tab
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def test_a_draft_survives_a_reload_and_switching(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("a conversation to write in")
    here = f"#{asked['conversation']['id']}"
    tab = await open_tab(server, f"/{here}")
    await expect(tab.replies).to_have_count(1)

    await tab.message.fill("half a thought")
    await tab.page.reload()
    await expect(tab.message).to_have_value("half a thought")
    await _go(tab, "")
    await expect(tab.message).to_have_value("")
    await tab.message.fill("for a new chat")
    await _go(tab, here)
    await expect(tab.message).to_have_value("half a thought")
    await _go(tab, "")

    await expect(tab.message).to_have_value("for a new chat")


async def test_a_draft_goes_to_the_next_tab_when_its_own_is_closed(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.message.fill("not yet sent")
    beside = await _another(tab)
    await expect(beside.message).to_have_value("")

    await tab.page.close()
    await beside.page.close()
    next_one = await _another(tab)

    await expect(next_one.message).to_have_value("not yet sent")


async def test_two_tabs_on_one_conversation_keep_a_draft_each(server: Server, open_tab: OpenTab) -> None:
    one = await open_tab(server)
    await one.message.fill("written in one")
    two = await _another(one)

    await two.message.fill("written in two")
    await one.page.reload()
    await two.page.reload()

    await expect(one.message).to_have_value("written in one")
    await expect(two.message).to_have_value("written in two")


async def test_what_was_being_sent_at_a_reload_is_sent_once(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    arrived = asyncio.Event()

    async def swallow(route: Route) -> None:
        if arrived.is_set():
            await route.continue_()
        else:
            await route.fetch()  # the server has it, and its answer is lost
            arrived.set()

    await tab.page.route("**/conversations", swallow)
    await tab.ask("Once is enough")
    await arrived.wait()
    await expect(tab.page.get_by_text("Sending …")).to_be_visible()
    await expect(tab.message).to_have_value("Once is enough")
    await tab.page.reload()

    await expect(tab.replies).to_contain_text("Once is enough")
    await expect(tab.message).to_have_value("")
    titles = [one["title"] for one in (await server.get("/conversations")).json()["conversations"]]
    assert titles.count("Once is enough") == 1


async def test_what_is_written_while_a_first_message_is_being_sent_stays_in_view(
    server: Server, open_tab: OpenTab
) -> None:
    tab = await open_tab(server)
    sent, answered = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        sent.set()
        await answered.wait()
        await route.continue_()

    await tab.page.route("**/conversations", hold)
    await tab.ask("The first")
    await sent.wait()
    await tab.message.press_sequentially(" and the second")
    answered.set()

    await expect(tab.replies).to_contain_text("The first")
    await expect(tab.message).to_have_value("and the second")


async def _go(tab: Tab, fragment: str) -> None:
    await tab.page.evaluate("(fragment) => { location.hash = fragment; }", fragment)


async def _another(tab: Tab) -> Tab:
    """Open the page a second time in the same browser."""
    another = Tab(await tab.page.context.new_page(), tab.origin)
    await another.page.goto(tab.origin)
    await expect(another.message).to_be_visible()
    return another
