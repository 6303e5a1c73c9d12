"""What comes by another door is on the page like anything else."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from playwright.async_api import expect

from tests.browser.tab import Tab
from tests.support.server import JSON, Server
from tests.support.sse import EventStream

OpenTab = Callable[..., Awaitable[Tab]]


async def test_a_chat_completion_appears_on_the_page_and_is_stopped_there(server: Server, open_tab: OpenTab) -> None:
    tab = await open_tab(server)
    body = {
        "model": "mock",
        "stream": True,
        "messages": [{"role": "user", "content": "Asked by another program"}],
        "options": {"tokens": 100_000, "tokens_per_second": 100, "first_token_delay": 0},
    }
    stream = await EventStream.open(
        server.url + "/v1/chat/completions", method="POST", headers=JSON, body=json.dumps(body).encode()
    )
    async with stream:
        listed = tab.page.get_by_role("list", name="Conversations").get_by_role("link", name="Asked by another program")
        await listed.first.click()
        await expect(tab.replies.first).to_be_visible()

        await tab.button("Stop").click()

        frames = await stream.rest()
    assert frames[-1].data == "[DONE]"
    assert json.loads(frames[-2].data)["choices"][0]["finish_reason"] == "stop"
    await expect(tab.button("Stop")).to_be_hidden()
