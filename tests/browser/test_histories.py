"""Conversations that did not begin on the page: with images, tools, and replies that others wrote."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.browser.talks import AT, USAGE, edit, questions
from tests.support.server import Server

OpenTab = Callable[..., Awaitable[Tab]]
ELSEWHERE = "https://images.example/heron.png"


def png(size: int) -> str:
    """A grey square, as an address that holds it."""
    chunks = [
        (b"IHDR", size.to_bytes(4) * 2 + bytes([8, 0, 0, 0, 0])),
        (b"IDAT", zlib.compress(bytes(size * (size + 1)))),
    ]
    body = b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)
        for kind, data in [*chunks, (b"IEND", b"")]
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def message(id: str, role: str, parent: str | None, *parts: dict[str, str], **more: Any) -> dict[str, Any]:
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    return {"id": id, "role": role, "parent": parent, "parts": parts, "text": text, "status": "completed"} | {
        "created_at": AT,
        **more,
    }


def reply(id: str, parent: str, *parts: dict[str, str], **more: Any) -> dict[str, Any]:
    times = {"started_at": AT, "first_token_at": AT, "ended_at": AT, "usage": USAGE, "error": None}
    return message(id, "assistant", parent, *parts, **times, **{"responder": "echo", "finish_reason": "stop"} | more)


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


async def stored(server: Server, *messages: dict[str, Any]) -> str:
    """Store a conversation, and return its address on the page."""
    body = {"conversation": {"title": "Brought along"}, "messages": messages}
    answer = await server.post("/conversations/import", body)
    assert answer.status_code == 201, answer.text
    return f"/#{answer.json()['conversation']['id']}"


async def test_images_that_hold_themselves_are_shown_and_no_other_is_asked_for(
    server: Server, open_tab: OpenTab
) -> None:
    images = [png(40), ELSEWHERE, "javascript:alert(1)", "data:image/png;base64,broken"]
    parts = [{"type": "image", "url": url} for url in images]
    tab = await open_tab(
        server,
        await stored(server, message("q", "user", None, text("What is this?"), *parts), reply("r", "q", text("Grey."))),
    )

    pictures = questions(tab).get_by_role("img")
    await expect(pictures).to_have_count(1)  # the broken one is none
    await expect(pictures).to_have_js_property("naturalWidth", 40)
    link = questions(tab).get_by_role("link")
    await expect(link).to_have_attribute("href", ELSEWHERE)
    await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    await expect(link).to_have_attribute("target", "_blank")
    await expect(questions(tab)).to_contain_text("Image, not shown: javascript:alert(1)")
    await expect(questions(tab)).to_contain_text("Image, not shown: data:image/png;base64,broken")
    await expect(tab.button("Edit")).to_have_count(0)  # the images would be lost


async def test_what_tools_were_asked_and_answered_is_folded_and_the_branch_goes_on(
    server: Server, open_tab: OpenTab
) -> None:
    call = {"type": "tool_call", "call_id": "1", "name": "tides", "arguments": '{"where":"harbour"}'}
    lost = {"type": "tool_call", "call_id": "2", "name": "moon", "arguments": "{}"}
    tab = await open_tab(
        server,
        await stored(
            server,
            message("s", "system", None, text("Be brief.")),
            message("q", "user", "s", text("When is the tide?")),
            reply("r", "q", call, lost, finish_reason="tool_calls"),
            message("t", "tool", "r", {"type": "tool_result", "call_id": "1", "result": "<b>at six</b>"}),
            reply("r2", "t", text("At six."), responder="client"),
            message("t2", "tool", "r", {"type": "tool_result", "call_id": "1", "result": "at seven"}),
            reply("r3", "t2", text("At seven.")),
        ),
    )

    await expect(tab.replies).to_have_count(2)
    await expect(tab.replies.last).to_contain_text("At seven.")
    await expect(tab.conversation.get_by_text("Be brief.")).to_be_hidden()
    await tab.conversation.get_by_text("Instructions").click()
    await expect(tab.conversation.get_by_text("Be brief.")).to_be_visible()
    await expect(tab.replies.first).to_contain_text("Calls tides")
    await expect(tab.replies.first).to_contain_text("Calls moon")
    tool = tab.conversation.get_by_role("article", name="Tool")
    await tool.get_by_text("Result").click()
    await expect(tool.get_by_text("at seven")).to_be_visible()
    await expect(tool.get_by_role("button", name="Edit")).to_have_count(0)

    await tool.get_by_role("button", name="Previous version").click()
    await expect(tab.replies.last).to_contain_text("At six.")
    await tool.get_by_text("Result").click()
    await expect(tool.get_by_text("<b>at six</b>")).to_be_visible()
    await tab.replies.last.get_by_text("Details").click()
    await expect(tab.replies.last).to_contain_text("a client brought it")

    await tab.button("Retry").click()  # by whom, since nobody here wrote it
    await tab.page.get_by_role("group", name="Retry with").get_by_role("button", name="echo").click()
    await expect(tab.replies.last).to_contain_text("2 / 2")
    await expect(tab.replies.last).to_have_attribute("data-status", "completed")
    await tab.ask("And tomorrow?")
    await expect(tab.replies).to_have_count(3)
    await edit(tab, questions(tab).first, "When is the moon?")
    await expect(questions(tab).first).to_contain_text("2 / 2")
    await expect(tab.replies).to_have_count(1)
    await expect(tab.replies).to_have_attribute("data-status", "completed")
