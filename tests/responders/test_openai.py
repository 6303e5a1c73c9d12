"""What an OpenAI-compatible upstream sends, and what becomes of it."""

from __future__ import annotations

import gzip
import json
from contextlib import aclosing

import pytest

from responders.base import Finish, Prompt, Reasoning, ToolCall, Usage
from responders.openai import OpenAI
from tests.responders.asking import (
    BROKE_OFF,
    BUSY,
    CALLED,
    INCOMPLETE,
    KEY,
    NO_CHUNK,
    NO_COMPLETION,
    NOT_HTTP,
    NOT_JSON,
    SILENT,
    STOP,
    TOO_MUCH,
    WEB_PAGE,
    ask,
)
from tests.responders.upstream import (
    CHUNKED,
    DONE,
    DRIP,
    HELLO,
    HOLD,
    RESET,
    called,
    chunk,
    chunked,
    event,
    head,
)

pytestmark = pytest.mark.usefixtures("environment")

WHOLE = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}],
}
SMILE = event("Grüße 👩‍🚀").replace(b"\\u00fc", "ü".encode()) + STOP + DONE


def cut_at(stream: bytes, *places: bytes) -> list[bytes]:
    """A stream in pieces, each of which begins with the second byte of one of these places."""
    marks = sorted(stream.index(place) + 1 for place in places)
    return [stream[start:end] for start, end in zip([0, *marks], [*marks, len(stream)], strict=True)]


