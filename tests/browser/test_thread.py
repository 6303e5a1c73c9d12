"""What is shown and told of messages and replies, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.browser.talks import questions
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def test_copy_gives_the_source(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, permissions=["clipboard-read", "clipboard-write"])
    await tab.ask("Some *emphasis*  \n\n1. and `code`")
    await expect(tab.replies).to_contain_text("tokens")

    await tab.replies.get_by_role("button", name="Copy", exact=True).click()

    await expect(tab.page.locator("[aria-live=polite]", has_text="Copied")).to_have_count(1)
    assert await tab.page.evaluate("navigator.clipboard.readText()") == "Some *emphasis*  \n\n1. and `code`"


async def test_copy_works_where_there_is_no_clipboard_to_write_to(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, permissions=["clipboard-read", "clipboard-write"])
    await tab.page.evaluate("navigator.clipboard.writeText = undefined")
    await tab.ask("by selection")
    await expect(tab.replies).to_contain_text("tokens")
    await questions(tab).hover()

    await questions(tab).get_by_role("button", name="Copy", exact=True).click()

    await expect(tab.page.locator("[aria-live=polite]", has_text="Copied")).to_have_count(1)
    assert await tab.page.evaluate("navigator.clipboard.readText()") == "by selection"
    await expect(questions(tab).get_by_role("button", name="Copy", exact=True)).to_be_focused()


async def test_details_tell_times_and_tokens_on_demand(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("How fast?", responder="mock", options={"tokens": 40, "tokens_per_second": 500})
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    rate = tab.replies.get_by_text("Tokens per second")
    await expect(rate).to_be_hidden()

    await tab.replies.get_by_text("Details").click()

    await expect(rate).to_be_visible()
    for fact in (r"Responder ?mock", r"Written ?40 tokens", r"Time to first token ?\d+ ms", r"Time in all", "stop"):
        await expect(tab.replies).to_contain_text(re.compile(fact))


async def test_thoughts_and_tools_are_folded_and_laid_out(server: Server, open_tab: OpenTab) -> None:
    options = {"tokens": 5, "tokens_per_second": 1000, "reasoning_tokens": 12, "tool_call": True}
    asked = await server.ask("Think first", responder="mock", options=options)
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    thoughts, call = tab.replies.get_by_text("Thoughts"), tab.replies.get_by_text("Calls")
    await expect(tab.replies).to_contain_text("tokens")
    await expect(tab.replies.locator("pre").first).to_be_hidden()

    await thoughts.click()
    await call.click()

    await expect(tab.replies.locator("details[open] .text")).to_be_visible()
    await expect(tab.replies.locator("details[open] pre")).to_have_text(re.compile(r"^\{\n  \"", re.MULTILINE))


async def test_thoughts_say_while_they_are_being_written(server: Server, open_tab: OpenTab) -> None:
    options = {"tokens_per_second": 0.5, "first_token_delay": 0, "reasoning_tokens": 500}
    asked = await server.ask("Think long", responder="mock", options=options)
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")

    running = tab.replies.get_by_role("img", name="being written")

    await expect(running).to_be_visible()
    await tab.button("Stop").click()
    await expect(running).to_have_count(0)


async def test_a_failure_is_told_in_the_server_s_words(server: Server, open_tab: OpenTab) -> None:
    options = {"tokens_per_second": 1000, "fail_after": 3}
    asked = await server.ask("Fail", responder="mock", options=options)
    ended = await server.ended(asked)

    tab = await open_tab(server, f"/#{asked['conversation']['id']}")

    await expect(tab.replies).to_contain_text(f"Failed: {ended['error']['message']}")
    await expect(tab.button("Retry")).to_be_visible()


async def test_a_reply_that_waits_for_another_says_so(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    asked = await server.ask(str(gate))
    path = f"/conversations/{asked['conversation']['id']}/messages"
    await server.ask("and then", path, if_running="queue")

    tab = await open_tab(server, f"/#{asked['conversation']['id']}")

    await expect(tab.replies.last).to_contain_text("Waits for the reply before it to end.")
    gate.open()
    await expect(tab.replies.last).to_contain_text("and then")


async def test_what_is_long_is_folded_and_instructions_too(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("line\n" * 40 + "last line", system="Be brief.")
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("tokens")
    text = questions(tab).locator(".text")
    folded = (await text.bounding_box() or {})["height"]

    await tab.button("Show all").click()

    await expect(tab.button("Show less")).to_have_attribute("aria-expanded", "true")
    assert folded * 2 < (await text.bounding_box() or {})["height"]
    await expect(tab.page.get_by_text("Be brief.")).to_be_hidden()
    await tab.page.get_by_text("Instructions").click()
    await expect(tab.page.get_by_text("Be brief.")).to_be_visible()


async def test_who_listens_is_told_of_beginnings_and_endings_only(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    await tab.page.evaluate(
        """() => {
          window.told = [];
          const line = document.querySelector('main [aria-live=polite].unseen');
          new MutationObserver(() => window.told.push(line.textContent.trim())).observe(line, {
            childList: true, characterData: true, subtree: true,
          });
        }"""
    )

    await tab.ask(gate)
    await expect(tab.replies).to_have_text(BEGINNING)
    gate.open()
    await expect(tab.replies).to_contain_text("tokens")
    await tab.page.wait_for_function("window.told.length > 1")

    assert await tab.page.evaluate("window.told") == ["Reply started", f"Reply finished: {BEGINNING}{END}"]


async def test_a_conversation_that_is_gone_leads_on(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, "/#nothing")
    await expect(tab.conversation).to_contain_text("does not exist, or was deleted")
    tab.complaints = [told for told in tab.complaints if "404" not in told]

    await tab.page.get_by_role("link", name="Begin a new one").click()

    await expect(tab.conversation).to_contain_text("Ask something.")
