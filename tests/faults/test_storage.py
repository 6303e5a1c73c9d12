"""Storage that fails (G15): a full disk under a running server."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.asker import Asker
from tests.faults.disk import no_commit_fits, no_file_grows, nothing_left, small_disk
from tests.faults.invariants import check, check_watcher
from tests.faults.readiness import is_ready
from tests.faults.watcher import Watcher
from tests.support.server import Server

pytestmark = pytest.mark.slow

ENDLESS: dict[str, Any] = {
    "responder": "mock",
    "options": {"tokens": 100_000, "tokens_per_second": 100, "first_token_delay": 0},
}
StartServer = Callable[..., Awaitable[Server]]
Full = Callable[[Server], AbstractContextManager[None]]


@pytest.fixture(params=[no_file_grows, no_commit_fits, nothing_left], ids=lambda full: full.__name__)
def full(request: pytest.FixtureRequest) -> Full:
    return request.param


@pytest.fixture
def data(full: Full, tmp_path: Path) -> Iterator[Path]:
    """A data folder that can be filled that way."""
    if full is not nothing_left:
        yield tmp_path / "data"
        return
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("mounting a small file system needs rights that this process has not")
        yield tmp_path / "disk"


async def test_a_full_disk_refuses_prompts_keeps_streams_and_heals_without_a_restart(
    start_server: StartServer, data: Path, full: Full
) -> None:
    server = await start_server(data=data)
    asker = Asker(server)
    quiet = await asker.ask("Be quick", responder="echo")
    await server.ended(quiet.answer)
    running = await asker.ask(**ENDLESS)
    waiting = await asker.ask(
        "Say this later", f"/conversations/{running.conversation_id}/messages", responder="echo", if_running="queue"
    )
    async with (
        Watcher(server, running.events, cursor=running.answer["cursor"]) as watcher,
        Watcher(server, quiet.events) as still,
        Watcher(server, "/events") as channel,
    ):
        await watcher.saw(lambda frame: frame.event == "reply.delta")
        await channel.saw(lambda frame: frame.event == "message")

        with full(server):
            await is_ready(server, 503)
            for path, body in (
                ("/conversations", {"prompt": "One more?"}),
                (f"/conversations/{quiet.conversation_id}/messages", {"prompt": "One more?"}),
                ("/send-message", {"message": "Anybody?"}),
            ):
                refused = await server.post(path, body)
                assert refused.status_code == 503
                assert int(refused.headers["Retry-After"]) > 0
                assert str(data) not in refused.text
            reading = (await server.get(f"/conversations/{running.conversation_id}")).json()
            assert reading["conversation"]["running"] == [running.reply_id, waiting.reply_id]
            async with Watcher(server, running.events) as newcomer:
                snapshot = await newcomer.saw(lambda frame: frame.event == "snapshot")
            assert snapshot.json["messages"] == reading["messages"]
            assert watcher.cursor == reading["cursor"]

        await is_ready(server, 200)
        interrupted = await server.ended(running.answer)
        assert interrupted["status"] == "interrupted"
        assert interrupted["text"] == reading["messages"][1]["text"]
        assert (await server.ended(waiting.answer))["status"] == "completed"
        again = await asker.retry(running)
        await watcher.saw(lambda frame: frame.event == "reply.delta" and frame.json["reply_id"] == again.reply_id)
        await server.post(f"/conversations/{again.conversation_id}/replies/{again.reply_id}/stop")
        await watcher.saw(lambda frame: frame.event == "reply.ended" and frame.json["reply_id"] == again.reply_id)
        stories = await check(server, asker.posted, [watcher, still])
        check_watcher(newcomer, stories[running.conversation_id], arrived=False)
        assert [len(w.legs) for w in (watcher, still, channel)] == [1, 1, 1]
        assert [frame.event for frame in channel.frames] == ["hello", "message"]


async def test_a_server_that_nobody_writes_to_is_ready_again_once_there_is_room(start_server: StartServer) -> None:
    server = await start_server()
    with no_file_grows(server):
        assert (await server.post("/conversations", {"prompt": "Is there room?"})).status_code == 503
        await is_ready(server, 503)

    await is_ready(server, 200)


async def test_a_full_disk_does_not_hold_the_end(start_server: StartServer) -> None:
    server = await start_server(drain_seconds=0.5)
    asker = Asker(server)
    posted = await asker.ask(**ENDLESS)
    async with Watcher(server, posted.events, cursor=posted.answer["cursor"]) as watcher:
        await watcher.saw(lambda frame: frame.event == "reply.delta")
        with no_file_grows(server):
            await is_ready(server, 503)

            await server.signal(signal.SIGTERM)
            status = await server.wait(within=15)  # what test_drain.py says of the time holds here, too

        assert status == 0
        assert not [entry for entry in server.log if not isinstance(entry, dict) or "exception" in entry]
        assert all(leg.end == "clean" and leg.whole for leg in watcher.legs)
        await server.start()
        await watcher.saw(lambda frame: frame.event == "reply.ended")
        stories = await check(server, asker.posted, [watcher])
    assert stories[posted.conversation_id].statuses() == {posted.reply_id: "interrupted"}
