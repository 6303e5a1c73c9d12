"""What a model writes, as a person meets it: Markdown that is whole at any moment, and that can do nothing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from tests.browser.tab import Tab
from tests.browser.tale import PAUSE, Gate
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]
HOSTILE = json.loads(Path(__file__).with_name("hostile.json").read_text())
CARET = ".markdown.caret, .markdown .caret"
TRIPWIRE = """
    for (const name of ['alert', 'confirm', 'prompt', 'open', 'print']) window[name] = () => (window.owned = name);
    document.addEventListener('securitypolicyviolation', (event) => (window.owned = event.violatedDirective));
    new MutationObserver(() => {
      const loads = 'img, iframe, script, style, svg, math, form, object, embed, meta, link, base';
      if (document.querySelector(`.markdown :is(${loads})`)) window.owned = 'an element';
    }).observe(document, { childList: true, subtree: true });
"""
FOREIGN = """(root) => {
    const name = /^(on|style|id$|name$|src|data-|action|form)/;
    const address = /^\\s*(javascript|data|vbscript):/i;
    const all = [...root.querySelectorAll('*')].flatMap((element) => [...element.attributes]);
    return all.filter((one) => name.test(one.name) || address.test(one.value)).map((one) => one.name);
}"""
CODE = 'def tell(log):\n    """Say it."""\n    return f"<{log}>"  # all\n\n\tx = 1'


async def shown(tab: Tab, text: str, server: Server) -> Locator:
    """Show a reply that has ended."""
    asked = await server.ask(text)
    await server.ended(asked)
    await tab.page.goto(f"{server.url}/#{asked['conversation']['id']}")
    reply = tab.replies.last.locator(".markdown")
    await expect(reply).not_to_be_empty()
    return reply


async def begun(tab: Tab, gate: Gate, text: str) -> Locator:
    """Ask for a reply that waits where `PAUSE` is."""
    await tab.ask(f"{gate}\n{text}")
    return tab.replies.last.locator(".markdown")


async def test_a_reply_is_shown_as_markdown(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    reply = await shown(
        tab,
        "# Title\n\nSome **bold**, *italic* and `code`.\n\n- [x] done\n- [ ] to do\n\n> quoted\n\n"
        "| a | b |\n|:--|--:|\n| 1 | **2** |\n\n1. one\n2. two\n",
        server,
    )

    await expect(reply.get_by_role("heading", name="Title", level=3)).to_be_visible()
    await expect(reply.locator("strong", has_text="bold")).to_be_visible()
    await expect(reply.get_by_role("checkbox", name="Done")).to_be_checked()
    await expect(reply.get_by_role("checkbox", name="To do")).to_be_disabled()
    await expect(reply.get_by_role("cell", name="2")).to_have_css("text-align", "right")
    await expect(reply.get_by_role("group", name="Table")).to_have_attribute("tabindex", "0")
    await expect(reply.get_by_role("blockquote")).to_have_text("quoted")
    await expect(reply.locator("ol > li")).to_have_text(["one", "two"])


async def test_links_open_elsewhere_and_images_are_links(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    reply = await shown(tab, "[a](https://a.example) ![b](https://b.example/i.png) [c](/schema) d@d.example", server)

    links = reply.get_by_role("link")
    await expect(links).to_have_text(["a", "b", "d@d.example"])
    for link in await links.all():
        await expect(link).to_have_attribute("target", "_blank")
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(reply.get_by_role("img")).to_have_count(0)


async def test_code_is_copied_as_it_is_and_coloured(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, permissions=["clipboard-read", "clipboard-write"])
    reply = await shown(tab, f"Look:\n\n```python\n{CODE}\n```\n", server)
    await expect(reply.locator(".code-language")).to_have_text("python")
    await expect(reply.locator(".hljs-keyword", has_text="def")).to_be_visible()

    await reply.get_by_role("button", name="Copy code").click()

    await expect(reply.locator("[aria-live=polite]")).to_have_text("Copied")
    assert await tab.page.evaluate("navigator.clipboard.readText()") == CODE
    assert await reply.locator("code").text_content() == CODE


async def test_without_a_clipboard_the_code_is_copied_as_by_hand(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    reply = await shown(tab, f"```\n{CODE}\n```", server)
    await tab.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")

    await reply.get_by_role("button", name="Copy code").click()

    await expect(reply.locator("[aria-live=polite]")).not_to_be_empty()
    assert await tab.page.evaluate("getSelection().toString()") == CODE


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        (f"It is **bol{PAUSE}d** now", "strong"),
        (f"It is `cod{PAUSE}e` now", "code"),
        (f"```python\nx = 1{PAUSE}\n```", "pre code"),
        (f"| a | b{PAUSE} |\n|---|---|\n| c | d |", "th"),
        (f"See [the link](https://exa{PAUSE}mple.com)", "p"),
    ],
)
async def test_what_is_half_written_looks_as_it_will(
    server: Server, open_tab: OpenTab, gate: Gate, text: str, selector: str
) -> None:
    tab = await open_tab(server)

    reply = await begun(tab, gate, text)

    await expect(reply.locator(selector).last).to_be_visible()
    await expect(tab.page.locator(CARET)).to_have_count(1)
    assert not {"*", "`", "|", "[", "]"} & set(await reply.text_content() or "")
    gate.open()
    await expect(tab.page.locator(CARET)).to_have_count(0)


async def test_what_is_finished_stays_the_same_node_while_more_comes(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    reply = await begun(tab, gate, f"The *first* one.\n\nThe second{PAUSE}, which goes on.\n\n- and\n- more\n")
    await expect(reply).to_contain_text("The second")
    await tab.page.evaluate(
        "first = document.querySelector('.markdown p'); getSelection().selectAllChildren(first.querySelector('em'))"
    )

    gate.open()

    await expect(reply.locator("li").last).to_have_text("more")
    assert await tab.page.evaluate("first.isConnected && getSelection().toString()") == "first"


async def test_a_wide_table_and_long_code_scroll_and_the_page_does_not(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, viewport={"width": 320, "height": 568})

    await shown(
        tab,
        "|" + " column |" * 30 + "\n|" + "---|" * 30 + f"\n\n```\n{'x' * 400}\n```\n\n{'W' * 300}\n\n`{'c' * 300}`",
        server,
    )

    assert await tab.page.evaluate("document.documentElement.scrollWidth") == 320
    for selector in (".scrolls", "pre"):
        assert await tab.page.locator(selector).evaluate("(box) => box.scrollWidth > box.clientWidth")


async def test_text_from_right_to_left_is_set_so(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)

    reply = await shown(tab, "שלום עולם\n\n- אחת\n\n```\ncode\n```\n\nleft", server)

    for selector, direction in (("p >> nth=0", "rtl"), ("ul", "rtl"), ("pre", "ltr"), ("p >> nth=1", "ltr")):
        await expect(reply.locator(selector)).to_have_css("direction", direction)


async def test_nothing_that_is_hostile_does_anything(server: Server, open_tab: OpenTab, gate: Gate) -> None:
    tab = await open_tab(server)
    dialogs: list[str] = []
    tab.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await tab.page.evaluate(TRIPWIRE)
    half = len(HOSTILE) // 2
    text = "\n\n".join(HOSTILE[:half]) + PAUSE + "\n\n" + "\n\n".join(HOSTILE[half:])

    reply = await begun(tab, gate, text.replace("\0", ""))
    await expect(reply.locator("p").first).to_be_visible()
    gate.open()
    await expect(tab.page.locator(CARET)).to_have_count(0)
    for index, one in enumerate(await reply.get_by_role("link").all()):
        if index % 5 == 0:
            await one.hover()

    assert await reply.evaluate(FOREIGN) == []
    assert await tab.page.evaluate("() => window.owned") is None
    assert dialogs == []


async def test_hostile_texts_one_by_one_do_nothing(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.page.evaluate(TRIPWIRE)
    asked = await server.ask("Let us begin")
    path = f"/conversations/{asked['conversation']['id']}"
    for number in range(12):
        part = HOSTILE[number::12]
        await server.ended(
            await server.ask("\n\n---\n\n".join(part).replace("\0", ""), f"{path}/messages", if_running="queue")
        )

    await tab.page.goto(f"{server.url}/#{asked['conversation']['id']}")
    await expect(tab.replies.last.locator(".markdown")).not_to_be_empty()

    for reply in await tab.page.locator(".markdown").all():
        assert await reply.evaluate(FOREIGN) == []
    assert await tab.page.evaluate("() => window.owned") is None
