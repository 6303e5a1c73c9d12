"""`make demo-llm`: a real language model behind the page, where its packages are installed; they are large."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from demo import __main__ as demo
from tests.support.server import Server

installed = pytest.mark.skipif(
    not any((demo.PYTHON.parent.parent / "lib").glob("python*/site-packages/xllamacpp")),
    reason="the model is not installed: `make demo-llm` does that, where its packages are there for the system",
)


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """What the demo writes to its standard output."""
    return tmp_path / "said"


@pytest.fixture
async def server(tmp_path: Path, said: Path) -> AsyncIterator[Server]:
    command = ["sh", "-c", 'exec "$0" -m demo > "$1"', sys.executable, str(said)]
    async with Server(tmp_path / "data", command=command) as server:
        yield server


def model_of(server: Server) -> int:
    """The process of the model's server."""
    return int(subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True, check=True).stdout)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@installed
@pytest.mark.slow
async def test_a_real_model_answers_and_is_stopped_and_ends_with_the_server(server: Server, said: Path) -> None:
    model = model_of(server)

    completed = await server.ended(await server.ask("What is the capital of France?"))
    refused = await server.ended(await server.ask("the gulls want more " * 2000))
    asked = await server.ask("Tell me a long story about a lighthouse.")
    reply = f"/conversations/{asked['conversation']['id']}/replies/{asked['reply']['id']}"
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        await stream.until("reply.delta")
    stopped = (await server.post(f"{reply}/stop")).json()["reply"]
    status = await server.stop()
    announcement = said.read_text()  # noqa: ASYNC240 - a few lines

    assert (completed["status"], completed["usage"].keys()) == (
        "completed",
        {"input_tokens", "output_tokens", "total_tokens"},
    )
    assert completed["text"]
    assert refused["error"]["message"].startswith(f"The conversation is too long for the model {demo.NAME}")
    assert stopped["status"] == "cancelled"
    assert stopped["text"]
    assert f"{demo.NAME} answers at {server.url}" in announcement
    assert "a toy" in announcement
    assert status == 0
    assert not lives(model)


@installed
@pytest.mark.slow
async def test_the_server_ends_when_its_model_does(server: Server) -> None:
    os.kill(model_of(server), signal.SIGKILL)

    assert await server.wait() == 0
    assert any("The model's server has ended" in str(line) for line in server.log)


def test_a_model_that_is_not_installed_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(demo, "PYTHON", tmp_path / "python")

    with pytest.raises(SystemExit, match="not installed: run `make demo-llm`"), demo.model():
        pass


def test_a_model_that_does_not_start_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text("raise SystemExit(3)")
    monkeypatch.setattr(demo, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(demo, "MODEL", script)

    with pytest.raises(SystemExit, match="did not start; its status is 3"), demo.model():
        pass
