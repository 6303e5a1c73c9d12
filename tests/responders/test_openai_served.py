"""A server whose replies come from an OpenAI-compatible upstream."""

from __future__ import annotations

import time

import pytest

from tests.responders.upstream import DONE, HOLD, Upstream, chunk, event, head, refusal
from tests.support.server import Server

pytestmark = pytest.mark.slow

KEY = "sk-secret-0123456789"


@pytest.fixture
async def double(monkeypatch):
    async with Upstream([HOLD]) as double:
        monkeypatch.setenv("OPENAI_BASE_URL", double.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_MODEL", "m")
        yield double


async def ended(server: Server, asked: dict) -> dict:
    path = f"/conversations/{asked['conversation']['id']}/replies/{asked['reply']['id']}?wait=20"
    return (await server.get(path)).json()["reply"]


async def test_replies_of_a_real_upstream_are_told_failed_and_stopped_like_any_other(double, tmp_path):
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    told = [
        head(),
        event(reasoning="Hm"),
        event("Hello "),
        event("there"),
        event(finish="length"),
        chunk(usage=usage),
        DONE,
    ]
    double.scripts = [told, refusal(401, {"message": f"Wrong key {KEY}"}), [head(), event("Hello"), HOLD]]

    async with Server(tmp_path, responder="openai") as server:
        completed = await ended(server, first := await server.ask("Hello?", options={"temperature": 0.5}))
        failed = await ended(
            server, await server.ask("And now?", f"/conversations/{first['conversation']['id']}/messages")
        )
        asked = await server.ask("Again?")
        await double.until(lambda: len(double.requests) == 3)
        begun = time.monotonic()
        stop = f"/conversations/{asked['conversation']['id']}/replies/{asked['reply']['id']}/stop"
        stopped = (await server.post(stop)).json()["reply"]
        await double.until(lambda: not double.connections)
        stopped_after = time.monotonic() - begun
        wrong = await server.post("/conversations", {"prompt": "Hi", "options": {"base_url": "http://evil.example"}})
        await server.stop()

    assert (completed["text"], completed["status"], completed["finish_reason"]) == (
        "Hello there",
        "completed",
        "length",
    )
    assert completed["parts"][0] == {"type": "reasoning", "text": "Hm"}
    assert completed["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert failed["status"] == "failed"
    assert failed["error"]["message"] == f"127.0.0.1:{double.port} does not accept the API key: check OPENAI_API_KEY."
    assert [message["role"] for message in double.requests[1].body["messages"]] == ["user", "assistant", "user"]
    assert double.requests[0].body["temperature"] == 0.5
    assert stopped["status"] == "cancelled"
    assert stopped_after < 60  # and not as long as an upstream may be silent
    assert wrong.status_code == 422
    assert KEY not in str(server.log)
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


async def test_without_a_model_the_reply_says_what_to_set(monkeypatch, tmp_path):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)

    async with Server(tmp_path, responder="openai") as server:
        reply = await ended(server, await server.ask())

    assert reply["error"]["code"] == "responder_error"
    assert reply["error"]["message"].startswith("No model is set up: set OPENAI_API_KEY")
