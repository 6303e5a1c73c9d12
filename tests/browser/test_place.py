"""Where the reader of a conversation is, and stays, in a real browser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.talks import GAP, imported, until
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def test_the_end_is_followed_until_the_reader_scrolls_up(server: Server, open_tab: OpenTab) -> None:
    options = {"tokens": 20_000, "tokens_per_second": 400, "first_token_delay": 0}
    asked = await server.ask("Write much", responder="mock", options=options)
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await until(tab, "log.scrollHeight > 2 * log.clientHeight")
    await until(tab, f"({GAP})(log) < 2")
    await expect(tab.button("Jump to latest")).to_have_count(0)

    await tab.conversation.hover()
    await tab.page.mouse.wheel(0, -60)
    await expect(tab.button("Jump to latest")).to_be_visible()
    top, height = await tab.conversation.evaluate("(log) => [log.scrollTop, log.scrollHeight]")
    await until(tab, "log.scrollHeight > argument + 400", height)
    assert await tab.conversation.evaluate("(log) => log.scrollTop") == top
    await tab.button("Jump to latest").click()

    await until(tab, f"({GAP})(log) < 2")
    await expect(tab.conversation).to_be_focused()
    await press_and_rest(tab, "PageUp")
    await expect(tab.button("Jump to latest")).to_be_visible()
    await tab.conversation.press("End")
    await expect(tab.button("Jump to latest")).to_have_count(0)
    await until(tab, "log.scrollHeight > argument + 1200", height)
    await until(tab, f"({GAP})(log) < 2")
    await tab.button("Stop").click()
    await expect(tab.replies).to_contain_text("Stopped.")
    await until(tab, f"({GAP})(log) < 2")


async def press_and_rest(tab: Tab, key: str) -> None:
    """Press a key that scrolls up, and wait until that scroll has ended: no other ends above where it began."""
    await tab.conversation.evaluate(
        """(log) => {
            log.rests = false;
            log.onkeydown = () => (log.began = log.scrollTop);
            log.onscrollend = () => (log.rests = log.scrollTop < log.began);
        }"""
    )
    await tab.conversation.press(key)
    await until(tab, "log.rests")


async def test_a_key_that_scrolls_up_lets_go_however_fast_text_comes(server: Server, open_tab: OpenTab) -> None:
    options = {"tokens": 20_000, "tokens_per_second": 400, "first_token_delay": 0}
    asked = await server.ask("Write much", responder="mock", options=options)
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await until(tab, "log.scrollHeight > 2 * log.clientHeight")
    for key in ["ArrowUp", "PageUp", "Shift+Space", "ArrowUp", "Home", "ArrowUp", "ArrowUp", "ArrowUp"]:
        await until(tab, f"({GAP})(log) < 2")
        await press_and_rest(tab, key)
        await tab.button("Jump to latest").click()
        await expect(tab.button("Jump to latest")).to_have_count(0)

    await until(tab, f"({GAP})(log) < 2")
    await tab.button("Stop").click()


async def test_a_slow_finger_lets_go_however_fast_text_comes(server: Server, open_tab: OpenTab) -> None:
    options = {"tokens": 20_000, "tokens_per_second": 400, "first_token_delay": 0}
    asked = await server.ask("Write much", responder="mock", options=options)
    phone: dict[str, Any] = {"has_touch": True, "is_mobile": True, "viewport": {"width": 390, "height": 800}}
    tab = await open_tab(server, f"/#{asked['conversation']['id']}", **phone)
    await until(tab, "log.scrollHeight > 2 * log.clientHeight")
    await until(tab, f"({GAP})(log) < 2")
    touches = await tab.page.context.new_cdp_session(tab.page)

    async def touch(type: str, *points: dict[str, int]) -> None:
        await touches.send("Input.dispatchTouchEvent", {"type": type, "touchPoints": points})
        await tab.page.evaluate("() => new Promise(requestAnimationFrame)")

    await touch("touchStart", {"x": 200, "y": 300})
    for y in range(302, 362, 2):
        await touch("touchMove", {"x": 200, "y": y})
    await expect(tab.button("Jump to latest")).to_be_visible()
    await touch("touchEnd")

    top = await tab.conversation.evaluate("(log) => log.scrollTop")
    await until(tab, f"({GAP})(log) > 400")
    assert await tab.conversation.evaluate("(log) => log.scrollTop") == top
    await tab.button("Stop").click()


async def test_what_is_sent_is_shown_wherever_the_reader_was(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, await imported(server, 20, "word " * 100))
    await expect(tab.replies.last).to_contain_text("reply 19.")
    await until(tab, f"({GAP})(log) < 2")
    await press_and_rest(tab, "Home")
    await expect(tab.button("Jump to latest")).to_be_visible()

    await tab.ask("And now?")

    await expect(tab.replies.last).to_contain_text("And now?")
    await until(tab, f"({GAP})(log) < 2")


async def test_earlier_messages_come_by_themselves_and_nothing_moves(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, await imported(server, 120, "word " * 60))
    await expect(tab.replies.last).to_contain_text("reply 119.")
    await expect(tab.replies).to_have_count(25)
    await until(tab, f"({GAP})(log) < 2")
    seen = tab.conversation.get_by_text("question 95.", exact=True)

    await seen.scroll_into_view_if_needed()
    before = await seen.bounding_box()
    await expect(tab.conversation.get_by_text("question 94.", exact=True)).to_have_count(1)
    after = await seen.bounding_box()

    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2
    await expect(tab.replies).to_have_count(50)


async def test_earlier_messages_that_cannot_be_read_are_read_by_the_button(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, await imported(server, 60, "word " * 60))
    await expect(tab.replies.last).to_contain_text("reply 59.")
    await until(tab, f"({GAP})(log) < 2")
    refusal = {"status": 429, "content_type": "application/problem+json", "body": '{"detail": "Too many of these."}'}
    await tab.page.route("**/messages?*", lambda route: route.fulfill(**refusal))

    await tab.conversation.press("Home")
    await expect(tab.conversation.get_by_role("alert")).to_contain_text("Too many of these.")
    await tab.page.unroute("**/messages?*")
    await tab.button("Show earlier messages").press("Enter")

    await expect(tab.replies.first).to_be_attached()
    await expect(tab.replies).not_to_have_count(25)
    await expect(tab.conversation.get_by_role("alert")).to_have_count(0)
    tab.complaints = [told for told in tab.complaints if "429" not in told]


async def test_a_conversation_is_opened_at_its_end_wherever_another_was_scrolled_to(
    server: Server, open_tab: OpenTab
) -> None:
    one, two = await imported(server, 3, "word " * 200), await imported(server, 2, "word " * 300)
    tab = await open_tab(server, one)
    for path, last in [(one, 2), (two, 1)] * 5:
        await tab.page.locator(f'a[href="{path[1:]}"]').click()
        await expect(tab.replies.last).to_contain_text(f"reply {last}.")
        await tab.page.evaluate("() => new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))")

        await until(tab, f"({GAP})(log) < 2")
        await expect(tab.button("Jump to latest")).to_have_count(0)


async def test_a_conversation_is_opened_again_where_it_was_left(server: Server, open_tab: OpenTab) -> None:
    one, two = await imported(server, 20, "word " * 100), await imported(server, 1)
    tab = await open_tab(server, one)
    await expect(tab.replies.last).to_contain_text("reply 19.")
    await until(tab, f"({GAP})(log) < 2")
    place = tab.conversation.get_by_text("question 12.", exact=True)
    await place.scroll_into_view_if_needed()
    await expect(tab.button("Jump to latest")).to_be_visible()
    before = await place.bounding_box()

    await tab.page.evaluate("(hash) => (location.hash = hash)", two[1:])
    await expect(tab.replies).to_have_count(1)
    await tab.page.evaluate("(hash) => (location.hash = hash)", one[1:])
    await expect(tab.replies).to_have_count(20)

    await expect(place).to_be_in_viewport()
    after = await place.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2


async def test_a_version_takes_the_place_of_the_other(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("word\n\n" * 60)
    path = f"/conversations/{asked['conversation']['id']}"
    await server.ended(asked)
    short = {"responder": "mock", "options": {"tokens": 5, "tokens_per_second": 1000}}
    await server.post(f"{path}/replies/{asked['reply']['id']}/retry", short)
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("2 / 2")
    await expect(tab.replies).to_contain_text("tokens")
    await until(tab, f"({GAP})(log) < 2")
    previous = tab.button("Previous version")
    before = await previous.bounding_box()

    await previous.click()

    await expect(tab.replies).to_contain_text("1 / 2")
    after = await previous.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2


async def test_what_the_reader_opens_at_the_end_stays_under_the_hand(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, await imported(server, 20, "word " * 100))
    await expect(tab.replies.last).to_contain_text("reply 19.")
    await until(tab, f"({GAP})(log) < 2")
    details = tab.replies.last.get_by_text("Details")
    before = await details.bounding_box()

    await details.click()

    await expect(tab.replies.last.get_by_text("Time in all")).to_be_visible()
    await expect(tab.button("Jump to latest")).to_be_visible()
    after = await details.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2
