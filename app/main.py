"""Wires the parts together; nothing else does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from app.api import about, broadcast, conversations, log_page, messages, streams
from app.api.node import Node
from app.api.problems import problem_details
from app.api.stream import Streams
from app.broadcast import Broadcast
from app.conversations import Conversations
from app.engine.sqlite import SQLiteEngine
from app.errors import RESTORE, NotFound, NotStoring, StartError
from app.idempotency import Answers
from app.ids import BROADCAST
from app.log import Log
from app.running import Running
from app.settings import Settings
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError

_BODY_PER_PROMPT_BYTE = 12
"""A body may hold a prompt and a system text, each byte of them spelled in six as `\\u0041`."""


def create_app(settings: Settings | None = None) -> Litestar:
    """Return the ASGI application; without arguments its settings come from the environment.

    `tickertape serve` runs it with the socket limits and the drain that a plain ASGI server does not have.
    """
    settings = settings or Settings.read(os.environ)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_node(settings) as node:
            app.state.node = node
            yield

    return Litestar(
        route_handlers=[
            conversations.create_conversation,
            conversations.list_conversations,
            conversations.read_conversation,
            conversations.rename_conversation,
            log_page.read_log,
            conversations.delete_conversation,
            conversations.stream_conversation,
            messages.ask,
            messages.list_messages,
            messages.read_reply,
            messages.stop_reply,
            messages.retry_reply,
            broadcast.stream_broadcast,
            broadcast.send_message,
            streams.stream_list,
            streams.stream_many,
            about.welcome,
            about.list_responders,
            about.list_limits,
            about.health_live,
            about.health_ready,
        ],
        lifespan=[lifespan],
        dependencies={"node": Provide(_node, sync_to_thread=False)},
        plugins=[problem_details()],
        request_max_body_size=_BODY_PER_PROMPT_BYTE * max(settings.max_prompt_bytes, settings.max_broadcast_bytes)
        + 4096,
        openapi_config=OpenAPIConfig(title="Tickertape", version="1", render_plugins=[JsonRenderPlugin()]),
        logging_config=None,
    )


@asynccontextmanager
async def open_node(settings: Settings) -> AsyncIterator[Node]:
    """Open the store, take up what an earlier process left, and close everything at the end.

    Raises `StartError` when something is not as it must be.
    """
    try:
        registry = Registry.discover(settings.responder)
    except (LoadError, UnknownResponder) as error:
        raise StartError(str(error)) from error
    # Importing a stranger's package may take long: once, here, and never while tokens are sent.
    await asyncio.to_thread(list, registry)
    engine = SQLiteEngine(settings.folder)
    async with Log(engine) as log, log.tails.open(BROADCAST) as tail:
        answers = Answers(engine)
        running = Running(log, registry, settings)
        commands = Conversations(log, running, answers, registry, settings)
        channel = Broadcast(log, tail, running, answers, settings)
        try:
            await _recover(commands)
            yield Node(settings, log, running, commands, channel, registry, Streams(settings.max_streams))
        finally:
            await running.drain(0, asyncio.Event())
            await running.close()


async def _recover(commands: Conversations) -> None:
    try:
        await commands.recover()
    except (NotStoring, NotFound) as error:
        raise StartError(f"The replies that had not ended cannot be taken up: {error} {RESTORE}") from error


def _node(state: State) -> Node:
    return state.node  # type: ignore[no-any-return]
