"""The README's examples, run as they stand, against a real server."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.server import Server

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")

pytestmark = pytest.mark.slow


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


async def run(script: str, folder: Path) -> str:
    """Run a script with bash and return what it prints; fails with the script."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "bash", "-eu", "-c", script, cwd=folder, env=os.environ | {"PATH": path}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return output.decode()


async def test_the_curl_session_shows_a_reply_a_cut_and_a_resume(server: Server, tmp_path: Path) -> None:
    ask, cut, resume, broadcast = (block.replace("http://127.0.0.1:8000", server.url) for block in blocks("sh"))
    url = f"URL={server.url}\n"

    text = await run(ask, tmp_path)
    seen = await run(url + cut, tmp_path)
    rest = await run(url + resume, tmp_path)

    assert len(text.split()) > 50
    assert "reply.ended" not in seen
    ids = re.findall(r"^id: \S+-(\d{12})$", seen + rest, re.MULTILINE)
    assert [int(id) for id in ids] == list(range(1, len(ids) + 1))
    assert '"resumed":true' in rest
    assert rest.rstrip().splitlines()[-2] == "event: reply.ended"
    heard = ""
    for seconds in (1, 5, 25):  # only a machine that is very busy takes more than the first to open a stream
        patient = broadcast.replace("-m 3", f"-m {seconds + 2}").replace("sleep 1", f"sleep {seconds}")
        heard = await run(f"{url}{patient}wait || true", tmp_path)
        assert "data: A new user joined!" in heard
        assert "Message sent successfully!" in heard
        if "data: The tea is ready." in heard:
            return
    raise AssertionError(heard)


async def test_the_five_line_responder_serves_and_keeps_the_contract(
    start_server: Callable[..., Awaitable[Server]], tmp_path: Path
) -> None:
    [code] = [block for block in blocks("python") if "yield" in block]
    (tmp_path / "shout.py").write_text(code)
    assert len(code.splitlines()) <= 5

    verdict = await run("tickertape check ./shout.py:shout", tmp_path)
    server = await start_server(responder=f"{tmp_path}/shout.py:shout")
    reply = await server.ended(await server.ask("hello there"))

    assert verdict
    assert (reply["responder"], reply["text"]) == ("shout", "HELLO THERE ")
