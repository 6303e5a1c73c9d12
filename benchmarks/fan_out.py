"""One stream to many subscribers: as fast as it goes, and at a pace."""

from __future__ import annotations

import asyncio

from benchmarks.asking import ask
from benchmarks.checks import Frame, frames, same
from benchmarks.load import Connection, Count, connect, subscribe
from benchmarks.servers import Server, request
from benchmarks.sizes import Sizes
from benchmarks.usage import Usage

EVENTS = request("GET", "/events", accept="text/event-stream")
SAID = b"Message sent successfully!"
TEXT = "message {:06d} of the benchmark, as long as most that people send"


def say(number: int) -> bytes:
    """Return the request that publishes message `number`."""
    return request("POST", "/send-message", {"message": TEXT.format(number)})


async def fan_out(server: Server, sizes: Sizes) -> dict[str, float]:
    """Publish so many messages with a few clients that each wait for their answer, until all are delivered."""
    return await _broadcast(server, sizes, sizes.fan_out_messages, publishers=sizes.publishers)


async def fan_out_paced(server: Server, sizes: Sizes) -> dict[str, float]:
    """Publish messages at a fixed rate; the same work a second for every server."""
    return await _broadcast(server, sizes, sizes.paced_messages, per_second=sizes.messages_per_second)


async def _broadcast(
    server: Server, sizes: Sizes, messages: int, *, publishers: int = 1, per_second: float | None = None
) -> dict[str, float]:
    count = Count(server.contender.event)
    subscribers = await subscribe(server.port, EVENTS, count, sizes.subscribers)
    await count.reaches(await _check(server) * sizes.subscribers)
    await asyncio.sleep(sizes.settle_seconds)
    answers = Count(SAID)
    clients = [Connection(answers) for _ in range(publishers)]
    await connect(server.port, clients)
    start = count.total
    goal = messages * sizes.subscribers
    with Usage(server) as usage:
        if per_second is None:
            _publish_in_turns(clients, messages)
        else:
            await publish_at_a_pace(clients[0], messages, per_second)
        await count.reaches(start + goal)
    for connection in [*subscribers, *clients]:
        connection.close()
    return {"events_per_second": goal / usage.seconds, "us_per_event": usage.cpu / goal * 1e6, **usage.busy()}


def _publish_in_turns(clients: list[Connection], messages: int) -> None:
    left = iter(range(messages))

    def publish(client: Connection) -> None:
        if (number := next(left, None)) is not None:
            client.send(say(number))

    for client in clients:
        client.on_first = lambda client=client: publish(client)  # type: ignore[misc]
        publish(client)


async def publish_at_a_pace(client: Connection, messages: int, per_second: float) -> None:
    """Publish so many messages at a fixed rate."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(messages):
        await asyncio.sleep(max(0.0, start + number / per_second - loop.time()))
        client.send(say(number))


async def _check(server: Server) -> int:
    """Prove with a real parser that subscribers get every message whole and in order; return how many it said."""
    texts = [TEXT.format(number) for number in range(20)]
    count = Count(server.contender.event)
    watchers = await subscribe(server.port, EVENTS, count, 3, keep=True)
    answers = Count(SAID)
    client = Connection(answers)
    await connect(server.port, [client])
    for number in range(len(texts)):
        client.send(say(number))
        await answers.reaches(number + 1)
    await count.reaches(len(watchers) * len(texts))
    for watcher in watchers:
        same([frame.data for frame in frames(watcher) if _is_message(frame)], texts)
    for connection in [*watchers, client]:
        connection.close()
    return len(texts)


def _is_message(frame: Frame) -> bool:
    return frame.event == "message" and not frame.data.endswith("joined!")


async def reply_to_many(server: Server, sizes: Sizes) -> dict[str, float]:
    """Stream one paced reply to many subscribers of its conversation; only ours can."""
    asked = await ask(server, 1)
    count = Count(server.contender.token)
    subscribers = await subscribe(server.port, asked.watch(), count, sizes.subscribers)
    await count.reaches(sizes.subscribers)
    goal = sizes.paced_messages * sizes.subscribers
    with Usage(server) as usage:
        await ask(server, sizes.paced_messages, sizes.messages_per_second, conversation=asked.conversation)
        await count.reaches(goal + sizes.subscribers)
    for connection in subscribers:
        connection.close()
    return {"events_per_second": goal / usage.seconds, "us_per_event": usage.cpu / goal * 1e6, **usage.busy()}