STREAMS = {
    "a whole reply": ([*HELLO], "Hello there", "stop"),
    "no [DONE]": ([head(), event("Hello"), STOP], "Hello", "stop"),
    "[DONE] without a finish reason": ([head(), event("Hello"), DONE], "Hello", "stop"),
    "an end without either": ([head(), event("Hello")], "Hello", INCOMPLETE),
    "a cut in mid-frame at the end": ([head(), event("Hello"), event(" there")[:-9]], "Hello", INCOMPLETE),
    "a reset in mid-reply": ([CHUNKED + chunked(event("Hello")), RESET], "Hello", BROKE_OFF),
    "a length that is not kept": ([head(content_length=9999), event("Hello")], "Hello", BROKE_OFF),
    "a reset behind the finish reason": ([head(), event("Hello"), STOP, RESET], "Hello", "stop"),
    "a connection that stays open behind [DONE]": ([*HELLO, HOLD], "Hello there", "stop"),
    "a connection that stays open without [DONE]": ([head(), event("Hello"), STOP, HOLD], "Hello", "stop"),
    "keep-alives behind the finish reason": ([head(), event("Hello"), STOP, DRIP], "Hello", "stop"),
    "words behind [DONE]": ([*HELLO, event("!"), b"data: {\n\n"], "Hello there", "stop"),
    "words and [DONE] at once": ([head(), event("Hello") + DONE + event("!")], "Hello", "stop"),
    "cuts in characters and frames": (
        [head(), *cut_at(SMILE, "ü".encode(), b"\\ud83d", b'"stop"')],
        "Grüße 👩‍🚀",
        "stop",
    ),
    "a byte at a time": ([head(), *(bytes([byte]) for byte in SMILE)], "Grüße 👩‍🚀", "stop"),
    "CRLF": ([*HELLO[:1], *(part.replace(b"\n", b"\r\n") for part in HELLO[1:])], "Hello there", "stop"),
    "CR": ([*HELLO[:1], *(part.replace(b"\n", b"\r") for part in HELLO[1:])], "Hello there", "stop"),
    "a byte order mark": ([head() + b"\xef\xbb\xbf", *HELLO[1:]], "Hello there", "stop"),
    "comments and other fields": ([head(), b": hi\n\nid: 1\nretry: 1\nx\n\n", *HELLO[1:]], "Hello there", "stop"),
    "an event of two lines": (
        [head(), b'data: {"choices":\ndata: [{"delta":{"content":"Hi"}}]}\n\n', DONE],
        "Hi",
        "stop",
    ),
    "a wrong content type": ([head(type="text/plain"), *HELLO[1:]], "Hello there", "stop"),
    "no content type": ([b"HTTP/1.1 200 OK\r\n\r\n", *HELLO[1:]], "Hello there", "stop"),
    "gzip that nobody asked for": (
        [head(content_encoding="gzip") + gzip.compress(b"".join(HELLO[1:]))],
        "Hello there",
        "stop",
    ),
    "gzip that is none": ([head(content_encoding="gzip") + b"Hello"] * 3, "", BROKE_OFF),
    "a bomb": ([head(content_encoding="gzip") + gzip.compress(b":" * 10_000_000)], "", TOO_MUCH),
    "chunks": ([CHUNKED + chunked(*HELLO[1:]) + b"0\r\n\r\n"], "Hello there", "stop"),
    "chunks without the last": ([CHUNKED + chunked(event("Hello"))], "Hello", BROKE_OFF),
    "empty choices": ([head(), chunk(choices=[]), event("Hello"), chunk(choices=None), chunk(), STOP], "Hello", "stop"),
    "null content": ([head(), event("Hello"), chunk(choices=[{"delta": {"content": None}}]), STOP], "Hello", "stop"),
    "a null delta": ([head(), event("Hello"), chunk(choices=[{"delta": None, "index": None}]), STOP], "Hello", "stop"),
    "unknown fields": ([head(), event("Hello", audio={"x": [1]}, annotations=None), STOP], "Hello", "stop"),
    "an empty finish reason": ([head(), event("Hello", finish=""), event("!", finish="stop")], "Hello!", "stop"),
    "two finish reasons": (
        [head(), event("Hello", finish="length"), event("!", finish="stop"), DONE],
        "Hello!",
        "length",
    ),
    "a finish reason of their own": ([head(), event("Hello", finish="end_turn"), DONE], "Hello", "stop"),
    "a filter": ([head(), event("Hello", finish="content_filter"), DONE], "Hello", "content_filter"),
    "two choices": (
        [
            head(),
            chunk(choices=[{"index": 1, "delta": {"content": "Bye"}}, {"index": 0, "delta": {"content": "Hello"}}]),
            STOP,
        ],
        "Hello",
        "stop",
    ),
    "a refusal": ([head(), event(refusal="I cannot."), STOP], "I cannot.", "stop"),
    "half a surrogate pair": (
        [
            head(),
            b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"\\ude00"}}]}\n\n',
            DONE,
        ],
        "😀",
        "stop",
    ),
    "bytes that are no UTF-8": ([head(), event("Hello?").replace(b"?", b"\xff"), STOP], "Hello\ufffd", "stop"),
    "numbers out of range": ([head(), event("Hello").replace(b"1764967971", b"1e999"), STOP], "Hello", "stop"),
    "a wrong type": (
        [head(), event("Hello"), event(5)],
        "Hello",
        f"{NO_CHUNK}: Expected str | null, got int - at $.choices[0].delta.content.",
    ),
    "a list": (
        [head(), event("Hello"), b"data: []\n\n"],
        "Hello",
        f"{NO_CHUNK}: Expected object, got array.",
    ),
    "no JSON": ([head(), event("Hello"), b"data: Hello\n\n"], "Hello", NOT_JSON),
    "nested JSON": ([head(), event("Hello"), b"data: " + b"[" * 50_000 + b"\n\n"], "Hello", NOT_JSON),
    "an endless line": ([head(), event("Hello"), *[b"x" * 20_000] * 6], "Hello", TOO_MUCH),
    "an endless event": ([head(), event("Hello"), *[b"data: " + b"x" * 20_000 + b"\n"] * 6], "Hello", TOO_MUCH),
    "an error in the stream": (
        [head(), event("Hello"), b'data: {"error":{"message":"Out of\\nink \\u202e"}}\n\n', DONE],
        "Hello",
        "HOST broke the reply off. It says: Out of ink",
    ),
    "an error that is a text": (
        [head(), event("Hello"), b'data: {"error":"Out of ink"}\n\n'],
        "Hello",
        "HOST broke the reply off. It says: Out of ink",
    ),
    "an error that is empty": (
        [head(), event("Hello"), b'data: {"error":{}}\n\n'],
        "Hello",
        "HOST broke the reply off.",
    ),
    "an event of type error": (
        [head(), event("Hello"), b'event: error\ndata: {"message":"Out of ink"}\n\n'],
        "Hello",
        "HOST broke the reply off. It says: Out of ink",
    ),
    "an error with a status": (
        [head(), event("Hello"), b'data: {"error":{"code":429,"message":"Slow"}}\n\n'],
        "Hello",
        BUSY,
    ),
    "an error that says the key": (
        [head(), event("Hello"), b'data: {"error":{"message":"No %s"}}\n\n' % KEY.encode()],
        "Hello",
        "HOST broke the reply off. It says: No (the key)",
    ),
    "an error as finish reason": ([head(), event("Hello", finish="error"), DONE], "Hello", "HOST broke the reply off."),
    "a null error": ([head(), chunk(error=None, choices=[{"delta": {"content": "Hello"}}]), STOP], "Hello", "stop"),
    "a whole completion as JSON": ([head(type="application/json") + json.dumps(WHOLE).encode()], "Hello", "stop"),
    "an error as JSON": (
        [head(type="application/json; charset=utf-8") + b'{"error":{"message":"No"}}'],
        "",
        "HOST broke the reply off. It says: No",
    ),
    "other JSON": ([head(type="application/json") + b'{"status":"ok"}'], "", NO_COMPLETION),
    "endless JSON": ([head(type="application/json"), *[b" " * 50_000] * 3, HOLD], "", NOT_JSON),
    "a web page": ([head(type="text/html") + b"<h1>Welcome</h1>"], "", WEB_PAGE),
    "no content": ([head(status=204, content_length=0)], "", "HOST refuses the request (status 204)."),
    "no HTTP": ([b"SSH-2.0-OpenSSH_9.2\r\n"], "", NOT_HTTP),
    "a huge header": ([b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n"], "", NOT_HTTP),
    "interim answers": ([b"HTTP/1.1 102 Processing\r\n\r\n", *HELLO], "Hello there", "stop"),
}


@pytest.mark.parametrize(("script", "text", "ending"), STREAMS.values(), ids=STREAMS)
async def test_a_stream_ends_in_one_way(serving, script, text, ending):
    async with serving(script) as double:
        reply = await ask()

        await double.until(lambda: not double.connections)
    assert (reply.text, reply.ending) == (text, ending.replace("HOST", f"127.0.0.1:{double.port}"))


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ([HOLD], ""),
        ([b"HTTP/1.1 200 OK\r\n", HOLD], ""),
        ([head(), HOLD], ""),
        ([head(), event("Hello"), HOLD], "Hello"),
        ([head(), event("Hello"), DRIP], "Hello"),
        ([head(), event("Hello"), b"data: ", HOLD], "Hello"),
        ([CHUNKED + chunked(event("Hello")), b"so many\r\n", event(" there"), HOLD], "Hello"),
        ([CHUNKED + chunked(event("Hello")), b"fffffffffffffffff\r\n", event(" there"), HOLD], "Hello"),
        ([head(type="application/json"), b"{", HOLD], ""),
    ],
    ids=[
        "at once",
        "in the head",
        "behind it",
        "in mid-reply",
        "but for comments",
        "in mid-frame",
        "behind a bad size",
        "behind a huge size",
        "in JSON",
    ],
)
async def test_an_upstream_that_falls_silent_is_not_waited_for_for_ever(serving, impatient, script, text):
    async with serving(script) as double:
        reply = await ask()

        await double.until(lambda: not double.connections)
    assert (reply.text, double.accepted) == (text, 1)
    assert reply.error in [one.replace("HOST", f"127.0.0.1:{double.port}") for one in (SILENT, BROKE_OFF)]


