"""What becomes of replies, deletions and the page itself when it is left: closed, or put aside by the browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def test_the_only_tab_is_closed_in_mid_reply_and_a_later_one_shows_it_whole(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_contain_text(BEGINNING)
    address = tab.page.url.removeprefix(server.url)
    await tab.page.context.close()

    gate.open()
    later = await open_tab(server, address)

    await expect(later.replies).to_contain_text(BEGINNING + END)
    await expect(later.replies).to_have_attribute("data-status", "completed")


async def test_all_deletions_that_can_still_be_undone_are_sent_when_the_page_closes(
    server: Server, open_tab: OpenTab
) -> None:
    titles = [f"Closed with others {number}" for number in range(4)]
    asked = [await server.ask(title) for title in titles]
    tab = await open_tab(server)
    for title in titles:
        await tab.button(f"More about {title}").click()
        await tab.button("Delete").click()
    await expect(tab.button("Undo")).to_have_count(len(titles))
    other = await open_tab(server)
    names = other.page.get_by_role("list", name="Conversations").get_by_text("Closed with others")
    await expect(names).to_have_count(len(titles))

    await tab.page.close(run_before_unload=True)

    await expect(names).to_have_count(0)
    for one in asked:
        assert (await server.get(f"/conversations/{one['conversation']['id']}")).status_code == 404


async def test_a_page_that_the_browser_has_put_aside_is_live_again_when_it_comes_back(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_contain_text(BEGINNING)
    await tab.message.fill("not sent yet")
    await tab.page.evaluate("() => addEventListener('pageshow', (event) => (window.kept_ = event.persisted))")

    await tab.page.goto(f"{server.url}/schema")
    gate.open()
    await tab.page.go_back(wait_until="commit")

    assert await tab.page.evaluate("() => window.kept_")
    await expect(tab.replies).to_contain_text(BEGINNING + END)
    await expect(tab.page.locator("[data-link=open]")).to_have_count(1)
    await expect(tab.message).to_have_value("not sent yet")
    await tab.ask("And then?")
    await expect(tab.replies.last).to_contain_text("And then?")
    await expect(tab.replies.last).to_have_attribute("data-status", "completed")
