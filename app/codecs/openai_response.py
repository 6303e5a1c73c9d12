"""A reply as OpenAI's Responses API shows it: the object of a response, and its output items. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from app.branches import open_calls
from app.messages import Parameters, Reply
from responders.base import Reasoning, Text, Tool, ToolCall, Usage

ItemStatus = Literal["in_progress", "completed", "incomplete"]
ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "cancelled", "failed"]

INTERRUPTED = "The server ended, or could not store, in the middle of the reply."

_ID = re.compile("resp_([a-z2-7]{26})([a-z2-7]{26})")
_ITEM_ID = re.compile("(?:msg|rs|fc|fco)_([a-z2-7]{26})([a-z2-7]{26})_[0-9]{1,9}")
_NOTE = "response"
_CHOICES = {"auto", "none", "required"}
_INCOMPLETE: dict[str | None, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""What OpenAI calls the reasons for which a reply that has ended as it should is not all that was wanted."""


class Echo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What of a request its response says again, and nothing else reads; it is kept in the reply's note."""

    previous_response_id: str | None = None
    background: bool = False
    store: bool = True
    metadata: Mapping[str, str] = {}
    temperature: float = 1.0
    top_p: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    top_logprobs: int = 0
    parallel_tool_calls: bool = True
    strict: tuple[bool | None, ...] = ()
    """Of each tool."""
    text: Mapping[str, Any] = {}
    reasoning: Mapping[str, str | None] = {}
    truncation: Literal["auto", "disabled"] = "disabled"
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    deleted: bool = False
    """Whether the response is gone for those who know it by its id."""

    @classmethod
    def of(cls, parameters: Parameters) -> Echo:
        """Return what was kept with a reply; the defaults for one that came through another door."""
        return msgspec.convert(parameters.note.get(_NOTE, {}), cls)

    def note(self, beside: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the note that keeps it."""
        return {**(beside or {}), _NOTE: msgspec.to_builtins(self)}


class OutputText(msgspec.Struct, frozen=True, tag="output_text", tag_field="type"):
    """The text of a message."""

    text: str
    annotations: Sequence[Any] = ()
    logprobs: Sequence[Any] = ()


class SummaryText(msgspec.Struct, frozen=True, tag="summary_text", tag_field="type"):
    """The text of a piece of reasoning."""

    text: str


class OutputMessage(msgspec.Struct, frozen=True, tag="message", tag_field="type"):
    """A text part of a reply."""

    id: str
    status: ItemStatus
    content: Sequence[OutputText]
    role: Literal["assistant"] = "assistant"


class ReasoningItem(msgspec.Struct, frozen=True, tag="reasoning", tag_field="type"):
    """A reasoning part of a reply."""

    id: str
    status: ItemStatus
    summary: Sequence[SummaryText]


class FunctionCall(msgspec.Struct, frozen=True, tag="function_call", tag_field="type"):
    """A call of a tool that whoever asked is to run."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


OutputItem = OutputMessage | ReasoningItem | FunctionCall


class OpenAIResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response: all fields that clients know, each time; numbers are never null."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None
    status: ResponseStatus
    background: bool
    conversation: Mapping[str, str]
    error: Mapping[str, str] | None
    frequency_penalty: float
    incomplete_details: Mapping[str, str] | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None = None
    metadata: Mapping[str, str]
    model: str
    output: Sequence[OutputItem]
    parallel_tool_calls: bool
    presence_penalty: float
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: Mapping[str, str | None]
    safety_identifier: str | None
    service_tier: str = "default"
    store: bool
    temperature: float
    text: Mapping[str, Any]
    tool_choice: str | Mapping[str, str]
    tools: Sequence[Mapping[str, Any]]
    top_logprobs: int
    top_p: float
    truncation: str
    usage: Mapping[str, Any] | None
    user: None = None


def response_id(conversation_id: str, reply_id: str) -> str:
    """Return the id of a response, which leads to its conversation without a table."""
    return f"resp_{conversation_id}{reply_id}"


def parse_response_id(text: str) -> tuple[str, str] | None:
    """Return the ids of the conversation and the reply, or None for what is no id of a response."""
    found = _ID.fullmatch(text)
    return (found[1], found[2]) if found else None


def item_id(prefix: str, owner: str, place: int) -> str:
    """Return the id of an item: the same however often it is read; `owner` is a conversation's id and a message's."""
    return f"{prefix}_{owner}_{place}"


def parse_item_id(text: str) -> tuple[str, str] | None:
    """Return the ids of the conversation and the message that an item is of, or None for what is no id of one."""
    found = _ITEM_ID.fullmatch(text)
    return (found[1], found[2]) if found else None


def show(
    conversation_id: str, reply: Reply, parameters: Parameters, output: Sequence[OutputItem] | None = None
) -> OpenAIResponse:
    """Return a reply as a response; `output` where its items are there already."""
    echo = Echo.of(parameters)
    status = _status(reply)
    return OpenAIResponse(
        id=response_id(conversation_id, reply.id),
        created_at=_seconds(reply.created_at),
        completed_at=_seconds(reply.ended_at) if reply.ended_at and status == "completed" else None,
        status=status,
        background=echo.background,
        conversation={"id": conversation_id},
        error={"code": "server_error", "message": failure(reply)} if status == "failed" else None,
        frequency_penalty=echo.frequency_penalty,
        incomplete_details={"reason": _INCOMPLETE[reply.finish_reason]} if status == "incomplete" else None,
        instructions=parameters.instructions,
        max_output_tokens=parameters.max_tokens,
        metadata=echo.metadata,
        model=reply.responder,
        output=list(output_of(conversation_id, reply)) if output is None else output,
        parallel_tool_calls=echo.parallel_tool_calls,
        presence_penalty=echo.presence_penalty,
        previous_response_id=echo.previous_response_id,
        prompt_cache_key=echo.prompt_cache_key,
        reasoning={"effort": None, "summary": None, **echo.reasoning},
        safety_identifier=echo.safety_identifier,
        store=echo.store,
        temperature=echo.temperature,
        text={"format": {"type": "text"}, **echo.text},
        tool_choice=_tool_choice(parameters.tool_choice),
        tools=list(_tools(parameters.tools, echo.strict)),
        top_logprobs=echo.top_logprobs,
        top_p=echo.top_p,
        truncation=echo.truncation,
        usage=_usage(reply.usage) if reply.usage else None,
    )


def output_of(conversation_id: str, reply: Reply) -> Iterator[OutputItem]:
    """Yield the items of a reply as it stands.

    They are its texts and its reasoning, in order; at its end the calls that whoever asked is to run follow them. What
    the responder did with tools of its own is no output: a client would take such a call for one of its own.
    """
    owner = conversation_id + reply.id
    said = [part for part in reply.parts if isinstance(part, Text | Reasoning)]
    for place, part in enumerate(said):
        status = last_status(reply) if part is reply.parts[-1] else "completed"
        if isinstance(part, Text):
            yield OutputMessage(item_id("msg", owner, place), status, (OutputText(part.text),))
        else:
            yield ReasoningItem(item_id("rs", owner, place), status, (SummaryText(part.text),))
    if not reply.live:
        for place, call in enumerate(open_calls(reply.parts), start=len(said)):
            yield function_call(owner, place, call)


def function_call(owner: str, place: int, call: ToolCall) -> FunctionCall:
    """Return a call of a tool as an item."""
    return FunctionCall(item_id("fc", owner, place), call.call_id, call.name, call.arguments, "completed")


def last_status(reply: Reply) -> ItemStatus:
    """Return the status of the item that a reply stands in, or has ended in."""
    if reply.live:
        return "in_progress"
    return "completed" if _status(reply) == "completed" else "incomplete"


def failure(reply: Reply) -> str:
    """Return why a reply failed, for people."""
    return reply.error.message if reply.error else INTERRUPTED


def _status(reply: Reply) -> ResponseStatus:
    match reply.status:
        case "accepted":
            return "queued"
        case "running":
            return "in_progress"
        case "cancelled":
            return "cancelled"
        case "completed":
            return "incomplete" if reply.finish_reason in _INCOMPLETE else "completed"
    return "failed"


def _tool_choice(choice: str) -> str | dict[str, str]:
    return choice if choice in _CHOICES else {"type": "function", "name": choice}


def _tools(tools: Sequence[Tool], strict: Sequence[bool | None]) -> Iterator[dict[str, Any]]:
    for place, tool in enumerate(tools):
        yield {
            "type": "function",
            "name": tool.name,
            "description": tool.description or None,
            "parameters": tool.parameters,
            "strict": strict[place] if place < len(strict) else None,
        }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total_tokens,
    }


def _seconds(time: datetime) -> int:
    return int(time.timestamp())
