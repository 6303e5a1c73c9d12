"""Bad frames and messages on a WebSocket: each has one exact end, and hurts nobody else."""

from __future__ import annotations

import asyncio

import pytest

from app.api.socket_requests import message_limit
from app.settings import Settings
from tests.api.answers import INTERNALS
from tests.api.sockets import Socket, frame, open_raw, read_code, text
from tests.api.watched import WatchedServer

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package"), pytest.mark.usefixtures("untouched")]

TEXT, CONT, BINARY, CLOSE, PING, PONG = 1, 0, 2, 8, 9, 10
SMALL = b'{"type":"stop"}'
MUCH = 2**26
"""Far more than the buffers of the system hold."""
LIMIT = message_limit(Settings())

NO_REQUESTS = {
    "empty": ("", 400, None),
    "white space": (" ", 400, None),
    "half an object": ('{"type":', 400, None),
    "a trailing comma": ('{"type":"stop",}', 400, None),
    "two values": ("{}{}", 400, None),
    "a comment": ("{} // x", 400, None),
    "NaN": ('{"type":NaN}', 400, None),
    "a byte order mark": ("\ufeff{}", 400, None),
    "half a character": ('{"type":"create","prompt":"\\ud800"}', 400, None),
    "deep nesting": ("[" * 100_000, 400, None),
    "null": ("null", 422, ""),
    "a list": ("[]", 422, ""),
    "a text": ('"x"', 422, ""),
    "a number": ("1", 422, ""),
    "no type": ("{}", 422, "type"),
    "a type of no type": ('{"type":5}', 422, "type"),
    "a key twice": ('{"type":"stop","type":"stop"}', 422, "type"),
    "a number that is none": ('{"type":"stop","request":1e400}', 422, None),
    "__proto__": ('{"type":"unsubscribe","stream":"x","__proto__":{}}', 422, "__proto__"),
    "a name of no type": ('{"type":"unsubscribe","stream":"x","request":{}}', 422, "request"),
    "a name too long": ('{"type":"unsubscribe","stream":"x","request":"' + "x" * 129 + '"}', 422, "request"),
    "a name too large": ('{"type":"unsubscribe","stream":"x","request":9007199254740992}', 422, "request"),
    "a name that is true": ('{"type":"unsubscribe","stream":"x","request":true}', 422, "request"),
}


@pytest.mark.parametrize("name", NO_REQUESTS)
async def test_what_is_no_request_gets_an_error_and_the_socket_stays(server: WatchedServer, name: str):
    message, status, path = NO_REQUESTS[name]
    async with await Socket.open(server) as socket:
        await socket.connection.send(message)

        refused = await socket.next()

        assert (refused.keys(), refused["problem"]["status"]) == ({"type", "problem"}, status)
        assert (refused["problem"].get("path") or "") == (path or "")
        assert not INTERNALS.search(refused["problem"]["detail"])
        assert (await socket.subscribe("conversations"))["stream"] == "conversations"


CLOSED = {
    "a binary message": (frame(BINARY, SMALL), 1003),
    "an empty binary message": (frame(BINARY), 1003),
    "a binary message in pieces": (frame(BINARY, b"x", fin=False), 1003),
    "a wrong byte": (frame(TEXT, b'{"type":"\xff"}'), 1007),
    "an overlong character": (frame(TEXT, b"\xc0\xaf"), 1007),
    "half a character": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "a character that is cut": (frame(TEXT, b"\xe2\x82"), 1007),
    "a byte too many": (frame(TEXT, b" " * (LIMIT + 1)), 1009),
    "a length of 2^63": (b"\x81\xff\x7f" + b"\xff" * 7, 1009),
    "a length of 2^64": (b"\x81\xff" + b"\xff" * 8, 1009),
    "too much in pieces": (frame(TEXT, b" " * LIMIT, fin=False) + frame(CONT, b"  "), 1009),
    "a frame without a mask": (b"\x81\x02{}", 1002),
    "a reserved bit": (b"\xc1\x80\x00\x00\x00\x00", 1002),
    "an opcode that is none": (b"\x83\x80\x00\x00\x00\x00", 1002),
    "a continuation of nothing": (frame(CONT, SMALL), 1002),
    "a message within a message": (frame(TEXT, b"{", fin=False) + frame(TEXT, SMALL), 1002),
    "a ping in pieces": (b"\x09\x80\x00\x00\x00\x00", 1002),
    "a long ping": (b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + bytes(126), 1002),
    "a code that is none": (frame(CLOSE, b"\x00\x01"), 1002),
    "half a code": (frame(CLOSE, b"\x03"), 1002),
    "a reason that is no text": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "another request": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 1002),
}


