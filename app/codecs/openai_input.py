"""What is put into a response: OpenAI's input items as turns, and messages as such items. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import msgspec

from app.branches import merged
from app.codecs.openai_response import OutputItem, item_id, output_of
from app.errors import Invalid
from app.messages import Message, Reply
from responders.base import Image, Part, Reasoning, Role, Text, ToolCall, ToolResult, Turn

_ROLES: dict[str, Role] = {
    "user": "user",
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
}


class InputText(msgspec.Struct, frozen=True, tag="input_text", tag_field="type"):
    """A text of a message that is no reply."""

    text: str


class InputImage(msgspec.Struct, frozen=True, tag="input_image", tag_field="type"):
    """An image of a user's message."""

    image_url: str
    detail: Literal["auto"] = "auto"


class InputMessage(msgspec.Struct, frozen=True, tag="message", tag_field="type"):
    """A message that is no reply."""

    id: str
    role: Role
    content: Sequence[InputText | InputImage]
    status: Literal["completed"] = "completed"


class FunctionCallOutput(msgspec.Struct, frozen=True, tag="function_call_output", tag_field="type"):
    """What a call of a tool gave."""

    id: str
    call_id: str
    output: str
    status: Literal["completed"] = "completed"


InputItem = OutputItem | InputMessage | FunctionCallOutput


class Input(NamedTuple):
    """What a request puts in."""

    turns: tuple[Turn, ...]
    """Oldest first."""
    answers: Mapping[str, str]
    """The calls whose results are here while they themselves are not, by id, with the path of each."""


def is_reference(item: object) -> bool:
    """Whether an input item stands for another one that it has the id of."""
    if not isinstance(item, dict):
        return False
    return item.get("type") == "item_reference" or (item.get("type") is None and item.keys() <= {"type", "id"})


def read_input(given: str | Sequence[Any]) -> Input:
    """Return what an input without references says. Raises `Invalid`, with the path of what is wrong."""
    if isinstance(given, str):
        return Input((_turn("user", [Text(given)]),), {})
    turns: list[Turn] = []
    called: set[str] = set()
    answers: dict[str, str] = {}
    for place, item in enumerate(given):
        turn = _read_item(item, f"input[{place}]")
        for part in turn.parts if turn else ():
            if isinstance(part, ToolCall):
                called.add(part.call_id)
            elif isinstance(part, ToolResult) and part.call_id not in called:
                answers[part.call_id] = f"input[{place}].call_id"
        turns += [turn] if turn else []
    return Input(tuple(merged(turns)), answers)


def input_items(conversation_id: str, message: Message) -> Iterator[InputItem]:
    """Yield a message as items; those of a reply are its output."""
    owner = conversation_id + message.id
    if isinstance(message, Reply):
        yield from output_of(conversation_id, message)
    elif message.role == "tool":
        for place, part in enumerate(message.parts):
            if isinstance(part, ToolResult):
                yield FunctionCallOutput(item_id("fco", owner, place), part.call_id, part.result)
    else:
        content = [InputImage(p.url) if isinstance(p, Image) else InputText(cast(Text, p).text) for p in message.parts]
        yield InputMessage(item_id("msg", owner, 0), message.role, content)


def _turn(role: Role, parts: Sequence[Part]) -> Turn:
    return Turn(role, tuple(parts), "".join(part.text for part in parts if isinstance(part, Text)))


def _read_item(item: object, at: str) -> Turn | None:
    """Return the turn of an item; None for reasoning that holds no text."""
    if not isinstance(item, dict):
        raise Invalid("An input item is an object.", at)
    match item.get("type"):
        case "message" | None if "role" in item:
            return _read_message(item, at)
        case "function_call":
            names = ("call_id", "name", "arguments")
            return _turn("assistant", [ToolCall(*(_text(item, name, at) for name in names))])
        case "function_call_output":
            return _turn(
                "tool", [ToolResult(_text(item, "call_id", at), _read_output(item.get("output"), f"{at}.output"))]
            )
        case "reasoning":
            # What a model thought goes back to it as a text; what is encrypted nobody here could read.
            summary = _objects(item.get("summary"), f"{at}.summary")
            thoughts = [Reasoning(_text(part, "text", f"{at}.summary[{n}]")) for n, part in enumerate(summary)]
            return _turn("assistant", thoughts) if thoughts else None
        case "message":
            raise Invalid("The field is missing.", f"{at}.role")
        case type:
            raise Invalid(f"There are no items of the type {_named(type)} here.", f"{at}.type")


def _read_message(item: Mapping[str, Any], at: str) -> Turn:
    role = _ROLES.get(item["role"]) if isinstance(item["role"], str) else None
    if role is None:
        raise Invalid(f"The role is one of {', '.join(_ROLES)}.", f"{at}.role")
    content = item.get("content")
    if isinstance(content, str):
        return _turn(role, [Text(content)] if content else [])
    parts = [
        _read_part(part, role, f"{at}.content[{place}]")
        for place, part in enumerate(_objects(content, f"{at}.content"))
    ]
    return _turn(role, parts)


def _read_part(part: Mapping[str, Any], role: Role, at: str) -> Part:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return Text(_text(part, "text", at))
        case "refusal":
            return Text(_text(part, "refusal", at))
        case "input_image" if role == "user":
            if part.get("file_id") is not None:
                raise Invalid(
                    "There are no files here: an image is sent by its URL, which may be a data URL.", f"{at}.file_id"
                )
            return Image(_text(part, "image_url", at))
        case type:
            raise Invalid(f"A message of the {role} holds no part of the type {_named(type)} here.", f"{at}.type")


def _read_output(output: object, at: str) -> str:
    if isinstance(output, str):
        return output
    parts = [_read_part(part, "tool", f"{at}[{place}]") for place, part in enumerate(_objects(output, at))]
    return "".join(part.text for part in parts if isinstance(part, Text))


def _objects(value: object, at: str) -> Sequence[dict[str, Any]]:
    if not isinstance(value, list | tuple):
        raise Invalid("It is a list of objects.", at)
    for place, item in enumerate(value):
        if not isinstance(item, dict):
            raise Invalid("It is an object.", f"{at}[{place}]")
    return value


def _text(item: Mapping[str, Any], name: str, at: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise Invalid("It is a text.", f"{at}.{name}")
    return value


def _named(type: object) -> str:
    return repr(type[:40]) if isinstance(type, str) else "that it has"
