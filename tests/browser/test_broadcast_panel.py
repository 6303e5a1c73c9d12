"""The broadcast channel beside the conversation: what was said, what is too long, and who scrolls up to read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def test_a_text_that_is_too_long_is_told_before_it_is_said(server: Server, open_tab: OpenTab) -> None:
    most = (await server.get("/limits")).json()["max_broadcast_bytes"]
    tab = await open_tab(server)
    field, button = tab.broadcast.get_by_role("textbox"), tab.broadcast.get_by_role("button", name="Say")

    await field.fill("é" * (most // 2 - 5))
    await expect(tab.broadcast).to_contain_text("10 bytes left.")
    await field.fill("é" * (most // 2 + 1))

    await expect(tab.broadcast).to_contain_text("Too long by 2 bytes.")
    await expect(button).to_be_disabled()
    await field.fill("short")
    await button.click()
    await expect(tab.broadcast.get_by_role("log")).to_contain_text("short")


async def test_who_has_scrolled_up_is_left_there_until_they_speak(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    lines = tab.broadcast.get_by_role("log")
    for number in range(60):
        await server.post("/send-message", {"message": f"line {number}"})
    await expect(lines.get_by_text("line 59")).to_be_in_viewport()

    await lines.focus()
    await tab.page.keyboard.press("Home")
    await expect(lines.get_by_text("line 59")).not_to_be_in_viewport()
    await server.post("/send-message", {"message": "said while reading"})
    await expect(lines).to_contain_text("said while reading")
    await expect(lines.get_by_text("said while reading")).not_to_be_in_viewport()
    await tab.say("and I")

    await expect(lines.get_by_text("and I")).to_be_in_viewport()


async def test_read_aloud_is_what_others_say(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    lines = tab.broadcast.get_by_role("log")

    await tab.say("said here")
    await expect(lines).to_contain_text("said here")
    await server.post("/send-message", {"message": "said elsewhere"})

    await expect(lines.get_by_text("said here")).to_have_attribute("aria-live", "off")
    await expect(lines.get_by_text("user joined").last).to_have_attribute("aria-live", "off")
    await expect(lines.get_by_text("said elsewhere")).not_to_have_attribute("aria-live", "off")


async def test_what_was_refused_is_not_taken_for_what_another_says(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.page.route("**/send-message", lambda route: route.fulfill(status=422, json={"detail": "Not now."}))
    await tab.say("said by both")
    await expect(tab.broadcast.get_by_role("alert")).to_contain_text("Not now.")

    await server.post("/send-message", {"message": "said by both"})

    line = tab.broadcast.get_by_role("log").get_by_text("said by both")
    await expect(line).to_be_visible()
    await expect(line).not_to_have_attribute("aria-live", "off")
    tab.complaints.clear()  # the browser's own word on the refusal


async def test_what_is_written_is_there_after_a_reload(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    field = tab.broadcast.get_by_role("textbox")
    await field.fill("not said yet")

    await tab.page.reload()

    await expect(field).to_have_value("not said yet")
    await tab.broadcast.get_by_role("button", name="Say").click()
    await expect(tab.broadcast.get_by_role("log")).to_contain_text("not said yet")
    await tab.page.reload()
    await expect(field).to_have_value("")


async def test_what_cannot_be_said_stays_to_be_said_again(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.page.route("**/send-message", lambda route: route.abort())
    await tab.page.clock.install()

    await tab.say("Can you hear me?")
    again = tab.broadcast.get_by_role("button", name="Say again")
    while not await again.is_visible():
        await tab.page.clock.run_for(1500)  # the page tries a few times by itself

    await expect(tab.broadcast.get_by_role("alert")).to_contain_text("cannot be reached")
    await tab.page.unroute("**/send-message")
    await again.click()
    await expect(tab.broadcast.get_by_role("log")).to_contain_text("Can you hear me?")
    await expect(tab.broadcast.get_by_role("textbox")).to_have_value("")


async def test_on_a_phone_the_panel_is_closed_by_a_touch_beside_it(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, has_touch=True, is_mobile=True, viewport={"width": 320, "height": 568})
    await tab.button("Everybody").tap()
    box = await tab.broadcast.bounding_box()
    assert box
    assert box["x"] > 24, "room for a finger"

    await tab.page.touchscreen.tap(box["x"] / 2, 300)

    await expect(tab.broadcast).not_to_be_visible()
