"""What the pages show of OpenAI's client, run as it stands against a real server."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with Server(tmp_path_factory.mktemp("data")) as server:
        yield server


def examples(page: str) -> list[str]:
    """The page's blocks that are Python and have to do with OpenAI's client, in order."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [block for block in blocks if "client" in block]


async def run(program: str, server: Server) -> str:
    """Run a program with OpenAI's client at hand, and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(Path(sys.prefix) / "clients"), "PYTHONIOENCODING": "utf-8"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program.replace("http://127.0.0.1:8000", server.url),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_the_three_lines_of_the_readme_switch_a_program(server: Server):
    (program,) = examples("README.md")

    told = await run(program.replace('model="mock"', 'model="echo"'), server)  # which takes no seven seconds

    newest = (await server.get("/conversations")).json()["conversations"][0]
    reply = (await server.get(f"/conversations/{newest['id']}/replies/{newest['head']}")).json()["reply"]
    assert told.strip() == reply["text"].strip() != ""


async def test_the_examples_of_the_page_print_what_is_stored(server: Server):
    programs = examples("docs/openai.md")
    assert len(programs) == 4

    told = await run("\nprint('|||')\n".join(programs), server)

    newest = (await server.get("/conversations?limit=4")).json()["conversations"]
    asked = ["And the bell?", "And the tide?", "And the ferry?", "What do the gulls want?"]
    assert [each["title"] for each in newest] == asked
    for each, text in zip(reversed(newest), told.split("|||"), strict=True):
        reply = (await server.get(f"/conversations/{each['id']}/replies/{each['head']}")).json()["reply"]
        assert reply["status"] == "completed"
        assert text.strip() == reply["text"].strip()
