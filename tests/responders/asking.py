"""Replies of `responders.openai`, read to their end, and the sentences that it fails with; HOST is the double's."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from responders.base import Finish, Prompt, ResponderError
from responders.openai import OpenAI
from tests.responders.upstream import event

KEY = "sk-secret/0123456789"
STOP = event(finish="stop")
BROKE_OFF = "HOST broke the connection off."
INCOMPLETE = "HOST ended the reply before it was complete."
NOT_JSON = "The model's server sent something that is not JSON."
NO_CHUNK = "The model's server sent something else than a chat completion"
NO_COMPLETION = "HOST sent something else than a chat completion."
SILENT = "HOST has fallen silent."
NOT_HTTP = "HOST does not answer as a web server does: check OPENAI_BASE_URL."
WEB_PAGE = "HOST answers with a web page: check OPENAI_BASE_URL, which often ends in /v1."
TOO_MUCH = "HOST sent more in one piece than the server takes."
TOO_LONG = "The conversation is too long for the model m: begin a new one, or name a model with more room."
NOTHING = "Nothing answers at HOST: see whether a model's server runs there, and check OPENAI_BASE_URL."
BUSY = "HOST takes no more requests just now: try again in a minute."
SPENT = "The account at HOST has nothing left to spend: check its plan and its billing."
NO_MODEL = "HOST has no model m: name another one, with OPENAI_MODEL or the option `model`."
CALLED = "The model called the tool look with arguments that are not JSON."


class Reply:
    """A reply, read to its end; `error` is the sentence that it failed with."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []
        self.error: str | None = None

    @property
    def text(self) -> str:
        text = "".join(piece for piece in self.pieces if isinstance(piece, str))
        return text.encode("utf-16", "surrogatepass").decode("utf-16")

    @property
    def ending(self) -> str | None:
        return self.error or next((piece.reason for piece in self.pieces if isinstance(piece, Finish)), None)

    def of(self, kind: type) -> list[Any]:
        return [piece for piece in self.pieces if isinstance(piece, kind)]


async def ask(prompt: Prompt | None = None, **options: Any) -> Reply:
    """Read the reply to a prompt."""
    reply = Reply()
    if prompt is None:
        prompt = Prompt("Hello?", options=OpenAI.Options(**options))
    try:
        async with aclosing(OpenAI()(prompt)) as pieces:
            async for piece in pieces:
                reply.pieces.append(piece)
    except ResponderError as error:
        reply.error = str(error)
    return reply
