"""The list of conversations beside the chat: live in every tab, renamed, deleted and brought back, searched."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from playwright.async_api import Locator, expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, Gate
from tests.browser.talks import imported
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]
HOSTILE = "<img src=x onerror=alert(1)> <b>bold</b>"


def row(tab: Tab, title: str) -> Locator:
    """Return the row of a conversation."""
    return rows(tab).filter(has=tab.page.get_by_text(title, exact=True))


def rows(tab: Tab) -> Locator:
    return tab.page.get_by_role("list", name="Conversations").locator("[data-id]")


def search(tab: Tab) -> Locator:
    return tab.page.get_by_role("searchbox", name="Search conversations")


async def choose(tab: Tab, title: str, what: str) -> None:
    """Choose something from the menu of a conversation."""
    await tab.button(f"More about {title}").click()
    await tab.button(what).click()


async def test_a_conversation_appears_runs_and_is_renamed_in_every_tab(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    one = await open_tab(server)
    two = await one.page.context.new_page()
    other = Tab(two, server.url)
    await two.goto(server.url)

    await one.ask(gate)
    await expect(one.replies).to_contain_text(BEGINNING)
    here, there = (tab.page.locator(f'[data-id="{one.page.url.partition("#")[2]}"]') for tab in (one, other))
    await expect(there).to_contain_text(str(gate)[:20])
    await expect(there).to_contain_text("is being written")
    await expect(here.get_by_role("link")).to_have_attribute("aria-current", "page")
    gate.open()
    await expect(there).not_to_contain_text("is being written")

    await here.get_by_role("link").press("F2")
    title = one.page.get_by_role("textbox", name="Title")
    await title.fill("A quiet day")
    await title.press("Enter")

    await expect(there).to_contain_text("A quiet day")
    await expect(row(one, "A quiet day").get_by_role("link")).to_be_focused()
    await expect(one.page).to_have_title("A quiet day · Tickertape")


async def test_a_title_that_is_refused_says_why_and_escape_keeps_the_old_one(server: Server, open_tab: OpenTab) -> None:
    await server.ask("Names for a cat")
    tab = await open_tab(server)

    await choose(tab, "Names for a cat", "Rename")
    title = tab.page.get_by_role("textbox", name="Title")
    await title.fill("x" * 10_000)
    await title.press("Enter")
    await expect(tab.page.get_by_role("alert")).to_contain_text("Not renamed")
    await expect(title).to_have_value("x" * 10_000)
    await title.press("Escape")

    await expect(row(tab, "Names for a cat")).to_have_count(1)
    tab.complaints.clear()  # the browser's own word on the refusal


async def test_a_deletion_can_be_undone_and_is_sent_when_it_cannot(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("Going away")
    path = f"/conversations/{asked['conversation']['id']}"
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("Going away")
    await tab.page.clock.install()

    await choose(tab, "Going away", "Delete")
    await expect(row(tab, "Going away")).to_have_count(0)
    await expect(tab.replies).to_have_count(0)
    await tab.button("Undo").click()
    await expect(tab.replies).to_contain_text("Going away")
    await tab.page.clock.run_for(10_000)
    assert (await server.get(path)).status_code == 200

    await row(tab, "Going away").get_by_role("link").press("Delete")
    await expect(tab.button("Undo")).to_be_visible()
    await tab.page.clock.run_for(7_000)
    await expect(tab.button("Undo")).to_be_visible()
    async with tab.page.expect_response(lambda answer: answer.request.method == "DELETE") as answer:
        await tab.page.clock.run_for(1_500)

    assert (await answer.value).status == 204
    assert (await server.get(path)).status_code == 404
    await expect(tab.button("Undo")).to_have_count(0)


async def test_a_page_that_closes_deletes_what_was_not_undone(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("Closed with the page")
    tab = await open_tab(server)
    other = await open_tab(server)
    await choose(tab, "Closed with the page", "Delete")
    await expect(row(other, "Closed with the page")).to_have_count(1)

    await tab.page.close(run_before_unload=True)

    await expect(row(other, "Closed with the page")).to_have_count(0)
    assert (await server.get(f"/conversations/{asked['conversation']['id']}")).status_code == 404


async def test_a_search_marks_what_it_found_in_any_script(server: Server, open_tab: OpenTab) -> None:
    await server.ended(await server.ask("昨日、東京タワーに行った。", title="A trip"))
    await server.ended(await server.ask("👩‍🚀 saw a heron over the harbour", title="Birds"))
    tab = await open_tab(server)

    await search(tab).fill("タワー")
    await expect(rows(tab)).to_have_count(1)
    await expect(rows(tab).locator("mark")).to_have_text(["タワー"])
    await search(tab).fill("heron harb")
    await expect(rows(tab)).to_contain_text(["Birds"])
    await expect(rows(tab).locator("mark")).to_have_text(["heron", "harb"])
    await expect(rows(tab)).to_contain_text(["👩‍🚀 saw a heron"])
    await rows(tab).get_by_role("link").click()
    await expect(tab.replies).to_contain_text("saw a heron")

    await search(tab).fill("no such words")
    await expect(tab.page.get_by_text("Nothing found.")).to_be_visible()
    await search(tab).press("Escape")
    await expect(search(tab)).to_have_value("")
    await expect(row(tab, "A trip")).to_have_count(1)


async def test_what_a_search_found_is_shown_far_back_or_in_another_version(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("The old kestrel", title="Hawks")
    path = f"/conversations/{asked['conversation']['id']}/messages"
    await server.ended(asked)
    await server.ended(await server.ask("The new question", path, parent=None))
    await imported(server, 70, "word " * 60, subject="peregrine")
    tab = await open_tab(server)

    await search(tab).fill("kestrel")
    await rows(tab).filter(has_text="The old kestrel").get_by_role("link").click()
    await expect(tab.replies).to_contain_text(["The old kestrel"])
    await expect(tab.conversation.locator("[data-found]")).to_be_in_viewport()

    await search(tab).fill("peregrine 7")
    await rows(tab).filter(has_text="peregrine 7.").get_by_role("link").click()
    await expect(tab.conversation.locator("[data-found]")).to_have_text(re.compile(r"peregrine 7\."))
    await expect(tab.conversation.locator("[data-found]")).to_be_in_viewport()
    await expect(tab.button("Jump to latest")).to_be_visible()

    await search(tab).fill("peregrine 50")
    await rows(tab).filter(has_text="peregrine 50.").get_by_role("link").click()
    await expect(tab.conversation.locator("[data-found]")).to_have_text(re.compile(r"peregrine 50\."))
    await expect(tab.conversation.locator("[data-found]")).to_be_in_viewport()


async def test_a_hundred_and_twenty_conversations_are_reached_with_the_keyboard(
    server: Server, open_tab: OpenTab
) -> None:
    for number in range(120):
        await server.ended(await server.ask(f"One of many, {number}"))  # an ending moves it up once more
    tab = await open_tab(server)
    await expect(rows(tab).first).to_contain_text("One of many, 119")

    await search(tab).focus()
    await tab.page.keyboard.press("ArrowDown")
    await tab.page.keyboard.press("ArrowDown")
    await expect(row(tab, "One of many, 118").get_by_role("link")).to_be_focused()
    while not await row(tab, "One of many, 0").count():
        await tab.page.keyboard.press("End")
    await row(tab, "One of many, 0").get_by_role("link").press("Enter")

    await expect(tab.replies).to_contain_text("One of many, 0")


async def test_a_hostile_title_is_shown_as_text(server: Server, open_tab: OpenTab) -> None:
    await server.ask("hostile", title=HOSTILE)
    tab = await open_tab(server)

    await expect(row(tab, HOSTILE)).to_have_count(1)
    assert await tab.page.locator("img").count() == 0


async def test_what_is_deleted_while_nobody_can_tell_is_gone_afterwards(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("Deleted behind the back")
    tab = await open_tab(server)
    await expect(row(tab, "Deleted behind the back")).to_have_count(1)
    await tab.page.context.set_offline(True)
    await expect(tab.status).not_to_have_text("Connected")

    await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")
    await tab.page.context.set_offline(False)

    await expect(tab.status).to_have_text("Connected")
    await expect(row(tab, "Deleted behind the back")).to_have_count(0)
