"""A signal drains the server (G11): what runs goes on, nothing new begins, and every stream ends with a word."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.api.wire import STALL_SECONDS
from app.running import DRAINED_IN_SECONDS
from app.server import LAST_WORDS_SECONDS, LEAVE_SECONDS
from app.settings import Settings
from tests.faults import faulty
from tests.faults.asker import Asker
from tests.faults.invariants import check
from tests.faults.readiness import is_ready
from tests.faults.stalled import stalled_reader
from tests.faults.watcher import Watcher
from tests.support.server import Server
from tests.support.sse import EventStream

pytestmark = pytest.mark.slow

ENDLESS: dict[str, Any] = {
    "responder": "mock",
    "options": {"tokens": 100_000, "tokens_per_second": 50, "first_token_delay": 0},
}
StartServer = Callable[..., Awaitable[Server]]
SOON = 15.0
"""Less than the time of a drain, and than a reader may stall; how fast the machine is does not matter."""


def test_what_the_server_waits_for_at_its_end_is_over_in_three_seconds_with_time_to_spare() -> None:
    assert DRAINED_IN_SECONDS + LAST_WORDS_SECONDS + LEAVE_SECONDS <= 2.5
    assert min(Settings().drain_seconds, STALL_SECONDS) > SOON


async def ends_well(server: Server) -> None:
    """Wait for the end of the process, sooner than anything that must not hold it is over, and see that it was good."""
    assert await server.wait(SOON) == 0
    assert not [entry for entry in server.log if not isinstance(entry, dict) or "exception" in entry]
    assert server.log[-1]["event"] == "ended"


async def ends_with_bye(stream: EventStream) -> None:
    """Read a stream to its end: `retry`, `bye` for the drain, and no frame cut in half."""
    await stream.rest(within=8)  # sooner than the next ping, which wakes a stream as well
    stream.cut()
    assert stream.status in (200, 201)
    assert stream.frames[-1].event == "bye"
    assert stream.frames[-1].json["reason"] == "drain"
    assert stream.frames[-1].json["retry_after"] == (stream.parser.retry or 0) / 1000
    assert stream.raw.count(b"retry: ") == 2
    assert stream.raw.endswith(b"\n\n")


async def test_a_draining_server_sees_running_replies_through_and_takes_no_new_ones(server: Server) -> None:
    asker = Asker(server)
    quiet = await asker.ask("Be quick", responder="echo")
    busy = await asker.ask(**ENDLESS)
    await server.ended(quiet.answer)
    running = await server.listen(busy.events)
    still = await server.listen(quiet.events)
    channel = await server.listen("/events")
    await still.until("snapshot")
    await channel.until("message")
    await running.until("reply.delta")

    await server.signal(signal.SIGTERM)
    await is_ready(server, 503)

    for path in ("/conversations", f"/conversations/{quiet.conversation_id}/messages"):
        refused = await server.post(path, {"prompt": "One more?"})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
    for stream in (still, channel, await server.listen(quiet.events), await server.listen("/events")):
        await ends_with_bye(stream)
    joined = await server.listen(busy.events, cursor=busy.answer["cursor"])
    await joined.until("reply.delta")
    seen = len(running.events())
    await running.until("reply.delta")

    stopped = await server.post(f"/conversations/{busy.conversation_id}/replies/{busy.reply_id}/stop")

    assert stopped.json()["reply"]["status"] == "cancelled"
    for stream in (running, joined):
        await ends_with_bye(stream)
        assert stream.frames[-2].event == "reply.ended"
    assert len(running.events()) > seen
    await ends_well(server)


async def test_what_runs_when_the_drain_time_is_up_ends_interrupted_and_what_waits_starts_next_time(
    start_server: StartServer,
) -> None:
    server = await start_server(drain_seconds=0.5)
    asker = Asker(server)
    running = await asker.ask(**ENDLESS)
    waiting = await asker.ask(
        "Say this later", f"/conversations/{running.conversation_id}/messages", responder="echo", if_running="queue"
    )
    stream = await server.listen(running.events)
    await stream.until("reply.delta")
    async with Watcher(server, running.events) as watcher:
        await watcher.saw(lambda frame: frame.event == "reply.delta")

        await server.signal(signal.SIGTERM)
        await ends_with_bye(stream)
        await ends_well(server)

        assert stream.frames[-2].json["status"] == "interrupted"
        assert all(leg.end == "clean" and leg.whole for leg in watcher.legs)
        await server.start()
        assert (await server.ended(waiting.answer))["status"] == "completed"
        await watcher.saw(lambda frame: frame.event == "reply.ended" and frame.json["reply_id"] == waiting.reply_id)
        stories = await check(server, asker.posted, [watcher])
    statuses = stories[running.conversation_id].statuses()
    assert statuses == {running.reply_id: "interrupted", waiting.reply_id: "completed"}


async def test_an_interrupt_drains_as_well_and_a_second_signal_ends_all_at_once(server: Server) -> None:
    asker = Asker(server)
    posted = await asker.ask(**ENDLESS)
    async with Watcher(server, posted.events) as watcher:
        await watcher.saw(lambda frame: frame.event == "reply.delta")
        await server.signal(signal.SIGINT)
        await is_ready(server, 503)

        await server.signal(signal.SIGTERM)
        await ends_well(server)

        await watcher.until(lambda: watcher.legs[-1].end != "open")
        assert all(leg.end == "clean" and leg.whole for leg in watcher.legs)
        await server.start()
        await watcher.saw(lambda frame: frame.event == "reply.ended")
        stories = await check(server, asker.posted, [watcher])
    assert stories[posted.conversation_id].statuses() == {posted.reply_id: "interrupted"}


async def test_streams_of_answers_and_long_polls_end_with_the_drain(server: Server) -> None:
    running = await server.ask(**ENDLESS)
    path = f"/conversations/{running['conversation']['id']}"
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    body = b'{"prompt": "Later", "if_running": "queue"}'
    waiting = await EventStream.open(f"{server.url}{path}/messages", method="POST", headers=headers, body=body)
    await waiting.until("reply.created")
    poll = asyncio.create_task(server.get(f"{path}/replies/{running['reply']['id']}?wait=30"))
    await server.get(f"{path}/replies/{running['reply']['id']}")

    await server.signal(signal.SIGTERM)

    await ends_with_bye(waiting)
    assert (await poll).json()["reply"]["status"] == "running"
    await server.signal(signal.SIGTERM)
    await ends_well(server)


async def test_neither_a_stalled_reader_nor_a_stubborn_responder_holds_the_end(start_server: StartServer) -> None:
    server = await start_server(drain_seconds=0.5, max_reply_bytes=2**25, responder=f"{faulty.__file__}:faulty")
    asker = Asker(server)
    stubborn = await asker.ask("stubborn")
    flood = await asker.ask("flood 8")
    async with (
        Watcher(server, stubborn.events, cursor=stubborn.answer["cursor"]) as watcher,
        stalled_reader(server, f"{flood.events}?from=start") as stalled,
    ):
        await server.ended(flood.answer)
        await watcher.saw(lambda frame: frame.event == "reply.delta")

        await server.signal(signal.SIGTERM)
        await ends_well(server)

        assert stalled.held
        await watcher.until(lambda: watcher.legs[-1].end != "open")
        assert all(leg.end == "clean" and leg.whole for leg in watcher.legs)
        assert watcher.events[-1].json["status"] == "interrupted"
        assert watcher.events[-1].json["text"] == "I will not go. "
