"""What is no HTTP, or too much of it, over real sockets: each has one exact answer, and the server goes on."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from app.heads import MAX_HEAD_BYTES, MAX_HEADERS
from app.protocol import MAX_AHEAD_BYTES, MAX_PIECES, Protocol
from tests.api.answers import check_problem
from tests.api.raw import Raw
from tests.api.watched import WatchedServer, reply_path
from tests.support.sse import Parser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.usefixtures("untouched"),
]

NOT_HTTP = "The request is not proper HTTP/1.1."
NO_PATH = "The target of a request is a path."
TOO_LARGE = "A request's head has at most 32768 bytes and 100 headers."
ENCODING = "The one transfer encoding is chunked, in HTTP/1.1."
VERSION = "The versions of HTTP are 1.1 and 1.0 here."
OTHER_HOST = "The target of the request names another host than Host does."
NO_JSON = "The body is not JSON: Expecting value: line 524289 column 1 (char 1048576)."
UNFINISHED = "The request ended before it was whole."

JSON = "Content-Type: application/json"
POST = b"POST /send-message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"

REFUSED = {
    # the request line
    "NUL in the line": (b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "DEL in the line": (b"GET /\x7f HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "tab in the line": (b"GET /\ta HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "UTF-8 in the line": ("GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 400, NOT_HTTP),
    "space before the line": (b" GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "no method that there is": (b"SHOUT / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "method in lower case": (b"get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "method of 10 kB": (b"A" * 10_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, NOT_HTTP),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", 400, NOT_HTTP),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400, VERSION),
    "HTTP/0.9 by name": (b"GET / HTTP/0.9\r\nHost: localhost\r\n\r\n", 400, VERSION),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", 400, NOT_HTTP),
    "HTTP/2": (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 400, VERSION),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, NOT_HTTP),
    # the target
    "asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NO_PATH),
    "tunnel": (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NO_PATH),
    "fragment": (b"GET /limits#max HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NO_PATH),
    "another scheme": (b"GET ftp://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, NO_PATH),
    "another host": (b"GET http://evil.com/limits HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, OTHER_HOST),
    "userinfo": (b"GET http://localhost@evil.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, OTHER_HOST),
    # headers
    "NUL in a header": (GET + b"X: a\0b\r\n\r\n", 400, NOT_HTTP),
    "DEL in a header": (GET + b"X: a\x7fb\r\n\r\n", 400, NOT_HTTP),
    "CR in a header": (GET + b"X: a\rb\r\n\r\n", 400, NOT_HTTP),
    "folded header": (GET + b"X: a\r\n b\r\n\r\n", 400, NOT_HTTP),
    "space before a colon": (GET + b"X : a\r\n\r\n", 400, NOT_HTTP),
    "no colon": (GET + b"X\r\n\r\n", 400, NOT_HTTP),
    "header without a name": (GET + b": a\r\n\r\n", 400, NOT_HTTP),
    "lines that end in LF": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400, NOT_HTTP),
    "head that ends in LF": (GET + b"\n", 400, NOT_HTTP),
    # the length of the body
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}", 400, NOT_HTTP),
    "a length twice": (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, NOT_HTTP),
    "list of lengths": (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400, NOT_HTTP),
    "length with a sign": (POST + b"Content-Length: +2\r\n\r\n{}", 400, NOT_HTTP),
    "negative length": (POST + b"Content-Length: -2\r\n\r\n{}", 400, NOT_HTTP),
    "length of 30 digits": (POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n{}", 400, NOT_HTTP),
    "length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400, NOT_HTTP),
    "chunks and length": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", 400, NOT_HTTP),
    "gzip and chunks": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, ENCODING),
    "gzip": (POST + b"Transfer-Encoding: gzip\r\n\r\n", 400, ENCODING),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n{}", 400, ENCODING),
    "no encoding that there is": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, ENCODING),
    "chunks twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NOT_HTTP),
    "chunks in HTTP/1.0": (
        POST.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        ENCODING,
    ),
    "chunk of 0xF...": (POST + b"Transfer-Encoding: chunked\r\n\r\n0xFFFFFFFFFFFFFFFF\r\n{}", 400, NOT_HTTP),
    "chunk of 17 digits": (POST + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}", 400, NOT_HTTP),
    "negative chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", 400, NOT_HTTP),
    "chunk that is longer": (POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 400, NOT_HTTP),
    "chunks that end in LF": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n", 400, NOT_HTTP),
    # too much
    "URL of 64 kB": (b"GET /" + b"a" * 65_536 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, TOO_LARGE),
    "header of 1 MB": (GET + b"X: " + b"a" * 2**20 + b"\r\n\r\n", 431, TOO_LARGE),
    "header name of 1 MB": (GET + b"a" * 2**20 + b": a\r\n\r\n", 431, TOO_LARGE),
    "20,000 headers": (GET + b"X: a\r\n" * 20_000 + b"\r\n", 431, TOO_LARGE),
    "101 headers": (GET + b"X: a\r\n" * MAX_HEADERS + b"\r\n", 431, TOO_LARGE),
    "endless trailer": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"a" * 2**20, 431, TOO_LARGE),
    "endless chunk extension": (POST + b"Transfer-Encoding: chunked\r\n\r\n2;a=" + b"a" * 2**20, 431, TOO_LARGE),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_proper_request_gets_a_problem_and_the_end_of_the_connection(server: WatchedServer, name: str):
    request, status, detail = REFUSED[name]

    async with await Raw.open(server) as raw:
        await raw.send(request)
        answer = await raw.answer()
        rest = await raw.rest()

    check_problem(answer, status, detail)
    assert answer.headers["connection"] == "close"
    assert rest == b""


@pytest.mark.parametrize("name", ["NUL in the line", "folded header", "two lengths", "101 headers", "chunk of 0xF..."])
async def test_it_is_refused_the_same_when_it_comes_byte_by_byte(server: WatchedServer, name: str):
    request, status, detail = REFUSED[name]

    async with await Raw.open(server) as raw:
        for number in range(len(request)):
            await raw.send(request[number : number + 1])
        answer = await raw.answer()

    check_problem(answer, status, detail)


async def test_the_limits_are_those_that_are_documented():
    assert (MAX_HEAD_BYTES, MAX_HEADERS) == (32_768, 100)
    assert (Protocol.HEAD_SECONDS, Protocol.BODY_SECONDS) == (10, 10)


async def test_a_head_at_its_limits_is_read(server: WatchedServer):
    many = b"X: a\r\n" * (MAX_HEADERS - 1)
    long = b"X: " + b"a" * (MAX_HEAD_BYTES - len(GET) - len(b"X: \r\n\r\n")) + b"\r\n"

    async with await Raw.open(server) as raw:
        await raw.send(GET + many + b"\r\n")
        with_many = await raw.answer()
        await raw.send(GET + long + b"\r\n")
        with_long = await raw.answer()
        await raw.send(GET + b"a" + long + b"\r\n")
        too_long = await raw.answer()

    assert (with_many.status_code, with_long.status_code) == (200, 200)
    check_problem(too_long, 431, TOO_LARGE)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"GET /health",
        GET,
        POST + b"Content-Length: 100\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a chunk"],
)
async def test_a_request_that_ends_before_it_is_whole_is_400(server: WatchedServer, request_bytes: bytes):
    async with await Raw.open(server) as raw:
        await raw.send(request_bytes)
        raw.half_close()

        if request_bytes:
            check_problem(await raw.answer(), 400, UNFINISHED)
        assert await raw.rest() == b""


async def test_whoever_closes_its_side_after_a_request_gets_its_answers(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.send((GET + b"\r\n") * 3)
        raw.half_close()

        answers = [await raw.answer() for _ in range(3)]
        assert await raw.rest() == b""

    assert [answer.status_code for answer in answers] == [200] * 3


async def test_whoever_closes_its_side_gets_no_stream(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.ask("GET /events?from=start")
        raw.half_close()

        assert not (await raw.rest()).endswith(b"0\r\n\r\n")


async def test_requests_sent_ahead_are_answered_in_order(server: WatchedServer):
    paths = ["/health/live", "/nothing", "/limits", "/health/ready"] * 25

    async with await Raw.open(server) as raw:
        await raw.send(b"".join(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode() for path in paths))
        answers = [await raw.answer() for _ in paths]

    assert [answer.status_code for answer in answers] == [200, 404, 200, 200] * 25
    assert [answer.json() for answer in answers[:4]] == [answer.json() for answer in answers[-4:]]


async def test_what_is_refused_behind_a_request_does_not_take_its_answer(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.send(GET + b"\r\n" + b"SHOUT / HTTP/1.1\r\n\r\n")
        first, second = await raw.answer(), await raw.answer()

    assert first.json() == {"status": "live"}
    check_problem(second, 400, NOT_HTTP)


async def test_a_hundred_requests_behind_a_stream_neither_disturb_it_nor_keep_it_open(server: WatchedServer, control):
    async with await Raw.open(server) as raw:
        await raw.ask(f"GET {control.asked['events']}?until=idle")
        await raw.send((GET + b"\r\n") * 100)
        parser, seen = Parser(), []
        await raw.reader.readuntil(b"\r\n\r\n")
        while sum(frame.event == "reply.delta" for frame in seen) < 5:
            size = int(await raw.reader.readuntil(b"\r\n"), 16)
            seen += parser.feed((await raw.reader.readexactly(size + 2))[:-2])

    assert seen[0].event == "hello"
    assert (await server.get(reply_path(control.asked))).json()["reply"]["status"] == "running"


async def test_more_than_64_kib_behind_a_stream_cuts_it(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.ask("GET /events")
        await raw.reader.readuntil(b"\r\n\r\n")
        await raw.send(b"a" * (MAX_AHEAD_BYTES + 1))

        with suppress(ConnectionResetError):
            assert not (await raw.rest()).endswith(b"0\r\n\r\n")


async def test_the_body_of_a_get_is_read_past(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.ask("GET /health/live", "Content-Length: 8", body=b"GET / HT")
        await raw.ask("GET /health/ready", "Transfer-Encoding: chunked", body=b"4\r\n\r\n\r\n\r\n0\r\nX: a\r\n\r\n")
        await raw.ask("GET /events", "Content-Length: 8", body=b"GET / HT")

        assert (await raw.answer()).json() == {"status": "live"}
        assert (await raw.answer()).json() == {"status": "ready"}
        head = await raw.reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        assert (await raw.reader.readuntil(b"\n\n")).partition(b"\r\n")[2].startswith(b"retry: ")


async def test_an_answer_that_comes_before_the_body_is_read_by_a_client_that_sends_on(server: WatchedServer):
    async with await Raw.open(server) as raw:
        for connection in ("keep-alive", "close"):
            await raw.ask("POST /send-message", JSON, f"Connection: {connection}", f"Content-Length: {2**23}")
            answer = await raw.answer()
            check_problem(answer, 413, "The body is too large.")
            await raw.send(b"a" * 2**23)

        assert await raw.rest() == b""


async def test_a_body_that_looks_like_an_end_all_over_delays_nobody(server: WatchedServer):
    body = b"\r\n\r\n" * 2**18
    async with await Raw.open(server) as raw, await Raw.open(server) as other:
        sending = asyncio.create_task(
            raw.ask(
                "POST /conversations", JSON, "Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (2**20, body)
            )
        )
        waited = []
        while not raw.reader._buffer:
            before = time.monotonic()
            await other.ask("GET /health/live")
            assert (await other.answer()).status_code == 200
            waited.append(time.monotonic() - before)
        await sending

        check_problem(await raw.answer(), 400, NO_JSON)
    assert len(waited) > 10
    assert max(waited) < sum(waited) / 2


@pytest.mark.parametrize("half_close", [False, True])
async def test_a_body_that_looks_like_an_end_all_over_is_read_whole(server: WatchedServer, half_close: bool):
    space = b"\r\n\r\n\r" * MAX_PIECES * 3
    body = b'{"message":' + space + b'"with much space"}'
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    async with await Raw.open(server) as raw:
        await raw.ask("POST /send-message", JSON, "Transfer-Encoding: chunked", body=chunks + GET + b"\r\n")
        if half_close:
            raw.half_close()

        assert (await raw.answer()).text == "Message sent successfully!"
        assert (await raw.answer()).json() == {"status": "live"}


async def test_a_trailer_is_no_header(server: WatchedServer):
    body = b'7\r\n{"messa\r\n5\r\nge":1\r\n1\r\n}\r\n0\r\nContent-Encoding: gzip\r\nOrigin: x\r\n\r\n'

    async with await Raw.open(server) as raw:
        await raw.ask("POST /send-message", JSON, "Transfer-Encoding: chunked", body=body)

        check_problem(await raw.answer(), 422, "Expected `str`, got `int`.", path="message")


async def test_a_whole_url_of_this_host_is_a_path(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.send(b"GET http://localhost/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        live = await raw.answer()
        await raw.send(b"GET HTTP://localhost:1?limit=1 HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        root = await raw.answer()

    assert live.json() == {"status": "live"}
    assert root.status_code == 200


async def test_http_1_0_gets_its_answer_and_the_end_of_the_connection(server: WatchedServer):
    async with await Raw.open(server) as raw:
        await raw.send(GET.replace(b"/1.1", b"/1.0") + b"\r\n")

        assert (await raw.answer()).json() == {"status": "live"}
        assert await raw.rest() == b""


UPGRADES = {
    "websocket": ("Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
    "h2c": ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    "TLS": ("Upgrade: TLS/1.0",),
}
ROUTES = ["/", "/health/live", "/limits", "/responders", "/conversations", "/conversations/x", "/nothing"]


@pytest.mark.parametrize("name", UPGRADES)
async def test_an_upgrade_is_ignored_on_every_route(server: WatchedServer, name: str):
    async with await Raw.open(server) as raw:
        for path in ROUTES:
            await raw.ask(f"GET {path}", "Connection: Upgrade", *UPGRADES[name])
            upgraded = await raw.answer()
            await raw.ask(f"GET {path}")
            plain = await raw.answer()

            assert (upgraded.status_code, upgraded.content) == (plain.status_code, plain.content)
            assert "upgrade" not in upgraded.headers


@pytest.mark.parametrize("name", UPGRADES)
async def test_an_upgrade_is_ignored_on_a_stream_and_beside_a_body(server: WatchedServer, name: str):
    async with await Raw.open(server) as raw:
        await raw.ask(
            "POST /send-message", "Connection: Upgrade", *UPGRADES[name], JSON, "Content-Length: 2", body=b"{}"
        )
        posted = await raw.answer()
        await raw.ask("GET /events", "Connection: Upgrade", *UPGRADES[name])
        head = await raw.reader.readuntil(b"\r\n\r\n")

    check_problem(posted, 422, "The field is missing.", path="message")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"text/event-stream" in head


@pytest.mark.parametrize("path", [*ROUTES[1:6], "/events", "/conversations/x/events", "/conversations/x/log"])
async def test_head_is_no_method_here(server: WatchedServer, path: str):
    async with await Raw.open(server) as raw:
        await raw.ask(f"HEAD {path}")
        answer = await raw.answer("HEAD")
        await raw.ask("GET /health/live")
        after = await raw.answer()

    assert (answer.status_code, answer.content) == (405, b"")
    assert "GET" in answer.headers["allow"].split(", ")
    assert after.json() == {"status": "live"}


@pytest.mark.parametrize(("path", "method"), [("/events", "POST"), ("/limits", "DELETE"), ("/send-message", "GET")])
async def test_another_method_is_405_and_told_which_there_are(server: WatchedServer, path: str, method: str):
    async with await Raw.open(server) as raw:
        await raw.ask(f"{method} {path}")
        answer = await raw.answer()
        await raw.ask(f"OPTIONS {path}")
        options = await raw.answer()

    check_problem(answer, 405, "This path does not take that method.")
    assert options.status_code == 204
    assert sorted(answer.headers["allow"].split(", ")) == sorted(options.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "path",
    ["/%00", "/..%2f", "/../limits", "//", "//limits", "/%2flimits", "/%ff", "/%zz", "/%", "/%c0%af", "/\\limits"],
)
async def test_an_odd_path_is_404(server: WatchedServer, path: str):
    async with await Raw.open(server) as raw:
        await raw.ask(f"GET {path}")
        answer = await raw.answer()

    check_problem(answer, 404, "There is nothing at this path.")


async def test_a_cursor_of_10_kb_in_the_query_is_malformed_and_no_error(server: WatchedServer, control):
    async with await Raw.open(server) as raw:
        await raw.ask(f"GET {control.asked['events']}?after={'x' * 10_000}")
        await raw.reader.readuntil(b"event: hello\n")
        hello = await raw.reader.readuntil(b"\n\n")

    assert b'"resumed":false,"reason":"epoch"' in hello


async def test_a_reader_with_a_small_buffer_that_reads_byte_by_byte_gets_the_same(server: WatchedServer, control):
    async with await Raw.open(server, receive_buffer=4096) as raw:
        await raw.ask(f"GET {control.asked['events']}")
        await raw.reader.readuntil(b"\r\n\r\n")
        seen = b"".join([await raw.reader.readexactly(1) for _ in range(1000)])

    assert seen.partition(b"\r\n")[2].startswith(b"retry: ")
