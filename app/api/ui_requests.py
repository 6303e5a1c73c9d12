"""What the AI SDK's `useChat` sends: its messages, read as turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from app.errors import Invalid
from responders.base import Image, Part, Reasoning, Text, Tool, ToolCall, ToolResult, Turn

_ENDED = {"output-available", "output-error", "output-denied"}
_PASSED_OVER = ("step-start", "source-url", "source-document", "file", "reasoning-file", "custom")
"""What an assistant's message may hold and no turn does."""


class UIPart(msgspec.Struct, kw_only=True, rename="camel"):
    """A part of a message; which fields it has depends on its type, and whatever else is sent with it is ignored."""

    type: str
    text: str = ""
    url: str = ""
    media_type: str = ""
    tool_call_id: str = ""
    tool_name: str = ""
    state: str = ""
    input: Any = None
    output: Any = None
    error_text: str = ""
    provider_executed: bool | None = None


class UIMessage(msgspec.Struct, kw_only=True):
    """A message as `useChat` holds it; an assistant's id is the id of a reply where it came from here."""

    id: str = ""
    role: Literal["system", "user", "assistant"]
    parts: Sequence[UIPart] = ()


class UIRequest(msgspec.Struct, kw_only=True, rename="camel"):
    """The body of `POST /api/chat`. What an application adds in `body` is ignored but for the last five."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    messages: Annotated[Sequence[UIMessage], msgspec.Meta(min_length=1)]
    trigger: Literal["submit-message", "regenerate-message"] = "submit-message"
    message_id: str | None = None
    model: str | None = None
    options: dict[str, Any] | None = None
    system: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"


def read_turns(messages: Sequence[UIMessage]) -> list[Turn]:
    """Return the turns of messages. Raises `Invalid`, with the path of what cannot be taken."""
    return [turn for place, message in enumerate(messages) for turn in _turns(message, f"messages[{place}]")]


def results_of(message: UIMessage) -> list[ToolResult]:
    """Return what the client's own tools gave, of the calls in an assistant's message."""
    return [part for turn in _turns(message, "messages") if turn.role == "tool" for part in turn.parts]  # type: ignore[misc]


def _turns(message: UIMessage, path: str) -> Iterator[Turn]:
    said: list[Part] = []
    given: list[Part] = []
    for place, part in enumerate(message.parts):
        at = f"{path}.parts[{place}]"
        if not _is_tool(part):
            if given:
                yield from _told(message.role, said, given)
                said, given = [], []
            said += _plain(message.role, part, at)
            continue
        if message.role != "assistant":
            raise Invalid("Only an assistant calls tools.", f"{at}.type")
        said.append(_call(part, at))
        if part.state in _ENDED:
            (said if part.provider_executed else given).append(_result(part))
    yield from _told(message.role, said, given)


def _told(role: Literal["system", "user", "assistant"], said: list[Part], given: list[Part]) -> Iterator[Turn]:
    if said:
        yield Turn(role, tuple(said), "".join(part.text for part in said if isinstance(part, Text)))
    if given:
        yield Turn("tool", tuple(given), "")


def _plain(role: str, part: UIPart, path: str) -> list[Part]:
    if part.type == "text":
        return [Text(part.text)]
    if role == "assistant":
        if part.type == "reasoning":
            return [Reasoning(part.text)]
        if part.type in _PASSED_OVER or part.type.startswith("data-"):
            return []
    if role == "user":
        if part.type == "file" and part.media_type.startswith("image/") and part.url:
            return [Image(part.url)]
        if part.type.startswith("data-"):
            return []
    raise Invalid("A message holds text, and a user's images as well; nothing else is read here.", f"{path}.type")


def _is_tool(part: UIPart) -> bool:
    return part.type == "dynamic-tool" or part.type.startswith("tool-")


def _call(part: UIPart, path: str) -> ToolCall:
    name = part.tool_name if part.type == "dynamic-tool" else part.type.removeprefix("tool-")
    if not name or not part.tool_call_id:
        raise Invalid("A call of a tool has a name and a toolCallId.", path)
    arguments = part.input if isinstance(part.input, str) else msgspec.json.encode(part.input).decode()
    return ToolCall(part.tool_call_id, name, arguments)


def _result(part: UIPart) -> ToolResult:
    if part.state == "output-available":
        output = part.output
        return ToolResult(
            part.tool_call_id, output if isinstance(output, str) else msgspec.json.encode(output).decode()
        )
    return ToolResult(part.tool_call_id, part.error_text or "The call was denied.")
