"""The chat page in a real browser: ask, watch, stop, reload, and a server that dies in the middle."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]
HOSTILE = '<img src=x onerror="window.owned = 1"><script>window.owned = 1</script> &amp; <b>bold</b> javascript:owned'
SHOWN = '<img src=x onerror="window.owned = 1"><script>window.owned = 1</script> & bold javascript:owned'
"""The same as Markdown, which knows a few tags that can do nothing."""


async def test_a_prompt_is_answered_while_it_is_written(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    tab = await open_tab(server)

    await tab.ask(gate)

    await expect(tab.replies).to_have_text(BEGINNING)
    await expect(tab.conversation).to_contain_text(str(gate))
    await expect(tab.button("Send")).to_have_count(0)
    gate.open()
    await expect(tab.replies).to_contain_text(BEGINNING + END)
    await expect(tab.button("Send")).to_be_visible()
    await expect(tab.message).to_have_value("")


async def test_the_next_prompt_follows_the_reply(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    await tab.ask("first")
    await expect(tab.replies).to_contain_text("tokens")  # it has ended
    await tab.ask("second")

    await expect(tab.replies).to_have_count(2)
    await expect(tab.replies.last).to_contain_text("second")


async def test_stop_ends_the_reply_and_retry_asks_again(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_have_text(BEGINNING)

    await tab.button("Stop").click()
    await expect(tab.replies).to_contain_text("Stopped.")
    await expect(tab.replies).to_contain_text(BEGINNING)
    gate.open()
    await tab.button("Retry").click()

    await expect(tab.replies).to_contain_text(BEGINNING + END)
    await expect(tab.replies).to_have_count(1)
    await expect(tab.replies).to_contain_text("2 / 2")


async def test_a_reload_in_the_middle_goes_on_and_the_text_is_whole(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_have_text(BEGINNING)

    await tab.page.reload()

    await expect(tab.replies).to_have_text(BEGINNING)
    await expect(tab.button("Stop")).to_be_visible()
    gate.open()
    await expect(tab.replies).to_contain_text(BEGINNING + END)


async def test_a_killed_server_ends_the_reply_honestly_and_retry_works(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_have_text(BEGINNING)

    await server.kill()
    await expect(tab.status).to_contain_text("Connection lost")
    await server.start()

    await expect(tab.replies).to_contain_text("Interrupted")
    await expect(tab.replies).to_contain_text(BEGINNING)
    gate.open()
    await tab.button("Retry").click()
    await expect(tab.replies).to_contain_text(BEGINNING + END)
    await expect(tab.status).to_have_text("Connected")


async def test_an_idle_page_comes_back_by_itself_and_has_missed_nothing(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await expect(tab.status).to_have_text("Connected")
    assert await server.stop() == 0
    await expect(tab.status).to_contain_text("Connection lost")

    await server.start()
    await server.post("/send-message", {"message": "said before the page was back"})

    await expect(tab.broadcast).to_contain_text("said before the page was back")
    await expect(tab.status).to_have_text("Connected")


async def test_a_prompt_that_is_sent_while_the_server_restarts_is_asked_once(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await server.kill()

    await tab.ask("Are you there?")
    await server.start()

    await expect(tab.replies).to_contain_text("Are you there?")
    titles = [one["title"] for one in (await server.get("/conversations")).json()["conversations"]]
    assert titles.count("Are you there?") == 1


async def test_two_tabs_show_the_same_and_either_may_stop_it(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    one = await open_tab(server)
    await one.ask(gate)
    await expect(one.replies).to_have_text(BEGINNING)

    two = await open_tab(server, one.page.url.removeprefix(server.url))
    await expect(two.replies).to_have_text(BEGINNING)
    await two.button("Stop").click()

    await expect(one.replies).to_contain_text("Stopped.")
    assert await one.conversation.inner_text() == await two.conversation.inner_text()


async def test_the_channel_tells_who_joined_and_what_is_said_by_anybody(server: Server, open_tab: OpenTab) -> None:
    one = await open_tab(server)
    await expect(one.broadcast).to_contain_text("A new user joined!")
    two = await open_tab(server)
    await expect(two.broadcast).to_contain_text("A new user joined!")

    await one.say("Is the tea ready?")
    await expect(two.broadcast).to_contain_text("Is the tea ready?")
    await server.post("/send-message", {"message": "It is.\nCome."})

    await expect(one.broadcast.get_by_text("It is.\nCome.")).to_be_visible()
    await expect(two.broadcast.get_by_text("Come.")).to_be_visible()


async def test_what_is_hostile_is_shown_as_text(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    await tab.ask(HOSTILE)
    await tab.say(HOSTILE)

    await expect(tab.replies).to_contain_text(SHOWN)
    await expect(tab.conversation.get_by_role("article", name="You")).to_contain_text(HOSTILE)
    await expect(tab.broadcast).to_contain_text(HOSTILE)
    assert await tab.page.locator("img, script:not([src])").count() == 0
    assert await tab.page.evaluate("() => window.owned") is None


async def test_enter_sends_but_not_with_shift_and_not_while_a_word_is_composed(
    server: Server, open_tab: OpenTab
) -> None:
    tab = await open_tab(server)

    await tab.message.fill("one")
    await tab.message.press("Shift+Enter")
    await tab.message.press_sequentially("two")
    await tab.message.dispatch_event("keydown", {"key": "Enter", "isComposing": True})
    await tab.message.dispatch_event("keydown", {"key": "Enter", "keyCode": 229})
    await tab.message.press_sequentially(", three")
    await tab.message.press("Enter")

    await expect(tab.replies.last).to_contain_text("one\ntwo, three")
    await expect(tab.replies).to_have_count(1)


async def test_a_small_phone_has_all_of_it(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, viewport={"width": 320, "height": 568})

    await tab.ask("W" * 200)
    await expect(tab.replies).to_contain_text("W" * 200)
    wide = await tab.page.evaluate("() => document.documentElement.scrollWidth")
    await expect(tab.broadcast).to_be_hidden()
    await tab.button("Everybody").click()
    await tab.say("from a phone")

    assert wide == 320
    for name in ("New chat", "Everybody", "Say"):
        box = await tab.button(name).bounding_box()
        assert box
        assert box["x"] + box["width"] <= 320
    await expect(tab.broadcast).to_contain_text("from a phone")


async def test_a_new_chat_begins_anew_and_back_leads_back(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.ask("the first one")
    await expect(tab.replies).to_contain_text("the first one")

    await tab.button("New chat").click()
    await expect(tab.replies).to_have_count(0)
    await tab.ask("the second one")
    await expect(tab.replies).to_have_text(re.compile("the second one"))
    await tab.page.go_back()
    await tab.page.go_back()

    await expect(tab.replies).to_have_text(re.compile("the first one"))


async def test_a_conversation_that_is_deleted_says_so(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("for a moment")
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("for a moment")

    await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")

    await expect(tab.conversation).to_contain_text("does not exist, or was deleted")


async def test_what_a_snapshot_leaves_out_can_be_read(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("number 0")
    path = f"/conversations/{asked['conversation']['id']}"
    for number in range(1, 30):
        await server.ended(await server.ask(f"number {number}", path + "/messages", if_running="queue"))
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies.last).to_contain_text("number 29")
    assert await tab.replies.count() < 30

    await tab.conversation.press("Home")  # what is near the top is read by itself

    await expect(tab.replies).to_have_count(30)
    await expect(tab.replies.first).to_contain_text("number 0")


async def test_the_page_of_the_api_shows_the_calls(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, "/schema")

    await expect(tab.page.get_by_text("/send-message").first).to_be_visible()
