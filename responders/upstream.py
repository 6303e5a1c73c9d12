"""A reply from an OpenAI-compatible upstream: asked for, asked for again until it begins, read to its end."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp
import msgspec

from responders import connection
from responders.base import Piece, Prompt, ResponderError
from responders.chat import messages, tools
from responders.completion import Broken, Completion, Reported
from responders.connection import Place, Unanswered, opened, read, read_whole
from responders.refusals import Upstream, report
from responders.sse import Event, EventReader, TooLong

TRIES = 3
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 30.0
"""The longest pause before another try; an upstream that wants a longer one is not asked again."""
ENDING_SECONDS = 5.0
"""How long usage is waited for once the reply itself is complete."""
MAX_EVENT_BYTES = 4 * 1024 * 1024


async def answer(prompt: Prompt) -> AsyncGenerator[Piece, None]:
    """Ask the upstream that the environment names, and yield its reply, as `responders.openai` promises.

    It is asked again until the first piece has come; after that, another answer would be another reply.
    """
    place = Place(os.environ)
    request = _request(prompt, place)
    upstream = place.upstream(request.get("model", ""))
    begun = False
    for number in range(1, TRIES + 1):
        try:
            async with aclosing(_reply(place, upstream, msgspec.json.encode(request))) as pieces:
                async for piece in pieces:
                    begun = begun or bool(piece)
                    yield piece
            return
        except Unanswered as failure:
            pause = _pause(number) if failure.pause is None else failure.pause
            if begun or number == TRIES or pause > MAX_PAUSE_SECONDS:
                raise ResponderError(str(failure)) from None
        await asyncio.sleep(pause)


def _request(prompt: Prompt, place: Place) -> dict[str, Any]:
    options = msgspec.to_builtins(prompt.options) if prompt.options else {}
    limits = [limit for limit in (options.pop("max_tokens", None), prompt.max_tokens) if limit is not None]
    if limits:
        options[place.limit] = min(limits)
    model = {"model": place.model} if place.model else {}
    streaming = {"stream": True, "stream_options": {"include_usage": True}}
    return model | options | streaming | tools(prompt) | {"messages": messages(prompt)}


def _pause(number: int) -> float:
    """Return how long to wait after a try: longer each time, and not the same for replies that failed together."""
    return FIRST_PAUSE_SECONDS * (1 << number - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


async def _reply(place: Place, upstream: Upstream, request: bytes) -> AsyncGenerator[Piece, None]:
    """Yield the pieces of one try; raises `Unanswered` and `ResponderError`."""
    completion = Completion()
    async with opened(place, upstream, request) as response:
        try:
            async with aclosing(_events(response, upstream, completion)) as batches:
                async for events in batches:
                    for event in events:
                        for piece in completion.read(event.data, event.type):
                            yield piece
                        if completion.done:
                            break
        except Reported as error:
            raise ResponderError(report(upstream, place.complaint(error.data))) from None
        except Unanswered:
            if not completion.finished:
                raise
    for piece in completion.end():
        yield piece


async def _events(
    response: aiohttp.ClientResponse, upstream: Upstream, completion: Completion
) -> AsyncGenerator[list[Event], None]:
    """Yield the events of an answer as they come, until the completion is done."""
    if response.content_type == "text/html":
        raise ResponderError(
            f"{upstream.host} answers with a web page: check OPENAI_BASE_URL, which often ends in /v1."
        )
    if response.content_type == "application/json":
        body = await read_whole(response, upstream, MAX_EVENT_BYTES, connection.SILENT_SECONDS)
        yield [Event(b"", body)]
        if not completion.finished:
            raise Broken(f"{upstream.host} sent something else than a chat completion.")
        return
    loop = asyncio.get_running_loop()
    reader = EventReader(MAX_EVENT_BYTES)
    deadline = loop.time() + connection.SILENT_SECONDS
    ending = False
    while not completion.done:
        if not (chunk := await read(response, upstream, deadline)):
            raise Unanswered(f"{upstream.host} ended the reply before it was complete.")
        try:
            events = reader.feed(chunk)
        except TooLong:
            raise Broken(f"{upstream.host} sent more in one piece than the server takes.") from None
        if events:
            yield events
            # Comments put nothing off, and when the reply is complete nothing does.
            if not ending:
                ending = completion.finished
                deadline = loop.time() + (ENDING_SECONDS if ending else connection.SILENT_SECONDS)
