"""Takes the picture of the page that the README shows: `python -m docs.picture` writes docs/page.png."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright, expect

from tests.browser import chromium
from tests.browser.tab import Tab
from tests.support.server import Server

PICTURE = Path(__file__).with_name("page.png")
SIZE = {"width": 1100, "height": 660}
PROMPT = "Write me a letter from the island"  # the mock takes its seed from it, so the letter is always the same
LAST_WORD = "Every good"


async def main() -> None:
    """Ask the mock, let two others come and talk, and take the picture while the reply is written."""
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder)) as server, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
            page = await browser.new_page(viewport=SIZE, color_scheme="light")
            tab = Tab(page, server.url)
            await page.goto(server.url)
            await expect(tab.status).to_have_text("Connected")
            async with await server.listen("/events"), await server.listen("/events"):
                await server.post("/send-message", {"message": "The tea is ready."})
                await server.post("/send-message", {"message": "On my way. Is the ferry in yet?"})
                await expect(tab.broadcast).to_contain_text("On my way")
                await tab.ask(PROMPT)
                await expect(tab.replies).to_contain_text(LAST_WORD)
                await page.screenshot(path=PICTURE, animations="disabled")
            await browser.close()
    tab.check()


if __name__ == "__main__":
    asyncio.run(main())
