"""The turns of a question as messages of a conversation, and the events that tell them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.branches import CLIENT, open_calls
from app.errors import Invalid, TooLarge
from app.events import Event, MessageCreated, ReplyCreated, ReplyStarted
from app.ids import new_id
from app.messages import Message, Parameters, Reply
from app.settings import Settings
from app.writer import PART_BYTES, Outcome, Writer, part_size, tell_part
from responders.base import Text, Turn

MAX_PARTS = 10_000
"""How many parts the new messages may have together: each is an event, or a piece of one."""
CHOICES = {"auto", "none", "required"}
"""What a choice of tools may be beside the name of one."""
_NAMES = {"user": "prompt", "system": "system", "tool": "result of a tool", "assistant": "message of the assistant"}


def tell(turns: Sequence[Turn], parent: str | None, now: datetime) -> tuple[list[Message], list[Event]]:
    """Return the messages that follow `parent`, the last of them whole, and the events that these are folded from."""
    messages: list[Message] = []
    events: list[Event] = []
    for turn in turns:
        if turn.role == "assistant":
            reply, told = _tell_reply(turn, parent, now)
            messages.append(reply)
            events += told
        else:
            message = Message(
                id=new_id(),
                role=turn.role,
                parent=parent,
                parts=turn.parts,
                text=turn.text,
                status="completed",
                created_at=now,
            )
            messages.append(message)
            events.append(MessageCreated(message))
        parent = messages[-1].id
    return messages, events


def new_reply(responder: str, parent: str | None, now: datetime) -> Reply:
    """Return a reply that is accepted."""
    return Reply(
        id=new_id(),
        role="assistant",
        parent=parent,
        parts=(),
        text="",
        status="accepted",
        created_at=now,
        responder=responder,
    )


def check_turns(turns: Sequence[Turn], path: str, settings: Settings) -> None:
    """Refuse turns that are too long, and a last one that says nothing. Raises `Invalid` and `TooLarge`."""
    if turns and not any(not isinstance(part, Text) or part.text.strip() for part in turns[-1].parts):
        raise Invalid("A prompt must hold a character that is not white space.", path)
    if sum(len(turn.parts) for turn in turns) > MAX_PARTS:
        raise TooLarge(f"The messages have more than {MAX_PARTS} parts.")
    for turn in turns:
        limit = settings.max_reply_bytes if turn.role == "assistant" else settings.max_prompt_bytes
        if sum(map(part_size, turn.parts)) + PART_BYTES * (len(turn.parts) - 1) > limit:
            raise TooLarge(f"The {_NAMES[turn.role]} is longer than {limit} bytes.")


def check_parameters(parameters: Parameters, settings: Settings) -> None:
    """Refuse tools that cannot be called, and what is too long to be kept with every reply.

    Raises `Invalid` and `TooLarge`.
    """
    names = {tool.name for tool in parameters.tools}
    if "" in names:
        raise Invalid("A tool has a name.", "tools")
    if parameters.tool_choice not in names | CHOICES:
        raise Invalid("There is no tool of this name.", "tool_choice")
    limit = settings.max_prompt_bytes
    for name in ("instructions", "tools"):
        if (value := getattr(parameters, name)) and len(msgspec.json.encode(value)) > limit:
            raise TooLarge(f"The {name} are longer than {limit} bytes.")


def _tell_reply(turn: Turn, parent: str | None, now: datetime) -> tuple[Reply, list[Event]]:
    """Return a reply as its events make it, so that what is stored is what they fold into, and these events."""
    begun = new_reply(CLIENT, parent, now)
    writer = Writer(begun, 0)
    started = ReplyStarted(begun.id, now)
    pieces = [tell_part(part, begun.id, place, None if place else now) for place, part in enumerate(turn.parts)]
    for event in (started, *pieces):
        writer.draft.apply(event)
    outcome = Outcome("completed", "tool_calls" if open_calls(turn.parts) else "stop")
    ending = msgspec.structs.replace(writer.end(outcome, 0), at=now)
    writer.draft.apply(ending)
    return writer.draft.reply(), [ReplyCreated(begun), started, *pieces, ending]
