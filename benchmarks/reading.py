"""Reads replies of an upstream, by our adapter or by OpenAI's library, and prints what that took of the processor.

python -m benchmarks.reading tickertape|library REPLIES     (with OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL)
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import uvloop

from responders.base import Prompt
from responders.openai import OpenAI

QUESTION = "What do the gulls want?"


async def tickertape() -> AsyncGenerator[str, None]:
    """Yield the text of a reply, read by `responders.openai`."""
    async with aclosing(OpenAI()(Prompt(QUESTION, options=OpenAI.Options()))) as pieces:
        async for piece in pieces:
            if isinstance(piece, str):
                yield piece


async def library() -> AsyncGenerator[str, None]:
    """Yield the text of a reply, read as the library's documentation shows; all replies share its client."""
    client = _client()
    asked = [{"role": "user", "content": QUESTION}]
    stream = await client.chat.completions.create(model=os.environ["OPENAI_MODEL"], messages=asked, stream=True)
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


@functools.cache
def _client() -> Any:
    sys.path.append(str(Path(sys.prefix) / "clients"))
    return importlib.import_module("openai").AsyncOpenAI()


async def main(who: str, replies: int) -> None:
    """Read one reply to warm up, then the others at the same time."""
    read = {"tickertape": tickertape, "library": library}[who]

    async def count() -> int:
        return sum([1 async for _ in read()])

    await count()
    began, cpu = time.monotonic(), time.process_time()
    tokens = sum(await asyncio.gather(*(count() for _ in range(replies))))
    used = {"tokens": tokens, "cpu": time.process_time() - cpu, "seconds": time.monotonic() - began}
    print(json.dumps(used))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
