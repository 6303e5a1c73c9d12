"""The client as another page uses it: the example of docs/client.md as it stands, from an origin that is listed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import RESPONDER
from tests.browser.tale import BEGINNING, END, Gate
from tests.support.server import Server

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text("utf-8")
[EXAMPLE] = re.findall(r"^```html\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
NAMES = "(url) => import(url).then((client) => Object.keys(client))"

OpenPage = Callable[[str], Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser) -> AsyncIterator[OpenPage]:
    async with AsyncExitStack() as stack:
        context = await browser.new_context()
        stack.push_async_callback(context.close)
        complaints: list[str] = []

        async def open_page(url: str) -> Page:
            page = await context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto(url)
            return page

        yield open_page
        assert complaints == []


class Elsewhere:
    """Another origin, which serves one page."""

    def __init__(self) -> None:
        self.html = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"
        writer.write((head + self.html).encode())
        writer.close()


async def test_the_example_works_from_an_origin_that_is_listed(open_page: OpenPage, tmp_path: Path, gate: Gate) -> None:
    elsewhere = Elsewhere()
    async with await asyncio.start_server(elsewhere.serve, "127.0.0.1", 0) as listener:
        origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with Server(tmp_path / "data", responder=RESPONDER, allowed_origins=origin) as server:
            elsewhere.html = EXAMPLE.replace("http://127.0.0.1:8000", server.url).replace(
                "What do the gulls want?", f"{gate}"
            )
            await open_page(server.url)  # its own page has the same files, which the browser keeps
            page = await open_page(origin)

            await expect(page.locator("#reply")).to_have_text(BEGINNING)
            await expect(page.locator("#link")).to_have_text("open")
            await server.restart()
            await expect(page.locator("#link")).to_have_text("open")
            await expect(page.locator("#reply")).to_have_text(BEGINNING)
            gate.open()
            await page.reload()

            await expect(page.locator("#reply")).to_have_text(BEGINNING + END)
            await page.close()


async def test_what_the_page_of_the_client_names_is_there(server: Server, open_page: OpenPage) -> None:
    page = await open_page(server.url)

    names = await page.evaluate(NAMES, f"{server.url}/client.js")

    code = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert {name for name in names if name not in code} == {"Client", "callsTo"}
