"""What an OpenAI-compatible upstream is asked, with which key, and how asking is stopped."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time

import anyio
import pytest

from responders import connection, upstream
from responders.base import Finish, Image, Prompt, ResponderError, Text, Tool, ToolCall, ToolResult, Turn
from responders.conformance import check
from responders.openai import OpenAI
from responders.responder import OptionError, Responder
from tests.responders.asking import KEY, ask
from tests.responders.upstream import (
    DEAF,
    DONE,
    DRIP,
    HELLO,
    HOLD,
    RESET,
    called,
    event,
    head,
    refusal,
)

pytestmark = pytest.mark.usefixtures("environment")


async def test_the_branch_and_the_options_are_asked_for(serving):
    options = OpenAI.Options(temperature=0.0, top_p=0.5, max_tokens=9, stop=["."], seed=1, reasoning_effort="low")
    turns = (Turn("system", (Text("Be brief."),), "Be brief."), Turn("user", (Text("See"), Image("data:,")), "See"))
    async with serving(HELLO) as double:
        await ask(Prompt("See", messages=turns, options=options))

    [request] = double.requests
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
            },
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 9,
        "stop": ["."],
        "seed": 1,
        "reasoning_effort": "low",
    }


async def test_what_a_door_asks_for_is_sent_and_the_call_comes_back(serving):
    parameters = {"type": "object", "properties": {"at": {"type": "string"}}}
    turns = (
        Turn("user", (Text("Is it wet?"), Image("data:,")), "Is it wet?"),
        Turn("assistant", (ToolCall("a", "look", '{"at":"sky"}'),), ""),
        Turn("tool", (ToolResult("a", "rain"),), ""),
    )
    asked = Prompt(
        "Is it wet?",
        messages=turns,
        options=OpenAI.Options(max_tokens=90),
        tools=(Tool("look", "Looks.", parameters),),
        tool_choice="look",
        max_tokens=30,
    )
    calling = [head(), called(0, id="b", name="look"), called(0, '{"at":"street"}'), event(finish="tool_calls"), DONE]
    async with serving(calling) as double:
        reply = await ask(asked)

    body = double.requests[0].body
    function = {"name": "look", "arguments": '{"at":"sky"}'}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "Is it wet?"}, {"type": "image_url", "image_url": {"url": "data:,"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
    ]
    assert body["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": parameters}}
    ]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert body["max_tokens"] == 30
    assert [piece for piece in reply.pieces if piece] == [
        ToolCall("b", "look", '{"at":"street"}'),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize(
    ("wanted", "option", "sent"), [(None, None, None), (5, None, 5), (None, 6, 6), (5, 6, 5), (7, 6, 6)]
)
async def test_the_smaller_limit_is_sent(serving, wanted, option, sent):
    async with serving(HELLO) as double:
        await ask(Prompt("Hello?", options=OpenAI.Options(max_tokens=option), max_tokens=wanted))

    assert double.requests[0].body.get("max_tokens") == sent


async def test_an_option_names_another_model(serving):
    async with serving(HELLO) as double:
        await ask(model="n")

    assert double.requests[0].body["model"] == "n"


async def test_without_a_model_the_upstream_chooses(serving, monkeypatch):
    monkeypatch.delenv("OPENAI_MODEL")
    async with serving(HELLO) as double:
        await ask()

    assert "model" not in double.requests[0].body


@pytest.mark.parametrize(
    "options", [{"base_url": "http://evil.example"}, {"api_key": "x"}, {"temperature": 3}, {"stop": []}, {"model": ""}]
)
def test_no_option_sends_the_key_elsewhere_or_is_out_of_range(options):
    with pytest.raises(OptionError):
        Responder("openai", OpenAI).parse_options(options)


async def test_a_local_upstream_needs_no_key(serving, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    async with serving(HELLO, refusal(401)) as double:
        replies = [await ask(), await ask()]

    assert "authorization" not in double.requests[0].headers
    assert replies[0].text == "Hello there"
    assert (
        replies[1].error == f"127.0.0.1:{double.port} wants an API key: set OPENAI_API_KEY, and start the server again."
    )


async def test_without_key_and_address_it_says_what_to_set(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", " ")

    reply = await ask()

    assert (
        reply.error
        == "No model is set up: set OPENAI_API_KEY, or OPENAI_BASE_URL where no key is needed, and start again."
    )


@pytest.mark.parametrize(
    "base",
    [
        "nonsense",
        "ftp://a/v1",
        "http://",
        "http://u:pass@a/v1",
        "http://a/v1?key=pass",
        "http://[::1",
        "http://a:99999/",
    ],
)
async def test_an_address_that_is_none_is_not_shown(monkeypatch, base):
    monkeypatch.setenv("OPENAI_BASE_URL", base)

    reply = await ask()

    assert reply.error == "OPENAI_BASE_URL is no address of a server: it has to be like http://127.0.0.1:8080/v1."


@pytest.mark.parametrize("key", ["sk-a\nX-Evil: 1", "sk-ä", "sk-\x00"])
def test_a_key_that_is_none_is_not_shown(key):
    with pytest.raises(ResponderError) as refused:
        connection.Place({"OPENAI_API_KEY": key})

    assert str(refused.value) == "OPENAI_API_KEY holds characters that no key has: set it anew, and start again."


def test_openai_itself_is_the_default_and_knows_the_limit_by_another_name():
    place = connection.Place({"OPENAI_API_KEY": KEY})

    assert str(place.url) == "https://api.openai.com/v1/chat/completions"
    assert place.limit == "max_completion_tokens"
    assert KEY not in repr(place) + repr(place.upstream("m"))


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://127.0.0.1:1/v1", None),
        ("http://localhost/v1", None),
        ("http://[::1]/v1", None),
        ("http://inside.example/v1", None),
        ("http://models.example/v1", "http://proxy.example:1"),
        ("https://models.example/v1", "http://proxy.example:2"),
    ],
)
def test_a_proxy_is_the_environments_but_not_for_this_machine(monkeypatch, url, proxy):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:2")
    monkeypatch.setenv("NO_PROXY", "inside.example")

    assert connection._proxy(connection.URL(url)) == proxy


async def test_the_key_is_in_no_log(serving, caplog):
    with caplog.at_level(logging.DEBUG):
        for script in ([*HELLO], refusal(401, {"message": KEY}), [b"nonsense\r\n"], [RESET]):
            async with serving(script):
                await ask()

    assert KEY not in caplog.text
    assert all(KEY not in repr(record.__dict__) for record in caplog.records)


# Stop


LONG = Prompt("x" * 20_000_000, options=OpenAI.Options())


@pytest.mark.parametrize(
    ("script", "prompt"),
    [
        ([DEAF], LONG),
        ([HOLD], None),
        ([b"HTTP/1.1 200 OK\r\n", HOLD], None),
        ([head(), event("Hello"), HOLD], None),
        ([head(), event("Hello"), DRIP], None),
        ([head(400), HOLD], None),
    ],
    ids=["while it asks", "before an answer", "in the head", "in mid-reply", "between comments", "in a refusal"],
)
async def test_a_stop_closes_the_connection_and_leaves_nothing(serving, monkeypatch, script, prompt):
    monkeypatch.setattr(connection, "REFUSAL_SECONDS", 30.0)
    before = asyncio.all_tasks()
    async with serving(script) as double:
        asked = asyncio.create_task(ask(prompt))
        await double.until(lambda: bool(double.accepted and (double.requests or script == [DEAF])))
        await anyio.wait_all_tasks_blocked()

        stopped = time.monotonic()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await double.until(lambda: not double.connections)

        assert time.monotonic() - stopped < 20  # it takes milliseconds; what is waited for takes 30 s
    assert asyncio.all_tasks() <= before


async def test_a_stop_ends_a_pause_between_tries(serving, monkeypatch):
    monkeypatch.setattr(upstream, "FIRST_PAUSE_SECONDS", 20.0)
    async with serving(refusal(500)) as double:
        asked = asyncio.create_task(ask())
        await double.until(lambda: bool(double.requests) and not double.connections)

        asked.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asked
    assert double.accepted == 1


# Among the others


async def test_it_keeps_the_contract_of_a_responder(serving):
    async with serving(HELLO):
        outcomes = await asyncio.to_thread(check, Responder("openai", OpenAI))

    assert [outcome for outcome in outcomes if not outcome.passed or outcome.skipped] == []


async def test_it_keeps_the_contract_on_an_upstream_that_never_ends(serving):
    async with serving([head(), event("Hello"), HOLD]):
        outcomes = await asyncio.to_thread(check, Responder("openai", OpenAI), patience=0.2)

    assert [outcome for outcome in outcomes if not outcome.passed] == []


def test_it_is_offered_and_listed_without_loading_what_it_needs():
    code = (
        "import sys, app.server; from responders.registry import Registry; r = Registry.discover('openai');"
        "print([one.name for one in r], r.get('openai').description, 'aiohttp' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "'openai'" in done.stdout
    assert done.stdout.endswith("False\n")
