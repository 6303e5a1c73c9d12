"""What a token costs that comes from an upstream, read by our adapter and by OpenAI's own library.

This process is the upstream, and the reader is one of its own: the same bytes for both, and on the other core.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path

from benchmarks.checks import Wrong
from benchmarks.model import WORDS
from benchmarks.servers import ROOT, SERVER_CORE, Contender
from benchmarks.sizes import Sizes

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
AT_ONCE = 50
"""How many events an upstream that does not wait writes in one go."""


async def paced(contender: Contender, folder: Path, shared: Path, sizes: Sizes) -> dict[str, float]:
    """Read a few replies at the same time, each at a model's pace."""
    del folder, shared
    return await _measure(contender, sizes.upstream_replies, sizes.tokens, sizes.tokens_per_second)


async def as_fast_as_it_goes(contender: Contender, folder: Path, shared: Path, sizes: Sizes) -> dict[str, float]:
    """Read one long reply that comes as fast as it is taken."""
    del folder, shared
    return await _measure(contender, 1, sizes.upstream_tokens, None)


async def _measure(contender: Contender, replies: int, tokens: int, per_second: float | None) -> dict[str, float]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await _asked(reader):
            await _stream(writer, tokens, per_second)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        read = await _read(contender, f"http://127.0.0.1:{port}/v1", replies)
    if read["tokens"] != replies * tokens:
        raise Wrong(f"{read['tokens']} tokens came of {replies * tokens}")
    return {"us_per_token": read["cpu"] / read["tokens"] * 1e6, "reader_busy": read["cpu"] / read["seconds"]}


async def _read(contender: Contender, url: str, replies: int) -> dict[str, float]:
    python = Path(contender.command[0]).with_name("python")
    process = await asyncio.create_subprocess_exec(
        *(python, "-m", "benchmarks.reading", contender.name, str(replies)),
        cwd=ROOT,
        env=os.environ | {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "words"},
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {SERVER_CORE}),
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise RuntimeError(f"{contender.title} does not read: status {process.returncode}")
    return json.loads(printed)


# The upstream


async def _asked(reader: asyncio.StreamReader) -> bool:
    """Take a request; False at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    return True


async def _stream(writer: asyncio.StreamWriter, tokens: int, per_second: float | None) -> None:
    start = time.monotonic()
    writer.write(HEAD + _chunk(_event({"role": "assistant", "content": ""})))
    for first in range(0, tokens, 1 if per_second else AT_ONCE):
        many = range(first, first + 1 if per_second else min(tokens, first + AT_ONCE))
        if per_second and (wait := start + first / per_second - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        writer.write(b"".join(_chunk(_event({"content": WORDS[number % len(WORDS)]})) for number in many))
        await writer.drain()
    writer.write(_chunk(_event({}, finish="stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")
    await writer.drain()


def _event(delta: dict[str, str], finish: str | None = None) -> bytes:
    """Return an event as OpenAI writes it."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    same = {"id": "chatcmpl-9Xw2bTq0", "object": "chat.completion.chunk", "created": 1764967971, "model": "words"}
    fields = {**same, "service_tier": "default", "system_fingerprint": "fp_1", "choices": [choice], "usage": None}
    return b"data: " + json.dumps(fields, separators=(",", ":")).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
