"""`tickertape serve --responder ./mine.py:shout --reload`, edited while it serves."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

pytestmark = pytest.mark.slow

CODE = """
import pathlib
import msgspec
import tone


class Shout:
    \"\"\"Says it louder.\"\"\"

    class Options(msgspec.Struct):
        OPTION: int = 1

    async def __call__(self, prompt):
        yield tone.SAYS
        if prompt.text == "wait":
            while not pathlib.Path("GATE").exists():
                await __import__("asyncio").sleep(0.01)
        yield " and out"
"""

ENDLESS = """
import pathlib
import threading

pathlib.Path("begun").touch()
threading.Event().wait()
"""


class Author:
    """Who writes the responder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = folder / "gate"

    def write(self, says: str, option: str = "times", code: str = CODE) -> None:
        (self.folder / "tone.py").write_text(f"SAYS = {says!r}\n")
        (self.folder / "mine.py").write_text(code.replace("OPTION", option).replace("GATE", str(self.gate)))

    async def begun(self) -> None:
        """Wait until ENDLESS runs."""
        async with asyncio.timeout(20):
            while not (self.folder / "begun").exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    author = Author(tmp_path / "code")
    author.folder.mkdir()
    author.write("one")
    return author


@pytest.fixture
async def server(start_server: Callable[..., Awaitable[Server]], author: Author) -> Server:
    tickertape = Path(sys.executable).with_name("tickertape")
    command = ["env", "-C", str(author.folder), str(tickertape), "serve"]
    return await start_server(command=command, responder="./mine.py:Shout", reload=True)


def loading_within(seconds: float, author: Author) -> list[str]:
    """The command of a server whose loads may take so long."""
    main = f"from responders import registry; registry.LOAD_SECONDS = {seconds}; from app.cli import main; main()"
    return ["env", "-C", str(author.folder), sys.executable, "-c", main, "serve"]


def messages_of(asked: dict[str, Any]) -> str:
    return f"/conversations/{asked['conversation']['id']}/messages"


async def text(server: Server, **fields: object) -> str:
    reply = await server.ended(await server.ask(**fields))
    assert reply["status"] == "completed", reply
    return str(reply["text"])


async def test_the_next_prompt_runs_the_new_code_and_a_running_reply_ends_on_the_old(
    server: Server, author: Author
) -> None:
    running = await server.ask("wait")
    stream = await server.listen(running["events"], running["cursor"])
    await stream.until("reply.delta")

    author.write("two")
    new = await text(server)
    author.gate.touch()

    assert new == "two and out"
    assert (await server.ended(running))["text"] == "one and out"
    stream.cut()


async def test_a_reply_that_waited_runs_what_is_loaded_when_it_starts(server: Server, author: Author) -> None:
    running = await server.ask("wait")
    first = await server.ask("next", messages_of(running), if_running="queue")
    second = await server.ask("last", messages_of(running), if_running="queue", options={"times": 2})

    author.write("two", option="often")
    await text(server)
    author.gate.touch()

    assert (await server.ended(running))["text"] == "one and out"
    assert (await server.ended(first))["text"] == "two and out"
    assert "options of this reply are not valid any more" in (await server.ended(second))["error"]["message"]


async def test_broken_code_is_a_422_that_names_the_line_and_what_was_accepted_runs_all_the_same(
    server: Server, author: Author
) -> None:
    running = await server.ask("wait")
    waits = await server.ask("next", messages_of(running), if_running="queue")

    (author.folder / "mine.py").write_text("class Shout:\n    def __call__(self, prompt:\n")
    answer = await server.post("/conversations", {"prompt": "Hello"})
    other = await text(server, prompt="Hello", responder="echo")
    author.gate.touch()
    waited = await server.ended(waits)
    author.write("two")

    assert (answer.status_code, answer.json()["path"]) == (422, "responder")
    assert "SyntaxError: '(' was never closed (mine.py, line 2)" in answer.json()["detail"]
    assert other == "Hello"
    assert waited["text"] == "one and out"
    assert await text(server) == "two and out"
    await server.stop()  # then all that it wrote has been read
    assert any("does not load any more" in entry.get("event", "") for entry in server.log)


async def test_new_options_are_listed_and_checked(server: Server, author: Author) -> None:
    author.write("two", option="often")

    listed = {responder["name"]: responder for responder in (await server.get("/responders")).json()}

    assert list(listed["Shout"]["options"]["properties"]) == ["often"]
    assert await text(server, options={"often": 2}) == "two and out"
    assert (await server.post("/conversations", {"prompt": "?", "options": {"times": 2}})).status_code == 422


async def test_code_that_never_comes_back_holds_neither_a_stop_nor_the_end(
    start_server: Callable[..., Awaitable[Server]], author: Author
) -> None:
    server = await start_server(command=loading_within(100, author), responder="./mine.py:Shout", reload=True)
    running = await server.ask("wait")
    (author.folder / "mine.py").write_text(ENDLESS)

    listed = asyncio.create_task(server.get("/responders"))
    waits = [
        asyncio.create_task(server.post(messages_of(running), {"prompt": "?", "parent": None, **responder}))
        for responder in ({}, {"responder": "Shout"})
    ]
    await author.begun()
    stopped = await server.post(f"/conversations/{running['conversation']['id']}/replies/{running['reply']['id']}/stop")
    await server.signal(signal.SIGTERM)

    assert stopped.json()["reply"]["status"] == "cancelled"
    assert await server.wait(60) == 0
    assert [answer.status_code for answer in await asyncio.gather(listed, *waits)] == [200, 503, 503]
    assert "Traceback" not in str(server.log)


async def test_code_that_never_comes_back_is_a_422_until_it_is_mended_and_others_do_not_wait(
    start_server: Callable[..., Awaitable[Server]], author: Author
) -> None:
    server = await start_server(command=loading_within(3, author), responder="./mine.py:Shout", reload=True)
    echoed = await server.ask("Hello", responder="echo")
    await server.ended(echoed)
    (author.folder / "mine.py").write_text(ENDLESS)

    waits = asyncio.create_task(server.post("/conversations", {"prompt": "Hello"}))
    await author.begun()
    other = await text(server, prompt="Hello", responder="echo")
    again = await server.post(f"/conversations/{echoed['conversation']['id']}/replies/{echoed['reply']['id']}/retry")
    waited = not waits.done()
    refused = await waits
    author.write("two")

    assert (other, again.status_code, waited) == ("Hello", 201, True)
    assert (refused.status_code, refused.json()["path"]) == (422, "responder")
    assert refused.json()["detail"] == "Loading it did not end within 3 seconds."
    assert await text(server) == "two and out"
    assert "Traceback" not in str(server.log)
