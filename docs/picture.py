"""Takes the pictures of the page that the README shows: `python -m docs.picture` writes docs/page*.png."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, async_playwright, expect

from tests.browser import chromium
from tests.browser.tab import Tab
from tests.support.server import Server

FOLDER = Path(__file__).parent
WIDE, PHONE = {"width": 1240, "height": 740}, {"width": 390, "height": 780}
PICTURES: Mapping[str, dict[str, Any]] = {
    "page.png": {"viewport": WIDE, "color_scheme": "light"},
    "page-dark.png": {"viewport": WIDE, "color_scheme": "dark"},
    "page-phone.png": {"viewport": PHONE, "color_scheme": "light", "device_scale_factor": 2, "has_touch": True},
}
EARLIER = ["What do the gulls want?", "A timetable for the ferry", "Names for a lighthouse cat", "How to mend a net"]
PROMPT = "Write me a letter from the island"
OPTIONS = {"seed": 182, "tokens": 400, "tokens_per_second": 120, "first_token_delay": 0}


async def main() -> None:
    """Let the mock answer and two others talk, and take each picture while the reply is written."""
    with tempfile.TemporaryDirectory() as folder:
        async with Server(Path(folder)) as server, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
            for prompt in reversed(EARLIER):
                await server.ended(await server.ask(prompt, responder="echo"))
            async with await server.listen("/events"), await server.listen("/events"):
                for name, settings in PICTURES.items():
                    await take(browser, server, name, settings)
            await browser.close()


async def take(browser: Browser, server: Server, name: str, settings: dict[str, Any]) -> None:
    """Take one picture: the reply has just begun its first piece of code."""
    context = await browser.new_context(reduced_motion="reduce", **settings)
    tab = Tab(await context.new_page(), server.url)
    await tab.page.goto(server.url)
    await expect(tab.status).to_have_text("Connected")
    await server.post("/send-message", {"message": "The tea is ready."})
    await server.post("/send-message", {"message": "On my way. Is the ferry in yet?"})
    asked = await server.ask(PROMPT, responder="mock", options=OPTIONS)
    await tab.page.goto(f"{server.url}/#{asked['conversation']['id']}")
    await expect(tab.replies.locator("pre")).to_be_visible()
    await tab.page.screenshot(path=FOLDER / name, animations="disabled")
    tab.check()
    await server.client.delete(f"{server.url}/conversations/{asked['conversation']['id']}")
    await context.close()


if __name__ == "__main__":
    asyncio.run(main())
