"""Writing on the page: limits that are told in time, and who is asked, with which options."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Request, Route, expect

from tests.browser.conftest import RESPONDER
from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server that takes prompts of 100 bytes, and one at a time."""
    folder = tmp_path_factory.mktemp("small")
    async with Server(folder, responder=RESPONDER, max_prompt_bytes=100, max_running=1) as server:
        yield server


async def test_a_prompt_that_is_refused_for_now_stays_and_is_tried_again_as_it_is(
    small_server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(small_server)
    await tab.ask("Hello")
    await expect(tab.replies).to_contain_text("Hello")
    await expect(tab.button("Retry")).to_be_visible()
    running = await small_server.ask(f"{gate}")

    await tab.ask("Is it my turn?")
    await expect(_trouble(tab)).to_contain_text("Not sent: 1 replies are running, which is the limit.")
    await expect(tab.message).to_have_value("Is it my turn?")
    gate.open()
    await small_server.ended(running)
    await tab.button("Try again").click()

    await expect(tab.replies.last).to_contain_text("Is it my turn?")
    await expect(tab.message).to_be_focused()
    await expect(tab.message).to_have_value("")
    await expect(_trouble(tab)).to_have_count(0)
    _forgive(tab, 429)


async def test_who_writes_elsewhere_by_the_time_of_the_answer_goes_on_there(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()

    async def hold(route: Route) -> None:
        held.set_result(route)

    await tab.page.route("**/conversations", hold)
    await tab.ask("Hello")
    route = await held
    field = tab.broadcast.get_by_role("textbox")
    await field.focus()

    await route.continue_()

    await expect(tab.replies).to_contain_text("Hello")
    await expect(field).to_be_focused()


# While a reply runs


async def test_who_has_clicked_on_send_can_write_on(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    tab = await open_tab(server)
    await tab.ask("Hello")
    await expect(tab.replies).to_have_text(re.compile("Hello"))

    await tab.message.fill(f"{gate}")
    await tab.button("Send").click()

    await expect(tab.button("Stop")).to_be_visible()
    await expect(tab.message).to_be_focused()


async def test_a_prompt_that_is_sent_while_a_reply_runs_waits_for_it(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.ask(gate)
    await expect(tab.replies).to_have_text(re.compile(BEGINNING))

    await tab.message.fill("and then?")
    await expect(tab.button("Stop")).to_be_visible()
    await expect(tab.button("Send")).to_be_enabled()
    await tab.message.press("Enter")
    await expect(tab.message).to_have_value("")
    await expect(tab.replies).to_have_count(2)
    gate.open()

    await expect(tab.replies.first).to_contain_text(BEGINNING + END)
    await expect(tab.replies.last).to_contain_text("and then?")


# The field


async def test_the_field_grows_with_its_text_to_a_limit(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, viewport={"width": 800, "height": 600})
    height = "field => field.offsetHeight"
    one_line = await tab.message.evaluate(height)

    await tab.message.fill("a\nb\nc")
    three_lines = await tab.message.evaluate(height)
    await tab.message.fill("line\n" * 100)
    many_lines = await tab.message.evaluate(height)
    await tab.message.fill("")

    assert one_line < three_lines < many_lines < 300
    assert await tab.message.evaluate(height) == one_line


async def test_the_field_grows_where_the_browser_does_not_do_it(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.page.add_init_script("CSS.supports = () => false;")
    await tab.page.reload()
    await tab.page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.insertRule("textarea { field-sizing: fixed !important; }");
            document.adoptedStyleSheets = [sheet];
        }"""
    )
    height = "field => field.offsetHeight"
    await tab.message.fill("a")
    one_line = await tab.message.evaluate(height)

    await tab.message.fill("a\nb\nc")
    three_lines = await tab.message.evaluate(height)
    await tab.message.fill("a")

    assert one_line < three_lines
    assert await tab.message.evaluate(height) == one_line


async def test_a_long_word_does_not_push_the_button_out_of_a_narrow_page(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, viewport={"width": 320, "height": 568})

    await tab.message.fill("W" * 300)
    box = await tab.button("Send").bounding_box()

    assert box
    assert box["x"] + box["width"] <= 320


async def test_what_is_written_in_a_conversation_that_is_deleted_stays(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("soon gone")
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await tab.message.fill("a long thought")

    await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")

    await expect(tab.page.get_by_text("This conversation is gone.")).to_be_visible()
    await expect(tab.message).to_have_value("a long thought")
    await expect(tab.button("Send")).to_be_disabled()


async def test_on_a_touch_keyboard_enter_breaks_the_line_and_the_button_sends(
    server: Server, open_tab: OpenTab
) -> None:
    tab = await open_tab(server, has_touch=True, is_mobile=True, viewport={"width": 320, "height": 568})

    await tab.message.fill("one")
    await tab.message.press("Enter")
    await tab.message.press_sequentially("two")
    await expect(tab.message).to_have_value("one\ntwo")
    await tab.button("Send").tap()

    await expect(tab.replies).to_contain_text("one\ntwo")


async def test_the_limit_is_told_before_the_server_refuses(small_server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(small_server)

    await tab.message.fill("a" * 79)
    await expect(tab.button("Send")).to_be_enabled()
    await expect(tab.page.get_by_text("bytes left")).to_have_count(0)
    await tab.message.fill("é" * 45)
    await expect(tab.message).to_have_accessible_description("10 bytes left")
    await tab.message.fill("é" * 51)

    await expect(tab.page.get_by_text("2 bytes too long")).to_be_visible()
    await expect(tab.message).to_have_attribute("aria-invalid", "true")
    await expect(tab.message).to_have_accessible_description("A message holds 100 bytes at most.")
    await expect(tab.button("Send")).to_be_disabled()
    await tab.message.press("Enter")
    await tab.message.press("Backspace")
    await expect(tab.message).to_have_value("é" * 50)
    await expect(tab.button("Send")).to_be_enabled()


# Who is asked


async def test_a_responder_is_asked_with_the_options_that_differ(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await _choose(tab, "mock")

    await tab.page.get_by_label("tokens", exact=True).fill("3")
    await tab.page.get_by_label("first token delay").fill("0.2")
    await tab.page.get_by_label("tokens per second: null").check()
    await tab.page.get_by_label("tool call").check()
    await tab.button("Done").click()
    await expect(tab.message).to_be_focused()
    sent = await _sent(tab, "Write")

    options = {"tokens": 3, "tokens_per_second": None, "tool_call": True}
    assert sent == {"prompt": "Write", "responder": "mock", "options": options}
    await expect(tab.replies).to_have_count(1)
    await tab.page.reload()
    sent = await _sent(tab, "Write on")
    assert sent == {"prompt": "Write on", "responder": "mock", "options": options, "if_running": "queue"}


async def test_an_option_that_cannot_be_is_marked_and_nothing_is_sent(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.message.fill("Write")
    await _choose(tab, "mock")

    tokens = tab.page.get_by_label("tokens", exact=True)
    await tokens.fill("many")

    await expect(tokens).to_have_attribute("aria-invalid", "true")
    await expect(tokens).to_have_accessible_description(re.compile("This must be a whole number."))
    await tab.page.keyboard.press("Escape")
    await expect(tab.button("Send")).to_be_disabled()
    await tab.message.press("Enter")
    await expect(tokens).to_be_focused()
    await tokens.fill("5")
    await expect(tab.button("Send")).to_be_enabled()
    await tokens.press("Enter")
    await expect(tab.message).to_have_value("Write")
    await expect(tab.replies).to_have_count(0)


async def test_what_the_server_refuses_of_an_option_stands_beside_it(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    async def forget_limits(route: Route) -> None:
        answer = await route.fetch()
        await route.fulfill(response=answer, body=(await answer.text()).replace('"maximum":100000,', ""))

    await tab.page.route("**/responders", forget_limits)
    await _choose(tab, "mock")
    tokens = tab.page.get_by_label("tokens", exact=True)
    await tokens.fill("100001")
    await tab.page.keyboard.press("Escape")
    await tab.ask("Write")

    await expect(tokens).to_be_focused()
    await expect(tokens).to_have_accessible_description(re.compile("Expected `int` <= 100000"))
    await expect(tab.message).to_have_value("Write")
    await expect(_trouble(tab)).to_contain_text("Not sent, for the option tokens: Expected `int` <= 100000.")
    await tokens.fill("5")
    await expect(_trouble(tab)).to_have_count(0)
    _forgive(tab, 422)


async def test_a_responder_that_has_gone_gives_way_to_the_default(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.page.evaluate("() => localStorage.setItem('tickertape.responder.0', 'oracle')")

    await tab.page.reload()

    await expect(
        tab.page.get_by_text("The responder oracle is no longer there. The default one will answer.")
    ).to_be_visible()
    assert await _sent(tab, "Anybody?") == {"prompt": "Anybody?"}
    await expect(tab.replies).to_contain_text("Anybody?")


async def test_two_responders_are_asked_side_by_side(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await _choose(tab, "tale")
    await tab.page.get_by_label("Compare with").select_option("echo")
    await tab.page.keyboard.press("Escape")
    await expect(tab.button("Responder: tale + echo")).to_be_focused()

    await tab.ask("What is this?")
    await expect(tab.replies.last).to_contain_text("What is this?")

    await expect(tab.message).to_have_value("")
    found = (await server.get(f"/conversations/{tab.page.url.partition('#')[2]}/messages")).json()["messages"]
    assert sorted(one["responder"] for one in found if one["role"] == "assistant") == ["echo", "tale"]
    assert [one["parent"] for one in found if one["role"] == "user"] == [None, None]


async def test_a_new_chat_can_begin_with_instructions(small_server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(small_server)
    await tab.button("Responder: Default").click()
    instructions = tab.page.get_by_role("textbox", name="Instructions for this new chat")

    await instructions.fill("x" * 101)
    await expect(instructions).to_have_accessible_description("1 byte too long")
    await expect(tab.message).to_have_accessible_description("The instructions are too long.")
    await instructions.fill("Be brief.")
    await tab.page.keyboard.press("Escape")

    assert await _sent(tab, "Hello") == {"prompt": "Hello", "system": "Be brief."}
    await expect(tab.replies).to_contain_text("Hello")
    await tab.button("Responder: Default").click()
    await expect(tab.button("Done")).to_be_visible()
    await expect(instructions).to_have_count(0)


async def test_the_keyboard_alone_chooses_on_a_narrow_page(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, viewport={"width": 320, "height": 568})
    await expect(tab.message).to_be_focused()

    await tab.page.keyboard.press("Tab")
    await expect(tab.button("Responder: Default")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.page.get_by_role("radio", name="Default")).to_be_focused()
    await tab.page.keyboard.press("ArrowDown")
    box = await tab.page.get_by_role("dialog", name="Responder").bounding_box()
    await tab.page.keyboard.press("Escape")

    await expect(tab.button("Responder: echo")).to_be_focused()
    await tab.page.keyboard.press("Shift+Tab")
    await expect(tab.message).to_be_focused()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 320
    assert box["y"] >= 0
    assert await tab.page.evaluate("() => document.documentElement.scrollWidth") == 320


# Support


def _trouble(tab: Tab) -> Locator:
    return tab.page.get_by_role("alert")


def _forgive(tab: Tab, status: int) -> None:
    """Take out the browser's own complaint about an answer that was wanted."""
    wanted = f"the server responded with a status of {status}"
    tab.complaints[:] = [complaint for complaint in tab.complaints if wanted not in complaint]


async def _choose(tab: Tab, responder: str) -> None:
    await tab.page.get_by_role("button", name=re.compile("^Responder: ")).click()
    await tab.page.get_by_role("radio", name=re.compile(f"^{responder} ")).check()


async def _sent(tab: Tab, prompt: str) -> Any:
    """Ask, and return the body of the request that this was."""

    def is_question(request: Request) -> bool:
        return request.method == "POST" and "/conversations" in request.url

    async with tab.page.expect_request(is_question) as request:
        await tab.ask(prompt)
    return (await request.value).post_data_json
