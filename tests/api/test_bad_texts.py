"""Text that travels: whatever somebody writes comes back as it was, or is refused by name."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from tests.api.answers import check_problem
from tests.api.bodies import CALLS, place, with_text
from tests.api.bystanders import Control
from tests.api.watched import QUICK, WatchedServer, path_of, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

TRAVELS = {
    "NUL": "a\0b",
    "only NUL": "\0",
    "line ends": "CR\rLF\nCRLF\r\nblank\n\n\r\r",
    "frames": "x\n\nevent: bye\ndata: {}\nid: 1\nretry: 1\n\n",
    "separators": "\u2028\u2029\u0085\x0b\x0c\x1c\x1d\x1e x",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff",
    "directions": "\u202e\u2066\u2069\u200f",
    "pair": "\U0001f9ea\U0010ffff",
    "noncharacters": "\ufffe\uffff\ufdd0",
    "replacement": "\ufffd",
    "controls": "\x01\x02\x1b[2J\x7f\x80\x9f",
    "combining": "e" + "\u0301" * 100_000,
    "spaces": "  leading, trailing  ",
    "JSON": '{"type": "reply.ended"}\\u0000\\"',
    "HTML": "<script>alert(1)</script>&amp;",
    "SQL": "'; DROP TABLE conversations; --",
    "scripts": "שלום مرحبا 你好 नमस्ते",
}


@pytest.mark.parametrize("name", TRAVELS)
async def test_a_prompt_comes_back_as_it_was_sent(server: WatchedServer, control: Control, name: str):
    text = TRAVELS[name]

    asked = await server.ask(text, system=text, **QUICK)

    reply = await server.ended(asked)
    log = await server.log_of(asked)
    assert asked["message"]["text"] == text
    assert reply["text"] == text_of(log) == text
    assert (reply["status"], reply["finish_reason"]) == ("completed", "stop")
    snapshot = (await server.get(path_of(asked))).json()["messages"]
    if name != "combining":
        assert [message["text"] for message in snapshot] == [text] * 3
    await control.flows()


async def test_a_million_combining_marks_are_a_prompt_too_long(server: WatchedServer, control: Control):
    answer = await server.post("/conversations", {"prompt": "e" + "\u0301" * 1_000_000})

    check_problem(answer, 413, "The prompt is longer than 262144 bytes.")
    await control.flows()


@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "raw"])
async def test_a_character_is_the_same_however_it_is_spelled(server: WatchedServer, escaped: bool):
    body = json.dumps({"prompt": "é鯨\U0001f9ea\u2028", **QUICK}, ensure_ascii=escaped).encode()

    answer = await server.send("/conversations", body)

    assert answer.json()["message"]["text"] == "é鯨\U0001f9ea\u2028"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def asked(server: WatchedServer) -> dict:
    """An idle conversation for the bad requests to aim at."""
    asked = await server.ask("Aim at this", **QUICK)
    await server.ended(asked)
    return asked


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("name", ["create", "ask"])
@pytest.mark.parametrize("text", ["", " ", "\\n\\r\\t", "\\u00a0\\u2003\\u3000", "\\u2028\\u2029\\u0085\\u001c"])
async def test_a_prompt_of_white_space_is_refused(server: WatchedServer, asked: dict, name: str, text: str):
    call = CALLS[name]

    answer = await server.send(place(call, asked), with_text(call, text.encode()))

    check_problem(answer, 422, "A prompt must hold a character that is not white space.", path="prompt")


@pytest.mark.usefixtures("untouched")
async def test_nul_in_a_broadcast_is_refused(server: WatchedServer):
    answer = await server.send("/send-message", b'{"message": "a quetzal\\u0000"}')

    check_problem(answer, 422, "A broadcast message must not hold NUL.", path="message")
