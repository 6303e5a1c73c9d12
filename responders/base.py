"""What a responder is given, what it yields, and what it may rely on.

A responder is a name and an async generator: `Prompt` in, `str` or a `Part` out. This is a whole one:

    async def shout(prompt):
        for word in prompt.text.split():
            yield word.upper() + " "

The contract, as the conformance cases (`tickertape check`) assert it:

- It is called once per reply, and may be called for many replies at the same time.
- What it yields is written in that order. A bare `str` is text; pieces of the same kind that follow each other make
  one part. `Usage` and `Finish` may be yielded at any time; they describe the reply and are no piece of it.
- `yield` may wait: the runner asks for the next piece only when the reader side has room.
- Stop is a cancellation: `asyncio.CancelledError` is raised at the `await` where the generator stands. One that stands
  at a `yield` is closed there (`GeneratorExit`). Either way its `finally` blocks run. It has `STOP_SECONDS` to leave;
  what it yields later is dropped.
- An exception ends the reply as `failed`. `ResponderError(message)` shows its message to the user; of any other
  exception the user sees a fixed sentence, and the traceback goes to the server's log.
- A plain generator works too. It runs in a thread of its own, a few pieces ahead of its reader, so it may block; it is
  closed at its next `yield`.

A responder with options is a class: a nested `Options` (a `msgspec.Struct`) and an async `__call__`:

    class Repeat:
        class Options(msgspec.Struct, forbid_unknown_fields=True):
            times: int = 2

        async def __call__(self, prompt):
            for _ in range(prompt.options.times):
                yield prompt.text

This module imports nothing of the server, so that a responder can be written and tested alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

STOP_SECONDS = 0.8
"""How long a responder may take to leave when it is stopped; the rest of a second is for storing the ending."""

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Text(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """A piece of the answer's text."""

    text: str


class Reasoning(msgspec.Struct, frozen=True, tag="reasoning", tag_field="type"):
    """A piece of the thinking that precedes the answer; pages fold it away."""

    text: str


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call", tag_field="type"):
    """A whole call of a tool; `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result", tag_field="type"):
    """What the tool call named by `call_id` gave."""

    call_id: str
    result: str


class Image(msgspec.Struct, frozen=True, tag="image", tag_field="type"):
    """An image, by its URL (a `data:` URL, too)."""

    url: str


Part = Text | Reasoning | ToolCall | ToolResult | Image


Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens, as the responder counts them; without one, the server counts pieces and says `estimated`.

    `partial` is set by the server on a reply that did not complete.
    """

    input_tokens: Count
    output_tokens: Count
    total_tokens: Count
    partial: bool = False
    estimated: bool = False


class Finish(msgspec.Struct, frozen=True):
    """Why a reply that completes is complete; without one it is `stop`."""

    reason: FinishReason


Piece = str | Text | Reasoning | ToolCall | ToolResult | Usage | Finish
"""What a responder may yield: everything but an image, which only a prompt can hold."""


class Turn(msgspec.Struct, frozen=True):
    """A message as a responder sees it."""

    role: Role
    parts: tuple[Part, ...]
    text: str
    """The text parts, joined."""


class Tool(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tool that whoever asks offers: a responder may yield a `ToolCall` of it, and they send what it gave."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = {}
    """The JSON Schema of its arguments."""


class Prompt(msgspec.Struct, frozen=True):
    """What a reply answers."""

    text: str
    """The newest user message."""
    system: str = ""
    """The text of the branch's system messages, or an empty string."""
    messages: tuple[Turn, ...] = ()
    """The branch from its root to the message that is answered, which is a user's or what tools gave; with system
    messages, images, and the text of stopped and failed replies. Empty messages are left out."""
    options: Any = None
    """An instance of the responder's `Options`, or None where it has none."""
    conversation_id: str = ""
    reply_id: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the one tool to call."""
    max_tokens: int | None = None
    """How many tokens are wanted at most; the server ends the reply there, a piece being one."""


class ResponderError(Exception):
    """Ends the reply as `failed`, with a message that the user may see."""
