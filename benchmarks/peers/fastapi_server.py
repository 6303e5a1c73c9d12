"""The article's contract and a chat, as FastAPI's and sse-starlette's documentation write them. Nothing is stored."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
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


class Completion(BaseModel):
    model: str
    messages: list[dict[str, Any]]
    stream: bool = False
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


@app.post("/v1/chat/completions")
async def completions(asked: Completion) -> StreamingResponse:
    head = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": asked.model,
    }

    def chunk(delta: dict[str, str], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return f"data: {json.dumps({**head, 'choices': [choice]})}\n\n"

    async def stream() -> AsyncGenerator[str, None]:
        yield chunk({"role": "assistant", "content": ""})
        async for token in speak(asked.tokens, asked.per_second, burst=asked.burst):
            yield chunk({"content": token})
        yield chunk({}, "stop")
        yield "data: [DONE]\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")
