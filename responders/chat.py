"""A prompt in the words of OpenAI's chat completions: its `messages` and `tools`. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from responders.base import Image, Part, Prompt, Reasoning, Role, Text, ToolCall, ToolResult, Turn

Message = dict[str, Any]

UNANSWERED = "There is no result: the call was not carried out."
"""What a call is answered with that has no result, because the reply was stopped, say."""


def messages(prompt: Prompt) -> list[Message]:
    """Return the branch as chat messages, in order.

    The dialect wants each call of a tool answered by a message of its own, right behind the one that calls. So a reply
    that holds results is told as several messages, a call without a result gets one that says so, and a result without
    its call gets the call again. Thoughts are left out: most upstreams refuse them, and none needs them.
    """
    told = _Messages()
    for turn in prompt.messages or _turns(prompt):
        told.add(turn)
    return told.whole()


def tools(prompt: Prompt) -> dict[str, Any]:
    """Return the fields that offer the tools of a prompt; none where it has none, since nothing else may be chosen."""
    if not prompt.tools:
        return {}
    fields: dict[str, Any] = {
        "tools": [{"type": "function", "function": msgspec.to_builtins(tool)} for tool in prompt.tools]
    }
    match prompt.tool_choice:
        case "auto":
            pass  # which is what its absence means, and not every upstream knows the word
        case "none" | "required" as choice:
            fields["tool_choice"] = choice
        case name:
            fields["tool_choice"] = {"type": "function", "function": {"name": name}}
    return fields


def _turns(prompt: Prompt) -> list[Turn]:
    """Return the turns of a prompt that was made by hand, from its text alone."""
    texts: list[tuple[Role, str]] = [("system", prompt.system), ("user", prompt.text)]
    return [Turn(role, (Text(text),), text) for role, text in texts if text]


class _Messages:
    """Chat messages while they are written; `_open` holds the ids of the last one's calls that have no result yet."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._open: list[str] = []
        self._calls: dict[str, Message] = {}

    def add(self, turn: Turn) -> None:
        """Add a turn."""
        rest: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                self._add_parts(turn.role, rest)
                rest = []
                self._add_result(part)
            elif not isinstance(part, Reasoning):
                rest.append(part)
        self._add_parts(turn.role, rest)

    def whole(self) -> list[Message]:
        """Return the messages."""
        self._close()
        return self._messages

    def _add_parts(self, role: Role, parts: list[Part]) -> None:
        shown: list[Text | Image] = [part for part in parts if isinstance(part, Text | Image)]
        calls = [_call(part) for part in parts if isinstance(part, ToolCall)]
        images = any(isinstance(part, Image) for part in shown)
        if role == "tool" or (images and role != "user"):
            role = "user"  # no other message may hold these
        if shown:
            self._close()
            content = (
                [_shown(part) for part in shown] if images else "".join(part["text"] for part in map(_shown, shown))
            )
            self._messages.append({"role": role, "content": content})
        if calls:
            self._add_calls(calls, beside=self._messages[-1] if shown and role == "assistant" else None)

    def _add_calls(self, calls: list[Message], beside: Message | None = None) -> None:
        if beside is None:
            self._close()
            beside = {"role": "assistant", "content": None}
            self._messages.append(beside)
        beside["tool_calls"] = calls
        self._open = [call["id"] for call in calls]
        self._calls |= {call["id"]: call for call in calls}

    def _add_result(self, part: ToolResult) -> None:
        if part.call_id not in self._open:
            unknown = _call(ToolCall(part.call_id, "unknown", "{}"))
            self._add_calls([self._calls.get(part.call_id, unknown)])
        self._answer(part.call_id, part.result)

    def _answer(self, call_id: str, result: str) -> None:
        self._open.remove(call_id)
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": result})

    def _close(self) -> None:
        for call_id in list(self._open):
            self._answer(call_id, UNANSWERED)


def _shown(part: Text | Image) -> Message:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url}}
    return {"type": "text", "text": part.text}


def _call(part: ToolCall) -> Message:
    function = {"name": part.name, "arguments": part.arguments}
    return {"id": part.call_id, "type": "function", "function": function}
