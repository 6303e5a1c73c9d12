"""Versions of questions and replies in a real browser, and replies side by side."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from playwright.async_api import Route, expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.browser.talks import edit, questions
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def test_an_edited_question_is_a_version_beside_the_old_one(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.ask("first")
    await expect(tab.replies).to_contain_text("tokens")

    await edit(tab, questions(tab), "second")
    await expect(tab.replies).to_contain_text("second")
    await expect(questions(tab)).to_contain_text("2 / 2")
    await tab.button("Previous version").click()
    await expect(tab.replies).to_contain_text("first")
    await expect(questions(tab)).to_contain_text("1 / 2")

    await tab.page.reload()
    await expect(tab.replies).to_contain_text("first")
    await tab.ask("on the first")
    await expect(tab.replies).to_have_count(2)
    await tab.button("Next version").click()
    await expect(tab.replies).to_have_count(1)
    await expect(tab.replies).to_contain_text("second")


async def test_a_tab_that_chose_nothing_follows_and_one_that_chose_stays(server: Server, open_tab: OpenTab) -> None:
    one = await open_tab(server)
    await one.ask("first")
    await expect(one.replies).to_contain_text("tokens")
    two = await open_tab(server, one.page.url.removeprefix(server.url))
    await edit(one, questions(one), "second")
    await expect(two.replies).to_contain_text("second")

    await two.button("Previous version").click()
    await expect(two.replies).to_contain_text("first")
    await edit(one, questions(one), "third")

    await expect(one.replies).to_contain_text("third")
    await expect(questions(two)).to_contain_text("1 / 3")
    await expect(two.replies).to_contain_text("first")


async def test_an_edit_survives_a_reload_and_escape_leaves_it(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.ask("as it was")
    await expect(tab.replies).to_contain_text("tokens")
    await questions(tab).hover()
    await tab.button("Edit").click()
    field = tab.page.get_by_role("textbox", name="Edit your message")
    await expect(field).to_be_focused()
    await field.fill("half writ")

    await tab.page.reload()
    await expect(field).to_have_value("half writ")
    await field.press("Escape")

    await expect(field).to_have_count(0)
    await expect(questions(tab)).to_contain_text("as it was")
    await expect(tab.button("Edit")).to_be_focused()


async def test_an_edit_that_was_being_sent_at_a_reload_is_one_version_however_often_it_is_sent(
    server: Server, open_tab: OpenTab
) -> None:
    tab = await open_tab(server)
    await tab.ask("as it was")
    await expect(tab.replies).to_contain_text("tokens")
    arrived = asyncio.Event()

    async def swallow(route: Route) -> None:
        if arrived.is_set():
            await route.continue_()
        else:
            await route.fetch()  # the server has it, and its answer is lost
            arrived.set()

    await tab.page.route("**/messages", swallow)
    await edit(tab, questions(tab), "as it is")
    await arrived.wait()
    await tab.page.reload()
    await expect(questions(tab)).to_contain_text("as it is")
    await tab.button("Previous version").click()
    field = tab.page.get_by_role("textbox", name="Edit your message")
    await expect(field).to_have_value("as it is")
    await field.press("Enter")

    await expect(questions(tab)).to_contain_text("as it is")
    await expect(questions(tab)).to_contain_text("2 / 2")


async def test_an_edit_that_is_refused_says_why_and_keeps_the_text(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.ask("short")
    await expect(tab.replies).to_contain_text("tokens")

    await edit(tab, questions(tab), "x" * 262_145)

    await expect(questions(tab).get_by_role("alert")).to_contain_text("longer than 262144 bytes")
    await expect(tab.page.get_by_role("textbox", name="Edit your message")).to_have_value("x" * 262_145)
    tab.complaints = [told for told in tab.complaints if "413" not in told]


async def test_a_retry_is_a_version_and_the_keyboard_walks_through_them(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.ask("Again?")
    await expect(tab.replies).to_contain_text("tokens")

    await tab.button("Retry").press("Enter")
    await expect(tab.replies).to_contain_text("2 / 2")
    await expect(tab.replies).to_contain_text("tokens")
    await expect(tab.conversation).to_be_focused()
    await tab.button("Previous version").press("Enter")
    await expect(tab.replies).to_contain_text("1 / 2")
    await expect(tab.button("Previous version")).to_be_focused()
    await tab.button("Next version").press("Enter")

    await expect(tab.replies).to_contain_text("2 / 2")
    await expect(tab.button("Next version")).to_be_focused()


async def test_a_retry_may_ask_another_responder(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.ask("Say it again")
    await expect(tab.replies).to_contain_text("tokens")

    await tab.button("Retry with another responder").click()
    await tab.button("echo").click()

    await expect(tab.replies).to_contain_text("2 / 2")
    await expect(tab.replies).to_contain_text(re.compile("Responder ?echo"))


# Side by side


async def compare(server: Server, prompt: object) -> str:
    """Ask the tale, which waits for a gate, and a mock that is slow; return the address on the page."""
    asked = await server.ask(str(prompt), responder="tale")
    path = f"/conversations/{asked['conversation']['id']}/messages"
    slow = {"tokens_per_second": 0.5, "first_token_delay": 0}
    await server.ask(str(prompt), path, parent=None, responder="mock", options=slow)
    return f"/#{asked['conversation']['id']}"


async def test_two_responders_answer_one_question_side_by_side(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    tab = await open_tab(server, await compare(server, gate))
    tale, mock = (tab.page.get_by_role("region", name=f"Reply by {name}") for name in ("tale", "mock"))

    await expect(tale).to_contain_text(BEGINNING)
    await expect(mock.get_by_role("article")).to_have_text(re.compile(r"\w"))
    await expect(questions(tab)).to_have_count(1)
    left, right = await tale.bounding_box(), await mock.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] <= right["x"]
    await tab.button("Stop mock").click()
    await expect(mock).to_contain_text("Stopped.")
    await expect(tale.get_by_role("article")).to_have_attribute("aria-busy", "true")
    gate.open()
    await expect(tale).to_contain_text(BEGINNING + END)

    await tab.page.reload()
    await expect(mock).to_contain_text("Stopped.")
    await expect(tale).to_contain_text(BEGINNING + END)


async def test_going_on_with_one_reply_asks_there(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    gate.open()
    tab = await open_tab(server, await compare(server, gate), viewport={"width": 320, "height": 568})
    tale, mock = (tab.page.get_by_role("region", name=f"Reply by {name}") for name in ("tale", "mock"))
    await expect(tale).to_contain_text(END)
    await tab.button("Stop mock").click()
    await expect(mock).to_contain_text("Stopped.")
    above, below = await tale.bounding_box(), await mock.bounding_box()
    assert above
    assert below
    assert above["y"] + above["height"] <= below["y"]

    next_one = tab.page.get_by_text("What you write now goes on from the reply by")
    await expect(next_one).to_contain_text("mock")

    await tale.get_by_role("button", name="Go on with this one").click()
    await expect(tab.replies).to_have_count(1)
    await expect(next_one).to_have_count(0)
    await tab.ask("And then?")

    await expect(tab.replies).to_have_count(2)
    await expect(tab.replies.last).to_contain_text("And then?")
    await expect(tab.replies.first).to_contain_text(END)
    await expect(questions(tab).first).to_contain_text("1 / 2")


async def test_a_retry_stays_side_by_side(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    gate.open()
    tab = await open_tab(server, await compare(server, gate))
    tale, mock = (tab.page.get_by_role("region", name=f"Reply by {name}") for name in ("tale", "mock"))
    await expect(tale).to_contain_text(END)

    await tale.get_by_role("button", name="Retry", exact=True).click()

    await expect(tale).to_contain_text("2 / 2")
    await expect(tale).to_contain_text(END)
    await expect(mock).to_be_visible()
    await tab.button("Stop mock").click()
