"""A conversation taken along and brought back, and on paper, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]


async def saved(tab: Tab, button: str, folder: Path) -> Path:
    """Press a button of the menu, and return the file that comes."""
    await tab.button("Export").click()
    async with tab.page.expect_download() as coming:
        await tab.button(button).click()
    download = await coming.value
    await download.save_as(folder / download.suggested_filename)
    return folder / download.suggested_filename


async def test_the_shown_branch_is_a_markdown_file(server: Server, open_tab: OpenTab, tmp_path: Path) -> None:
    asked = await server.ask("What is *this*?", title="A title: of/sorts", system="Be brief.")
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies).to_contain_text("tokens")

    file = await saved(tab, "Export as Markdown", tmp_path)

    assert file.name == "A title of sorts.md"
    assert file.read_text("utf-8") == (
        "# A title: of/sorts\n\n## Instructions\n\nBe brief.\n\n## You\n\nWhat is *this*?\n\n"
        "## Reply by tale\n\nWhat is *this*?\n"
    )


async def test_all_branches_are_a_json_file_and_come_back(server: Server, open_tab: OpenTab, tmp_path: Path) -> None:
    asked = await server.ask("one")
    path = f"/conversations/{asked['conversation']['id']}"
    await server.ended(asked)
    await server.ended(await server.ask("another", path + "/messages", parent=None))
    for number in range(55):  # more than a page
        await server.ended(await server.ask(f"more {number}", path + "/messages"))
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies.last).to_contain_text("more 54")

    file = await saved(tab, "Export as JSON", tmp_path)

    exported = json.loads(file.read_text("utf-8"))
    assert exported["conversation"] == (await server.get(path)).json()["conversation"]
    texts = [message["text"] for message in exported["messages"]]
    assert texts == [text for text in ["one", "another", *(f"more {n}" for n in range(55))] for _ in "qr"]
    assert exported["messages"][0] == asked["message"]
    await tab.button("New chat").first.click()
    await tab.button("Import").click()
    await tab.page.get_by_label("Import a conversation").set_input_files(file)
    await expect(tab.replies.last).to_contain_text("more 54")
    assert asked["conversation"]["id"] not in tab.page.url
    await expect(tab.button("Import …")).to_be_hidden()


async def test_a_file_that_is_no_conversation_is_refused_in_words(
    server: Server, open_tab: OpenTab, tmp_path: Path
) -> None:
    tab = await open_tab(server)
    menu = tab.page.get_by_role("group", name="Export and import")
    await tab.button("Import").click()
    file = tmp_path / "file.json"

    file.write_text("{")
    await tab.page.get_by_label("Import a conversation").set_input_files(file)
    await expect(menu.get_by_role("alert")).to_have_text("This file is not JSON.")
    file.write_text('{"conversation": {"title": "x"}, "messages": 5}')
    await tab.page.get_by_label("Import a conversation").set_input_files(file)

    await expect(menu.get_by_role("alert")).to_contain_text("(messages)")
    tab.complaints = [told for told in tab.complaints if "422" not in told]


async def test_print_shows_the_whole_conversation_and_no_panels(server: Server, open_tab: OpenTab) -> None:
    asked = await server.ask("number 0")
    path = f"/conversations/{asked['conversation']['id']}/messages"
    await server.ended(asked)
    for number in range(1, 30):
        await server.ended(await server.ask(f"number {number}", path))
    tab = await open_tab(server, f"/#{asked['conversation']['id']}")
    await expect(tab.replies.last).to_contain_text("number 29")
    await tab.page.evaluate("window.print = () => (window.printed = true)")

    await tab.button("Export").click()
    await tab.button("Print").click()
    await tab.page.wait_for_function("window.printed")
    await tab.page.emulate_media(media="print", color_scheme="dark")

    await expect(tab.replies).to_have_count(30)
    await expect(tab.message).to_be_hidden()
    await expect(tab.broadcast).to_be_hidden()
    await expect(tab.page.get_by_role("banner")).to_be_hidden()
    room, high = await tab.conversation.evaluate("(log) => [log.clientHeight, log.scrollHeight]")
    assert room == high
    colours = "(one) => [getComputedStyle(one).color, getComputedStyle(document.body).backgroundColor]"
    assert await tab.replies.last.evaluate(colours) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
