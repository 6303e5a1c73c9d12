"""The source article's browser client, unchanged: from our own origin, and from another that is listed or is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Dialog, Page, expect

from tests.browser.conftest import RESPONDER
from tests.support.server import Server

CLIENT = Path(__file__).with_name("article.html").read_text("utf-8")
REFUSED = """(url) => new Promise((resolve) => {
    const source = new EventSource(url);
    source.onerror = () => resolve(source.readyState === EventSource.CLOSED);
    source.onopen = () => resolve(false);
})"""

OpenClient = Callable[[str], Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="session")
async def open_client(browser: Browser) -> AsyncIterator[OpenClient]:
    """Open the client at an address. It answers its own question with "Hello, all"."""
    async with AsyncExitStack() as stack:

        async def open_client(url: str) -> Page:
            context = await browser.new_context()
            stack.push_async_callback(context.close)
            page = await context.new_page()
            page.on("dialog", _answer)
            # We have no such page ourselves, so the browser is given it as if it came from us.
            await page.route("**/ours.html", lambda route: route.fulfill(body=_client(""), content_type="text/html"))
            await page.goto(url)
            return page

        yield open_client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def elsewhere() -> AsyncIterator[str]:
    """Another origin; the path says which server its client speaks to."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"
        writer.write((head + _client(f"http:/{path}")).encode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_it_works_from_our_own_origin(server: Server, open_client: OpenClient) -> None:
    page = await open_client(f"{server.url}/ours.html")
    await expect(page.get_by_text("A new user joined!")).to_be_visible()

    await page.get_by_role("button").click()

    await expect(page.get_by_text("Hello, all")).to_be_visible()
    await expect(page).to_have_title("Message sent successfully!")


async def test_it_comes_back_by_itself_and_has_missed_nothing(server: Server, open_client: OpenClient) -> None:
    page = await open_client(f"{server.url}/ours.html")
    await expect(page.get_by_text("A new user joined!")).to_be_visible()
    await server.post("/send-message", {"message": "before the kill"})
    await expect(page.get_by_text("before the kill")).to_be_visible()

    await server.restart()
    await server.post("/send-message", {"message": "while it was away"})

    await expect(page.get_by_text("while it was away")).to_have_count(1)
    await expect(page.get_by_text("before the kill")).to_have_count(1)


async def test_it_works_from_an_origin_that_is_listed(open_client: OpenClient, elsewhere: str, tmp_path: Path) -> None:
    async with Server(tmp_path, responder=RESPONDER, allowed_origins=elsewhere) as server:
        page = await open_client(f"{elsewhere}/{server.url.removeprefix('http://')}")
        await expect(page.get_by_text("A new user joined!")).to_be_visible()

        await page.get_by_role("button").click()

        await expect(page.get_by_text("Hello, all")).to_be_visible()
        await expect(page).to_have_title("Message sent successfully!")


async def test_an_origin_that_is_not_listed_gets_nothing(
    server: Server, open_client: OpenClient, elsewhere: str
) -> None:
    async with await server.listen("/events") as listener:
        page = await open_client(f"{elsewhere}/{server.url.removeprefix('http://')}")
        refused = await page.evaluate(REFUSED, server.url + "/events")

        async with page.expect_event("pageerror"):  # the client has no word for a fetch that fails
            await page.get_by_role("button").click()
        await server.post("/send-message", {"message": "the next thing said"})

        assert refused
        said = await anext(frame.data async for frame in listener if frame.event == "message" and frame.id)
        assert said == "the next thing said"
        await expect(page.get_by_role("listitem")).to_have_count(0)


def _client(server: str) -> str:
    return CLIENT.replace("SERVER", server)


async def _answer(dialog: Dialog) -> None:
    await dialog.accept("Hello, all")
