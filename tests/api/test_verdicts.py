"""The verdict on a client's cursor: G5's table, row by row, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.api.watched import QUICK, WatchedServer, path_of
from tests.support.sse import Frame

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

FAR_BEHIND = 5000


def move(cursor: str, by: int) -> str:
    epoch, _, seq = cursor.rpartition("-")
    return f"{epoch}-{int(seq) + by:012d}"


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def talk(server: WatchedServer) -> AsyncIterator[dict[str, Any]]:
    """An idle conversation of 5,010 events; `head` is its cursor."""
    options = {"tokens": 5006, "tokens_per_second": None, "first_token_delay": 0}
    asked = await server.ask("Say very much", responder="mock", options=options)
    await server.ended(asked)
    yield asked | {"head": (await server.get(path_of(asked))).json()["cursor"]}


async def opening(server: WatchedServer, path: str, cursor: str | None = None) -> tuple[dict[str, Any], Frame | None]:
    """Return `hello` and the frame behind it, None where the stream waits at the head."""
    async with await server.listen(path + ("&" if "?" in path else "?") + "until=idle", cursor) as stream:
        frames = await stream.rest()
        assert [frame.event for frame in frames].count("snapshot") <= 1
        return frames[0].json, frames[1] if len(frames) > 1 else None


def check_refused(hello: dict[str, Any], first: Frame | None, reason: str | None, head: str) -> None:
    assert (hello["resumed"], hello["reason"], hello["cursor"]) == (False, reason, head)
    assert first
    assert (first.event, first.id, first.json["cursor"]) == ("snapshot", head, head)


async def test_no_cursor_gets_a_snapshot(server: WatchedServer, talk: dict):
    hello, first = await opening(server, talk["events"])

    check_refused(hello, first, None, talk["head"])


async def test_an_empty_cursor_is_none(server: WatchedServer, talk: dict):
    by_header = await opening(server, talk["events"], "")
    by_query = await opening(server, talk["events"] + "?after=")

    check_refused(*by_header, None, talk["head"])
    check_refused(*by_query, None, talk["head"])


@pytest.mark.parametrize("behind", [1, 2, 1000, FAR_BEHIND])
async def test_a_cursor_inside_the_log_gets_everything_after_it(server: WatchedServer, talk: dict, behind: int):
    cursor = move(talk["head"], -behind)

    async with await server.listen(talk["events"] + "?until=idle", cursor) as stream:
        frames = await stream.rest()

    hello = frames[0].json
    assert (hello["resumed"], hello["reason"], hello["cursor"]) == (True, None, cursor)
    assert [frame.id for frame in frames[1:]] == [move(cursor, by) for by in range(1, behind + 1)]


async def test_a_cursor_at_the_head_goes_on_live(server: WatchedServer):
    asked = await server.ask("Begin", **QUICK)
    await server.ended(asked)
    head = (await server.get(path_of(asked))).json()["cursor"]
    async with await server.listen(asked["events"], head) as stream:
        hello = await stream.next()

        await server.ask("Go on", path_of(asked) + "/messages", **QUICK)

        assert (hello.json["resumed"], hello.json["cursor"]) == (True, head)
        assert (await stream.next()).id == move(head, 1)


async def test_the_cursor_before_the_first_event_is_inside_the_log(server: WatchedServer):
    asked = await server.ask("Begin", **QUICK)
    await server.ended(asked)

    hello, first = await opening(server, asked["events"], asked["cursor"])

    assert asked["cursor"].endswith("-000000000000")
    assert (hello["resumed"], hello["cursor"]) == (True, asked["cursor"])
    assert first
    assert first.seq == 1


async def test_a_cursor_further_behind_gets_a_snapshot(server: WatchedServer, talk: dict):
    hello, first = await opening(server, talk["events"], move(talk["head"], -FAR_BEHIND - 1))

    check_refused(hello, first, "behind", talk["head"])


async def test_from_start_is_never_too_far_behind(server: WatchedServer, talk: dict):
    log = await server.log_of(talk)

    assert len(log) > FAR_BEHIND
    assert log[-1]["id"] == talk["head"]


@pytest.mark.parametrize("ahead", [1, 10, 999_999_900_000])
async def test_a_cursor_beyond_the_head_gets_a_snapshot(server: WatchedServer, talk: dict, ahead: int):
    hello, first = await opening(server, talk["events"], move(talk["head"], ahead))

    check_refused(hello, first, "ahead", talk["head"])


async def test_a_cursor_of_another_stream_is_of_another_epoch(server: WatchedServer, talk: dict):
    other = await server.ask("Somebody else", **QUICK)
    await server.ended(other)
    async with await server.listen("/events") as stream:
        broadcast = (await stream.next()).json["cursor"]

    for cursor in ((await server.get(path_of(other))).json()["cursor"], broadcast):
        check_refused(*await opening(server, talk["events"], cursor), "epoch", talk["head"])


MALFORMED = {
    "upper": "{UPPER}",
    "longer": "{head}0",
    "underscore": "{epoch}_000000000001",
    "space-behind": "{head} x",
    "twice": "{head},{head}",
    "tab": "{head}\t{head}",
    "epoch-only": "{epoch}",
    "no-number": "{epoch}-",
    "minus": "{epoch}--00000000001",
    "plus": "{epoch}-+00000000001",
    "underscores": "{epoch}-0000_0000_01",
    "unpadded": "{epoch}-1",
    "exponent": "{epoch}-00000000001e",
    "hex": "{epoch}-0x0000000010",
    "10^30": "{epoch}-1000000000000000000000000000000",
    "arabic-digits": "{epoch}-" + "٠" * 11 + "١",
    "fullwidth-digits": "{epoch}-" + "\uff10" * 11 + "\uff11",
    "-1": "-1",
    "+5": "+5",
    "5": "5",
    "1e9": "1e9",
    "0x10": "0x10",
    "dollar": "$",
    "star": "*",
    "greater": ">",
    "null": "null",
    "sql": "'; DROP TABLE streams; --",
    "utf-8": "epoché-ünïcode-🐋",
    "over-128-bytes": "{head}{head}{head}{head}{head}{head}",
    "10-kB": "x" * 10_000,
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_cursor_is_of_no_epoch(server: WatchedServer, talk: dict, name: str):
    head = talk["head"]
    cursor = MALFORMED[name].format(head=head, epoch=head.rpartition("-")[0], UPPER=head.upper())

    by_header = await opening(server, talk["events"], cursor.encode().decode("latin-1"))
    by_query = await opening(server, f"{talk['events']}?after={quote(cursor)}")

    check_refused(*by_header, "epoch", head)
    check_refused(*by_query, "epoch", head)


@pytest.mark.parametrize("cursor", ["\xe9", "\xff\xfe", "\x80", "x\xa0"], ids=ascii)
async def test_a_header_in_latin_1_is_of_no_epoch(server: WatchedServer, talk: dict, cursor: str):
    hello, first = await opening(server, talk["events"], cursor)

    check_refused(hello, first, "epoch", talk["head"])


async def test_a_header_sent_twice_is_of_no_epoch(server: WatchedServer, talk: dict):
    twice = {"last-event-id": talk["head"], "Last-Event-ID": move(talk["head"], -1)}

    async with await server.listen(talk["events"], headers=twice) as stream:
        hello, first = await stream.next(), await stream.next()

    check_refused(hello.json, first, "epoch", talk["head"])


@pytest.mark.parametrize(
    "query",
    ["%00", "%0d%0a", "%09", "%ff", "%zz", "%c0%af", "%ed%a0%80"],
)
async def test_bytes_that_are_no_text_in_the_query_are_of_no_epoch(server: WatchedServer, talk: dict, query: str):
    hello, first = await opening(server, f"{talk['events']}?after={query}")

    check_refused(hello, first, "epoch", talk["head"])


async def test_the_query_serves_where_there_is_no_header(server: WatchedServer, talk: dict):
    cursor = move(talk["head"], -3)

    hello, first = await opening(server, f"{talk['events']}?after={cursor}")
    beside_an_empty_header = await opening(server, f"{talk['events']}?after={cursor}", "")

    assert (hello["resumed"], hello["cursor"]) == (True, cursor)
    assert first
    assert first.id == move(cursor, 1)
    assert beside_an_empty_header == (hello, first)


async def test_the_header_wins_over_the_query(server: WatchedServer, talk: dict):
    by_header, by_query = move(talk["head"], -3), move(talk["head"], -7)

    hello, _ = await opening(server, f"{talk['events']}?after={by_query}", by_header)
    refused, first = await opening(server, f"{talk['events']}?after={by_query}", "malformed")

    assert (hello["resumed"], hello["cursor"]) == (True, by_header)
    check_refused(refused, first, "epoch", talk["head"])


async def test_a_query_given_twice_is_of_no_epoch(server: WatchedServer, talk: dict):
    cursors = [move(talk["head"], -3), move(talk["head"], -7)]

    hello, first = await opening(server, f"{talk['events']}?after={cursors[0]}&after={cursors[1]}")

    check_refused(hello, first, "epoch", talk["head"])
