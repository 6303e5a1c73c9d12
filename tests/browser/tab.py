"""The page as a person meets it: by the names of what can be pressed, written in and read."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator, Page, expect

PATIENCE = 15_000
expect.set_options(timeout=PATIENCE)


class Tab:
    """A page with what it has asked for and complained about."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def message(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message", exact=True)

    @property
    def conversation(self) -> Locator:
        return self.page.get_by_role("log", name="Conversation")

    @property
    def broadcast(self) -> Locator:
        return self.page.get_by_role("region", name="Broadcast")

    @property
    def replies(self) -> Locator:
        return self.conversation.get_by_role("article", name="Reply")

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status")

    async def ask(self, prompt: object) -> None:
        """Write a prompt and press Enter."""
        await self.message.fill(str(prompt))
        await self.message.press("Enter")

    async def say(self, text: str) -> None:
        """Say something to everybody."""
        await self.broadcast.get_by_role("textbox").fill(text)
        await self.broadcast.get_by_role("button", name="Say").click()

    def check(self) -> None:
        """Assert that nothing came from elsewhere and that nothing went wrong, a policy that refused included."""
        assert [url for url in self.requests if not url.startswith((self.origin + "/", "data:"))] == []
        assert self.complaints == []

    def _note(self, message: Any) -> None:
        lost = message.text.startswith("Failed to load resource: net::ERR_")  # a server that was killed
        if message.type in ("error", "warning") and not lost:
            self.complaints.append(message.text)