# Tools, thoughts, usage


def calls(*pieces: bytes, finish: str = "tool_calls") -> list[bytes]:
    return [head(), *pieces, event(finish=finish), DONE]


@pytest.mark.parametrize(
    ("script", "expected", "ending"),
    [
        (
            calls(called(0, "", id="a", name="look"), called(0, '{"x"'), called(0, ":1}")),
            [("a", "look", '{"x":1}')],
            "tool_calls",
        ),
        (
            calls(
                called(1, '{"y"', id="b", name="hear"),
                called(0, "{", id="a", name="look"),
                called(1, ":2}"),
                called(0, "}"),
            ),
            [("a", "look", "{}"), ("b", "hear", '{"y":2}')],
            "tool_calls",
        ),
        (calls(called(0, "{"), called(0, "}", id="a"), called(0, name="look")), [("a", "look", "{}")], "tool_calls"),
        (
            calls(called(0, "{", id="a", name="look"), called(0, "}", id="a", name="look")),
            [("a", "look", "{}")],
            "tool_calls",
        ),
        (
            calls(called(0, "{}", id="a", name="look"), called(0, "{}", id="b", name="look")),
            [("a", "look", "{}"), ("b", "look", "{}")],
            "tool_calls",
        ),
        (
            calls(called(None, "{}", id="a", name="look"), called(None, "{", id="b", name="look"), called(None, "}")),
            [("a", "look", "{}"), ("b", "look", "{}")],
            "tool_calls",
        ),
        (
            calls(called(0, "{}", name="look"), called(1, "{}", name="look")),
            [("call_0", "look", "{}"), ("call_1", "look", "{}")],
            "tool_calls",
        ),
        (
            calls(called(0, "{}", id="a", name="look"), called(1, "{}", id="a", name="look")),
            [("a", "look", "{}"), ("call_1", "look", "{}")],
            "tool_calls",
        ),
        (calls(called(0, id="a", name="look")), [("a", "look", "{}")], "tool_calls"),
        (calls(called(0, "{}", id="a", name="look"), finish="stop"), [("a", "look", "{}")], "tool_calls"),
        (
            calls(called(0, "{}", id="a", name="look"), called(1, '{"y', id="b", name="look"), finish="length"),
            [("a", "look", "{}")],
            "length",
        ),
        (calls(called(0, '{"x', id="a", name="look")), [], CALLED),
        (calls(called(0, "{}", id="a")), [], "The model called a tool without its name."),
        (calls(called(0, "{}", id="a", name="look"))[:-2], [], INCOMPLETE),
        (
            calls(*[called(n, "{}", id=f"c{n}", name="look") for n in range(129)]),
            [],
            "The model called tools with more than the server takes.",
        ),
        (
            calls(*[called(0, "x" * 50_000, id="a", name="look")] * 21),
            [],
            "The model called tools with more than the server takes.",
        ),
        (
            [
                head(type="application/json"),
                json.dumps(
                    {
                        "choices": [
                            {
                                "message": {
                                    "tool_calls": [{"id": "a", "function": {"name": "look", "arguments": "{}"}}]
                                },
                                "finish_reason": "tool_calls",
                            }
                        ]
                    }
                ).encode(),
            ],
            [("a", "look", "{}")],
            "tool_calls",
        ),
    ],
)
async def test_calls_are_put_together_whatever_the_order(serving, script, expected, ending):
    async with serving(script) as double:
        reply = await ask()

    assert [(call.call_id, call.name, call.arguments) for call in reply.of(ToolCall)] == expected
    assert reply.ending == ending.replace("HOST", f"127.0.0.1:{double.port}")


