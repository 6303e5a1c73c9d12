"""Replies with one reader each: paced, in a closed loop, and how soon the first token comes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from statistics import quantiles

from benchmarks.checks import frames, same
from benchmarks.load import Connection, Count, connect
from benchmarks.model import WORDS
from benchmarks.servers import Server
from benchmarks.sizes import Sizes
from benchmarks.usage import Usage

ENDLESS = 100_000
"""More tokens than are waited for."""
WARM_QUESTIONS = 20
SAMPLED = 10
"""One reply in so many is timed token by token: to time all of them would be most of the load's work."""


async def paced(server: Server, sizes: Sizes) -> dict[str, float]:
    """Stream many paced replies at once, each to who asked for it; a server that falls behind delivers less than 1."""
    await _check(server, sizes)
    rate = sizes.tokens_per_second
    count = Count(server.contender.token)
    readers = [Connection(count, keep=not n % SAMPLED, timed=not n % SAMPLED) for n in range(sizes.replies)]
    asking = [asyncio.create_task(_ask_later(server, reader, n, sizes)) for n, reader in enumerate(readers)]
    try:
        await asyncio.sleep(2 * sizes.settle_seconds)
        await count.reaches(sizes.replies)
        start, began = count.total, time.monotonic()
        with Usage(server) as usage:
            await asyncio.sleep(sizes.window_seconds)
            done = count.total - start
    finally:
        for task in asking:
            task.cancel()
        for reader in readers:
            reader.close()
    window = (began, began + usage.seconds)
    lags = [lag for reader in readers[::SAMPLED] for lag in _lags(reader, rate, window)]
    return {
        "us_per_token": usage.cpu / done * 1e6,
        "delivered": done / usage.seconds / (rate * sizes.replies),
        **_percentiles(lags),
        **usage.busy(),
    }


async def _ask_later(server: Server, reader: Connection, number: int, sizes: Sizes) -> None:
    await asyncio.sleep(sizes.settle_seconds * number / sizes.replies)  # not all tokens at once
    await connect(server.port, [reader], [server.contender.ask(ENDLESS, sizes.tokens_per_second)])


def _lags(reader: Connection, rate: float, window: tuple[float, float]) -> list[float]:
    """Return how many seconds after it was due each token came; the first one says when the model began."""
    assert reader.kept is not None
    assert reader.times is not None
    first = next(_words(reader), None)
    if first is None:
        return []
    start = int(first) / 1e9
    lags, before = [], 0
    for at, seen in reader.times:
        if window[0] <= at < window[1]:
            lags += [at - (start + number / rate) for number in range(before, seen)]
        before = seen
    return lags


def _words(reader: Connection) -> Iterator[str]:
    """Yield the pieces of a reply that a connection has kept."""
    for frame in frames(reader):
        if frame.event not in {"message", "reply.delta"} or frame.data == "[DONE]":
            continue
        told = json.loads(frame.data)
        if "choices" not in told:
            yield told["text"]
        elif text := told["choices"][0]["delta"].get("content"):
            yield text


async def closed_loop(server: Server, sizes: Sizes) -> dict[str, float]:
    """Let clients ask for one reply after another; each token comes in a turn of the loop of its own."""
    return await _loop(server, sizes, burst=False)


async def closed_loop_in_bursts(server: Server, sizes: Sizes) -> dict[str, float]:
    """The same with a model that hands over all tokens without a pause, as none does."""
    return await _loop(server, sizes, burst=True)


async def _loop(server: Server, sizes: Sizes, *, burst: bool) -> dict[str, float]:
    await _check(server, sizes, burst=burst)
    question = server.contender.ask(sizes.tokens, burst=burst)
    count = Count(server.contender.token)
    clients = [Connection(count) for _ in range(sizes.clients)]
    answers = 0

    def again(client: Connection) -> None:
        nonlocal answers
        answers += 1
        client.send(question)

    for client in clients:
        client.on_end = lambda client=client: again(client)  # type: ignore[misc]
    await connect(server.port, clients, (question for _ in clients))
    await asyncio.sleep(sizes.settle_seconds)
    before, tokens = answers, count.total
    with Usage(server) as usage:
        await asyncio.sleep(sizes.loop_seconds)
        done, tokens = answers - before, count.total - tokens
    for client in clients:
        client.close()
    return {
        "answers_per_second": done / usage.seconds,
        "tokens_per_second": tokens / usage.seconds,
        "us_per_token": usage.cpu / tokens * 1e6,
        **usage.busy(),
    }


async def paced_completions(server: Server, sizes: Sizes) -> dict[str, float]:
    """Stream many paced replies as OpenAI's chat completions."""
    return await paced(server.as_openai(), sizes)


async def closed_loop_of_completions(server: Server, sizes: Sizes) -> dict[str, float]:
    """Let clients ask for one of OpenAI's chat completions after another."""
    return await _loop(server.as_openai(), sizes, burst=False)


async def first_token(server: Server, sizes: Sizes) -> dict[str, float]:
    """Ask one question after another of a server that has nothing else to do."""
    return await _first_tokens(server, sizes)


async def first_token_beside_others(server: Server, sizes: Sizes) -> dict[str, float]:
    """The same while some paced replies run."""
    others = [Connection(Count(server.contender.token)) for _ in range(sizes.light_replies)]
    await connect(server.port, others, (server.contender.ask(ENDLESS, sizes.tokens_per_second) for _ in others))
    try:
        return await _first_tokens(server, sizes)
    finally:
        for other in others:
            other.close()


async def _first_tokens(server: Server, sizes: Sizes) -> dict[str, float]:
    question = server.contender.ask(5)
    count = Count(server.contender.token)
    client = Connection(count)
    await connect(server.port, [client])
    taken = []
    for number in range(sizes.questions + WARM_QUESTIONS):
        began, first, ended = time.monotonic(), asyncio.Event(), asyncio.Event()
        client.on_first, client.on_end = first.set, ended.set
        client.send(question)
        await first.wait()
        if number >= WARM_QUESTIONS:
            taken.append(time.monotonic() - began)
        await ended.wait()
    client.close()
    return _percentiles(taken)


def _percentiles(seconds: list[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}


async def _check(server: Server, sizes: Sizes, *, burst: bool = False) -> None:
    """Prove with a real parser that an answer holds every token, in order."""
    client = Connection(Count(server.contender.token), keep=True)
    ended = asyncio.Event()
    client.on_end = ended.set
    await connect(server.port, [client], [server.contender.ask(sizes.tokens, burst=burst)])
    async with asyncio.timeout(10):
        await ended.wait()
    client.close()
    same(list(_words(client))[1:], [WORDS[number % len(WORDS)] for number in range(1, sizes.tokens)])
    same([str(client.seen)], [str(sizes.tokens)])
