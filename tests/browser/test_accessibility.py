"""The page for everybody: axe-core finds nothing in any state or theme, and the keyboard alone does everything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]
AXE = (Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 320, "height": 568}}
MARKDOWN = """# A heading

Some *words* with `code` and a [link](https://example.org).

- [x] done
- [ ] to do

| a | b |
|---|---|
| 1 | 2 |

> Quoted

```python
def deliver(message):  # she knows the way
    return "corn", 42
```
"""


async def check(tab: Tab) -> None:
    """Assert that axe-core has no complaint about the page as it stands."""
    await tab.page.evaluate(AXE)
    found = await tab.page.evaluate(
        "(rules) => axe.run(document, { runOnly: rules, resultTypes: ['violations'] })", RULES
    )
    told = [(one["id"], node["target"], node["failureSummary"]) for one in found["violations"] for node in one["nodes"]]
    assert told == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(server: Server, open_tab: OpenTab, gate: Gate, scheme: str, size: str) -> None:
    tab = await open_tab(server, color_scheme=scheme, viewport=SIZES[size])
    await check(tab)

    await tab.ask(MARKDOWN)
    await expect(tab.replies.get_by_role("table")).to_be_visible()
    await expect(tab.button("Retry").first).to_be_attached()
    await check(tab)

    await tab.ask(gate)
    await expect(tab.replies.last).to_contain_text(BEGINNING)
    await check(tab)

    await tab.button("Stop").click()
    await expect(tab.replies.last).to_contain_text("Stopped")
    await tab.button("More").click()
    await check(tab)

    if size == "phone":
        await tab.page.keyboard.press("Escape")
        await tab.button("Conversations").click()
        await expect(tab.page.get_by_role("searchbox", name="Search conversations")).to_be_visible()
        await check(tab)
        await tab.page.keyboard.press("Escape")
        await tab.button("Everybody").click()
        await expect(tab.broadcast).to_be_visible()
        await check(tab)


async def focused(tab: Tab) -> dict[str, Any]:
    """Return what has the focus, by its name, and whether that can be seen."""
    found: dict[str, Any] = await tab.page.evaluate(
        """() => {
          const one = document.activeElement;
          const style = getComputedStyle(one);
          return {
            name: one.getAttribute('aria-label') ?? one.textContent.trim(),
            shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
          };
        }"""
    )
    return found


async def test_the_keyboard_alone_asks_stops_searches_and_begins_anew(
    server: Server, open_tab: OpenTab, gate: Gate
) -> None:
    tab = await open_tab(server)
    keyboard = tab.page.keyboard
    await expect(tab.message).to_be_focused()

    await keyboard.type(str(gate))
    await keyboard.press("Enter")
    await expect(tab.replies).to_contain_text(BEGINNING)
    await keyboard.press("Control+k")
    await keyboard.press("Escape")
    await keyboard.press("Escape")
    await expect(tab.page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
    await expect(tab.button("Stop")).to_be_visible()
    await tab.message.focus()
    await keyboard.press("Escape")
    await expect(tab.replies).to_contain_text("Stopped")

    gate.open()
    while (await focused(tab))["name"] != "Retry":
        await keyboard.press("Shift+Tab")
        assert (await focused(tab))["shown"], await focused(tab)
    await keyboard.press("Enter")
    await expect(tab.replies).to_contain_text(BEGINNING + END)

    await keyboard.press("Control+k")
    await expect(tab.page.get_by_role("searchbox", name="Search conversations")).to_be_focused()
    await keyboard.press("Control+Shift+O")
    await expect(tab.message).to_be_focused()
    await expect(tab.replies).to_have_count(0)


async def test_single_keys_are_commands_only_where_nobody_writes(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    await tab.message.press_sequentially("/?")
    await expect(tab.message).to_have_value("/?")

    await tab.conversation.focus()
    await tab.page.keyboard.press("?")
    await expect(tab.page.get_by_role("dialog", name="More")).to_be_visible()
    await tab.page.keyboard.press("Escape")
    await tab.conversation.focus()
    await tab.page.keyboard.press("/")

    await expect(tab.message).to_be_focused()
    await expect(tab.message).to_have_value("/?")


async def test_a_theme_is_kept_and_shown_in_every_tab(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server, color_scheme="light")
    other = await tab.page.context.new_page()
    await other.goto(server.url)
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = await tab.page.evaluate(paper)

    await tab.button("More").click()
    await tab.page.get_by_role("radio", name="Dark").check()

    assert await tab.page.evaluate(paper) != light
    await other.wait_for_function(f"(light) => ({paper})() !== light", arg=light)
    await tab.page.reload()
    assert await tab.page.evaluate(paper) != light
    assert await tab.page.evaluate("() => matchMedia('(prefers-color-scheme: light)').matches")
