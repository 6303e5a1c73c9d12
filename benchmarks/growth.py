"""What a token costs when much is stored already: in a long conversation, and beside many others."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from statistics import median

from benchmarks import replies
from benchmarks.asking import ask
from benchmarks.checks import Wrong
from benchmarks.load import Connection, Count, connect
from benchmarks.servers import ROOT, Contender, Server
from benchmarks.sizes import Sizes
from benchmarks.usage import Usage

REPEATS = 2
FILL_SECONDS = 300


async def in_a_long_conversation(contender: Contender, folder: Path, shared: Path, sizes: Sizes) -> dict[str, float]:
    """Stream replies in a short and in a long conversation of two servers, by turns."""
    del folder  # what is measured is in folders that are filled once
    short, [in_short] = await _prepared(shared / "short", contender, 1, sizes.short_messages // 2)
    long, [in_long] = await _prepared(shared / "long", contender, 1, sizes.long_messages // 2)
    costs: dict[str, list[float]] = {"short": [], "long": []}
    with Server(contender, short) as few, Server(contender, long) as many:
        for _ in range(REPEATS):
            costs["short"].append(await _cost(few, in_short, sizes))
            costs["long"].append(await _cost(many, in_long, sizes))
    return _ratio(median(costs["short"]), median(costs["long"]))


async def _cost(server: Server, conversation: str, sizes: Sizes) -> float:
    """Return the CPU seconds per token of one paced reply, from its first token to its last."""
    asked = await ask(server, sizes.growth_tokens, sizes.growth_rate, conversation=conversation)
    count = Count(server.contender.token)
    client = Connection(count)
    await connect(server.port, [client], [asked.watch()])
    await count.reaches(1)
    start = count.total
    if start > sizes.growth_tokens / 2:
        raise Wrong("the load came too late: the reply was nearly over")
    with Usage(server) as usage:
        await count.reaches(sizes.growth_tokens)
    client.close()
    return usage.cpu / (sizes.growth_tokens - start)


async def beside_many_conversations(contender: Contender, folder: Path, shared: Path, sizes: Sizes) -> dict[str, float]:
    """Stream paced replies on an empty server and on one that has stored many conversations."""
    stored, _ = await _prepared(shared / "conversations", contender, sizes.stored_conversations, 1)
    costs = []
    for place in (folder, stored):
        with Server(contender, place) as server:
            costs.append((await replies.paced(server, sizes))["us_per_token"] / 1e6)
    return _ratio(*costs)


def _ratio(before: float, after: float) -> dict[str, float]:
    return {"before_us": before * 1e6, "after_us": after * 1e6, "ratio": after / before}


async def _prepared(place: Path, contender: Contender, conversations: int, turns: int) -> tuple[Path, list[str]]:
    """Return a folder with so much in it, which is filled once in a run, and the ids of its conversations."""
    if not place.exists():  # noqa: ASYNC240 - one look
        await asyncio.to_thread(_fill, place, Path(contender.command[0]).with_name("python"), conversations, turns)
    return place, json.loads((place / "ids.json").read_bytes())


def _fill(place: Path, python: Path, conversations: int, turns: int) -> None:
    place.mkdir()
    filled = subprocess.run(
        [str(python), "-m", "benchmarks.prepare", str(place / "data"), str(conversations), str(turns)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=FILL_SECONDS,
    )
    (place / "ids.json").write_bytes(filled.stdout)
