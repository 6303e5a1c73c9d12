"""Conversations as a test needs them, and what of them a person points at."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Locator

from tests.browser.tab import Tab
from tests.support.server import Server

AT = "2026-01-01T00:00:00Z"
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
GAP = "(log) => log.scrollHeight - log.scrollTop - log.clientHeight"


def questions(tab: Tab) -> Locator:
    return tab.conversation.get_by_role("article", name="You")


async def edit(tab: Tab, question: Locator, prompt: str) -> None:
    await question.hover()
    await question.get_by_role("button", name="Edit", exact=True).click()
    field = tab.page.get_by_role("textbox", name="Edit your message")
    await field.fill(prompt)
    await field.press("Enter")


async def imported(server: Server, pairs: int, text: str = "", subject: str = "question") -> str:
    """Store a conversation of questions and replies, and return its address on the page."""
    messages: list[dict[str, Any]] = []
    for number in range(pairs):
        parent = messages[-1]["id"] if messages else None
        both = {"status": "completed", "created_at": AT}
        asked, told = f"{subject} {number}.", f"reply {number}. {text}"
        messages.append(
            both | {"id": f"q{number}", "role": "user", "parent": parent, "text": asked}
            | {"parts": [{"type": "text", "text": asked}]}
        )  # fmt: skip
        messages.append(
            both | {"id": f"r{number}", "role": "assistant", "parent": f"q{number}", "text": told}
            | {"parts": [{"type": "text", "text": told}], "responder": "mock", "finish_reason": "stop"}
            | {"started_at": AT, "first_token_at": AT, "ended_at": AT, "error": None, "usage": USAGE}
        )  # fmt: skip
    answer = await server.post("/conversations/import", {"conversation": {"title": "Long"}, "messages": messages})
    assert answer.status_code == 201, answer.text
    return f"/#{answer.json()['conversation']['id']}"


async def until(tab: Tab, condition: str, argument: object = None) -> None:
    """Wait until something is so of the conversation's element, `log`."""
    await tab.page.wait_for_function(
        f"(argument) => {{ const log = document.querySelector('.thread'); return {condition}; }}", arg=argument
    )
