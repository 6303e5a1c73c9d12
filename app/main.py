"""Wires the parts together; nothing else does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.di import Provide

from app.api import (
    about,
    broadcast,
    conversations,
    imports,
    log_page,
    messages,
    openai_chat,
    openai_input_items,
    openai_models,
    openai_responses,
    page,
    streams,
    ui_chat,
    websocket,
)
from app.api.node import Node
from app.api.origins import Origins
from app.api.problems import problem_details
from app.api.stream import Streams
from app.broadcast import Broadcast
from app.conversations import Conversations
from app.departures import Departures
from app.engine.index import SQLiteIndex
from app.engine.sqlite import SQLiteEngine
from app.errors import RESTORE, NotFound, NotStoring, StartError
from app.idempotency import Answers
from app.ids import BROADCAST
from app.imports import Imports
from app.log import Log
from app.running import Running
from app.search import Search
from app.settings import Settings
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError


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

    # Without arguments, and not validated again: both are done per call, and took a tenth of it.
    def this_node() -> Node:
        return app.state.node  # type: ignore[no-any-return]

    app = Litestar(
        route_handlers=[
            conversations.create_conversation,
            conversations.list_conversations,
            conversations.read_conversation,
            conversations.rename_conversation,
            conversations.delete_conversation,
            conversations.stream_conversation,
            imports.import_conversation,
            log_page.read_log,
            messages.ask,
            messages.list_messages,
            messages.read_reply,
            messages.stop_reply,
            messages.retry_reply,
            broadcast.stream_broadcast,
            broadcast.send_message,
            streams.stream_list,
            streams.stream_many,
            ui_chat.send_ui_message,
            ui_chat.resume_ui_stream,
            ui_chat.stop_ui_chat,
            openai_chat.create_chat_completion,
            openai_responses.create_response,
            openai_responses.retrieve_response,
            openai_responses.cancel_response,
            openai_responses.delete_response,
            openai_input_items.list_input_items,
            openai_models.list_models,
            openai_models.retrieve_model,
            websocket.open_socket,
            *page.page_routes(),
            about.list_responders,
            about.list_limits,
            about.health_live,
            about.health_ready,
        ],
        lifespan=[lifespan],
        dependencies={"node": Provide(this_node, sync_to_thread=False)},
        plugins=[problem_details()],
        request_max_body_size=None,  # each call has a limit of its own
        openapi_config=page.openapi_config(),
        logging_config=None,
    )
    # Around everything, so that it holds for paths and methods that there are no calls for, too.
    app.asgi_handler = Origins(app.asgi_handler, settings)
    return app


@asynccontextmanager
async def open_node(settings: Settings) -> AsyncIterator[Node]:
    """Open the store, take up what an earlier process left, and close everything at the end.

    Raises `StartError` when something is not as it must be.
    """
    try:
        registry = Registry.discover(settings.responder, reload=settings.reload)
    except (LoadError, UnknownResponder) as error:
        raise StartError(str(error)) from error
    # Importing a stranger's package may take long: once, here, and never while tokens are sent.
    await asyncio.to_thread(list, registry)
    engine = SQLiteEngine(settings.folder)
    async with (
        Log(engine) as log,
        log.tails.open(BROADCAST) as tail,
        Search(engine, SQLiteIndex(settings.folder)) as search,
    ):
        answers = Answers(engine)
        running = Running(log, registry, settings)
        departures = Departures(log, running)
        commands = Conversations(log, running, departures, answers, registry=registry, settings=settings)
        channel = Broadcast(log, tail, running, answers, settings)
        try:
            await _recover(commands)
            yield Node(
                settings,
                log,
                running,
                commands,
                channel,
                registry,
                Streams(settings.max_streams),
                search,
                Imports(log, running, answers),
                departures,
            )
        finally:
            await departures.close()
            await running.drain(0, asyncio.Event())
            await running.close()


async def _recover(commands: Conversations) -> None:
    try:
        await commands.recover()
    except (NotStoring, NotFound) as error:
        raise StartError(f"The replies that had not ended cannot be taken up: {error} {RESTORE}") from error