async def test_a_call_that_is_being_written_is_a_sign_of_life(serving):
    prompt = Prompt("Hello?", options=OpenAI.Options())
    script = [head(), called(0, "{", id="a", name="look"), HOLD]
    async with serving(script), aclosing(OpenAI()(prompt)) as pieces:
        assert await anext(pieces) == ""


@pytest.mark.parametrize(
    "fields", [{"reasoning_content": "Hm"}, {"reasoning": "Hm"}, {"reasoning": "Hm", "reasoning_content": "Hm"}]
)
async def test_thoughts_come_once_by_either_name(serving, fields):
    async with serving([head(), event(**fields), event("Hello"), STOP, DONE]):
        reply = await ask()

    assert reply.pieces == [Reasoning("Hm"), "Hello", Finish("stop")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, [Usage(3, 2, 5)]),
        ({"prompt_tokens": 3, "completion_tokens": 2}, [Usage(3, 2, 5)]),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9}, [Usage(3, 2, 9)]),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 1}, [Usage(3, 2, 5)]),
        ({"prompt_tokens": -3, "completion_tokens": 2}, []),
        ({"prompt_tokens": "3", "completion_tokens": 2}, []),
        ({"prompt_tokens": 10**30, "completion_tokens": 2}, []),
        ({"completion_tokens": 2}, []),
        (7, []),
        (None, []),
    ],
)
async def test_usage_is_taken_where_it_makes_sense(serving, usage, expected):
    async with serving([head(), event("Hello"), STOP, chunk(choices=[], usage=usage), DONE]):
        reply = await ask()

    assert (reply.text, reply.ending) == ("Hello", "stop")
    assert reply.of(Usage) == expected