@pytest.mark.parametrize("name", CLOSED)
async def test_what_is_no_message_closes_the_socket_and_says_why(server: WatchedServer, name: str):
    sent, code = CLOSED[name]
    async with await open_raw(server) as raw:
        await raw.send(sent)

        assert await read_code(raw) == code


async def test_a_message_at_the_limit_is_read(server: WatchedServer):
    async with await Socket.open(server) as socket:
        await socket.connection.send(" " * (LIMIT - len(SMALL)) + SMALL.decode())

        assert (await socket.next())["problem"]["path"] == "conversation_id"


async def test_a_message_may_come_in_pieces_with_pings_between(server: WatchedServer):
    async with await open_raw(server) as raw:
        pieces = [frame(TEXT, SMALL[:1], fin=False)]
        pieces += [frame(CONT, bytes([byte]), fin=False) + frame(PING, b"?") for byte in SMALL[1:]]
        for byte in b"".join([*pieces, frame(CONT)]):
            await raw.send(bytes([byte]))
        await raw.send(frame(CLOSE, b"\x03\xe8"))

        said = await raw.rest()

    assert said.count(b"\x8a\x01?") == len(SMALL) - 1
    assert b'"path":"conversation_id"' in said
    assert said.endswith(b"\x88\x02\x03\xe8")


async def test_a_ping_between_its_pieces_does_not_count_towards_a_message(server: WatchedServer):
    async with await open_raw(server) as raw:
        await raw.send(frame(TEXT, b" " * (LIMIT - len(SMALL)), fin=False) + frame(PING, b"?" * 125))
        await raw.send(frame(CONT, SMALL) + frame(CLOSE, b"\x03\xe8"))

        said = await raw.rest()

    assert b"\x8a\x7d" + b"?" * 125 in said
    assert b'"path":"conversation_id"' in said
    assert said.endswith(b"\x88\x02\x03\xe8")


async def test_a_request_may_be_nested_as_deeply_as_one_without_a_key(server: WatchedServer):
    async with await Socket.open(server) as socket:
        for depth in range(900, 1000, 2):
            options = "[" * depth + "]" * depth + " " * 20_000
            await socket.connection.send(
                f'{{"type":"create","prompt":"x","idempotency_key":"{depth}","options":{{"a":{options}}}}}'
            )

            assert (await socket.next())["problem"]["status"] in (400, 422)


async def test_a_good_request_before_a_bad_frame_is_answered(server: WatchedServer):
    async with await open_raw(server) as raw:
        await raw.send(text(type="unsubscribe", stream="x", request="last") + frame(BINARY) + text(type="nothing"))

        said = await raw.rest()

    assert b'"request":"last"' in said
    assert said.count(b'"error"') == 1
    assert said[-len(b"\x03\xebmessages are text") :] == b"\x03\xebmessages are text"


async def test_a_flood_of_requests_is_answered_in_its_order(server: WatchedServer):
    count = 3000
    async with await Socket.open(server) as socket:

        async def flood() -> None:
            for number in range(count):
                await socket.connection.send(f'{{"type":"unsubscribe","stream":"x","request":{number}}}')

        flooding = asyncio.create_task(flood())
        answers = [(await socket.next())["request"] for _ in range(count)]
        await flooding

    assert answers == list(range(count))


async def test_a_flood_of_pings_and_empty_frames_does_no_harm(server: WatchedServer):
    async with await open_raw(server) as raw:
        sending = asyncio.create_task(
            raw.send(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * 20_000 + frame(PING) * 20_000)
        )
        pongs = b""
        while len(pongs) < 2 * 20_000:
            pongs += await raw.reader.readexactly(2)
        await sending

    assert set(pongs[::2]) == {0x8A}


async def test_a_client_that_reads_no_answers_is_not_read_either(server: WatchedServer):
    turn = text(type="subscribe", stream="conversations") + text(type="unsubscribe", stream="conversations")
    async with await open_raw(server, receive_buffer=4096) as raw:
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = blocked = 0
        while blocked < 200 and sent < MUCH:
            raw.writer.write(turn * 1000)
            sent += len(turn) * 1000
            while (left := raw.writer.transport.get_write_buffer_size()) and blocked < 200:
                await server.get("/health/live")
                blocked = 0 if raw.writer.transport.get_write_buffer_size() < left else blocked + 1

        assert sent < MUCH
