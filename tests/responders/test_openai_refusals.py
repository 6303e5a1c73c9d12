"""What an OpenAI-compatible upstream refuses, and what is tried again."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate

import pytest

from responders import upstream
from responders.base import Reasoning
from tests.responders.asking import BROKE_OFF, BUSY, INCOMPLETE, KEY, NO_MODEL, NOTHING, SPENT, TOO_LONG, ask
from tests.responders.upstream import (
    CHUNKED,
    DEAF,
    HELLO,
    HOLD,
    RESET,
    called,
    chunked,
    event,
    head,
    refusal,
)

pytestmark = pytest.mark.usefixtures("environment")


@pytest.mark.parametrize(
    ("script", "sentence", "tries"),
    [
        (
            refusal(401, {"message": f"Incorrect API key provided: {KEY}"}),
            "HOST does not accept the API key: check OPENAI_API_KEY.",
            1,
        ),
        (
            refusal(403, {"message": "Not in your country."}),
            "HOST does not allow this with this API key. It says: Not in your country.",
            1,
        ),
        (refusal(402), SPENT, 1),
        (refusal(404, {"message": "The model `m` does not exist", "code": "model_not_found"}), NO_MODEL, 1),
        (refusal(400, {"message": "No", "code": "model_not_found"}), NO_MODEL, 1),
        (
            refusal(404, b"<h1>Not found</h1>", type="text/html"),
            "HOST has no chat completions here (status 404): check OPENAI_BASE_URL, which often ends in /v1.",
            1,
        ),
        (refusal(400, {"message": "This model's maximum context length is 8 tokens."}), TOO_LONG, 1),
        (refusal(400, {"message": "No.", "code": "context_length_exceeded"}), TOO_LONG, 1),
        (refusal(413), TOO_LONG, 1),
        (
            refusal(400, {"message": "Unknown\tparameter"}),
            "HOST refuses the request (status 400). It says: Unknown parameter",
            1,
        ),
        (
            refusal(422, b'{"detail":[{"loc":["body"]}]}'),
            'HOST refuses the request (status 422). It says: [{"loc": ["body"]}]',
            1,
        ),
        (refusal(400, b'[{"error":{"message":"No"}}]'), "HOST refuses the request (status 400). It says: No", 1),
        (
            refusal(400, {"message": "x" * 295 + KEY}),
            "HOST refuses the request (status 400). It says: " + "x" * 295 + "(t...",
            1,
        ),
        (
            refusal(400, {"message": {"key": KEY}}),
            'HOST refuses the request (status 400). It says: {"key": "(the key)"}',
            1,
        ),
        ([head(400), b"{", *[b"x" * 50_000] * 3, HOLD], "HOST refuses the request (status 400).", 1),
        ([head(400), HOLD], "HOST refuses the request (status 400).", 1),
        ([head(400, content_length=99), RESET], "HOST refuses the request (status 400).", 1),
        (
            refusal(307, location="http://127.0.0.1:1/v1"),
            "HOST sends on to another address (status 307), to which no key is sent: check OPENAI_BASE_URL.",
            1,
        ),
        (refusal(429, {"message": "Slow"}), BUSY, 3),
        (refusal(429, {"message": "No money", "code": "insufficient_quota"}), SPENT, 1),
        (refusal(429, retry_after="3600"), BUSY, 1),
        (refusal(429, retry_after=formatdate(time.time() + 3600, usegmt=True)), BUSY, 1),
        (refusal(429, retry_after="0"), BUSY, 3),
        (refusal(429, retry_after_ms="1", retry_after="3600"), BUSY, 3),
        (refusal(429, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"), BUSY, 3),
        (refusal(429, retry_after="soon"), BUSY, 3),
        (refusal(429, retry_after="-5"), BUSY, 3),
        (refusal(429, retry_after="nan"), BUSY, 3),
        (refusal(429, retry_after="inf"), BUSY, 1),
        (refusal(429, x_should_retry="false"), BUSY, 1),
        (refusal(400, x_should_retry="true"), "HOST refuses the request (status 400).", 3),
        (
            refusal(500, {"message": "image input is not supported", "code": 500}),
            "HOST refuses the request (status 500). It says: image input is not supported",
            1,
        ),
        (refusal(500), "HOST is not able to answer just now (status 500): try again later.", 3),
        (
            refusal(502, b"<h1>Bad gateway</h1>", type="text/html"),
            "HOST is not able to answer just now (status 502): try again later.",
            3,
        ),
        (
            refusal(503, {"message": "Loading model"}),
            "HOST is not able to answer just now (status 503): try again later. It says: Loading model",
            3,
        ),
        (refusal(409), "HOST is not able to answer just now (status 409): try again later.", 3),
        ([RESET], BROKE_OFF, 3),
        ([b"HTTP/1.1 200 OK\r\n"], BROKE_OFF, 3),
        ([head()], INCOMPLETE, 3),
        ([CHUNKED + chunked(event(role="assistant")), RESET], BROKE_OFF, 3),
        ([CHUNKED + chunked(called(0, "{", id="a", name="look")), RESET], BROKE_OFF, 3),
    ],
)
async def test_a_refusal_is_a_sentence_that_says_what_to_do(serving, script, sentence, tries):
    async with serving(script) as double:
        reply = await ask()

    assert reply.error == sentence.replace("HOST", f"127.0.0.1:{double.port}")
    assert (reply.text, double.accepted) == ("", tries)


@pytest.mark.parametrize("first", [refusal(429), refusal(503), [RESET], [head()], [head(), event(role="assistant")]])
async def test_another_try_may_succeed(serving, first):
    async with serving(first, first, HELLO) as double:
        reply = await ask()

    assert (reply.text, reply.ending) == ("Hello there", "stop")
    assert len(double.requests) == 3
    assert double.requests[0] == double.requests[2]


async def test_nothing_is_asked_for_again_once_it_has_begun(serving):
    async with serving([head(), event(reasoning="Hm"), RESET], HELLO) as double:
        reply = await ask()

    assert reply.of(Reasoning) == [Reasoning("Hm")]
    assert reply.error
    assert double.accepted == 1


async def test_a_pause_between_tries_is_the_upstreams_or_grows(serving, monkeypatch):
    pauses = []
    sleep = asyncio.sleep

    async def nap(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(upstream.asyncio, "sleep", nap)
    monkeypatch.setattr(upstream, "FIRST_PAUSE_SECONDS", 8.0)
    async with serving(refusal(429, retry_after="7.5"), refusal(500), HELLO):
        await ask()

    for nonsense in ("-5", "nan"):
        async with serving(refusal(429, retry_after=nonsense), HELLO):
            await ask()

    assert pauses[0] == 7.5
    assert 12 <= pauses[1] <= 20
    assert all(6 <= pause <= 10 for pause in pauses[2:])
    assert len(pauses) == 4


async def test_where_nothing_listens_it_says_so(serving):
    async with serving(HELLO) as double:
        pass

    reply = await ask()

    assert reply.error == NOTHING.replace("HOST", f"127.0.0.1:{double.port}")


async def test_a_host_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://no-such-host.invalid/v1")

    reply = await ask()

    assert reply.error == "There is no host no-such-host.invalid: check OPENAI_BASE_URL, and the network."


async def test_an_upstream_without_tls_gets_no_key(serving, monkeypatch):
    async with serving([DEAF]) as double:
        monkeypatch.setenv("OPENAI_BASE_URL", double.url.replace("http:", "https:"))
        reply = await ask()

    assert (
        reply.error
        == f"127.0.0.1:{double.port} cannot prove over TLS who it is: check its certificate, and OPENAI_BASE_URL."
    )
    assert double.requests == []
