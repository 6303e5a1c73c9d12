"""The article's contract and a chat, as FastAPI's and sse-starlette's documentation write them. Nothing is stored."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from benchmarks.model import speak

app = FastAPI()
subscribers: set[asyncio.Queue[str]] = set()
tells_joins = os.environ.get("TELL_JOINS") == "yes"


class Message(BaseModel):
    message: str


class Question(BaseModel):
    prompt: str
    tokens: int = 200
    per_second: float | None = None
    burst: bool = False


def broadcast(text: str) -> None:
    for queue in subscribers:
        queue.put_nowait(text)


@app.get("/events")
async def events() -> EventSourceResponse:
    queue: asyncio.Queue[str] = asyncio.Queue()
    subscribers.add(queue)
    if tells_joins:
        broadcast("A new user joined!")

    async def stream() -> AsyncGenerator[dict[str, str], None]:
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            subscribers.discard(queue)

    return EventSourceResponse(stream())


@app.post("/send-message", response_class=PlainTextResponse)
async def send_message(message: Message) -> str:
    broadcast(message.message)
    return "Message sent successfully!"


@app.post("/chat")
async def chat(question: Question) -> EventSourceResponse:
    async def stream() -> AsyncGenerator[dict[str, str], None]:
        async for token in speak(question.tokens, question.per_second, burst=question.burst):
            yield {"data": json.dumps({"text": token})}

    return EventSourceResponse(stream())
