"""Views of a conversation: what a snapshot, a page of messages and a prompt hold. Each is true at one position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from app.engine.base import Engine
from app.errors import NotFound
from app.history import Draft, History
from app.ids import Cursor
from app.messages import Conversation, Message, Outline, Parameters
from app.tail import Tail
from responders.base import Prompt, ResponderError, Text, Turn
from responders.responder import OptionError, Responder

WHOLE_MESSAGES = 50
"""How many messages of the newest branch a snapshot holds whole, where they fit into `WHOLE_BYTES`."""
WHOLE_BYTES = 256 * 1024
PAGE_BYTES = 2**20
"""A page of messages ends before it exceeds this, but holds one message at least."""


class Snapshot(msgspec.Struct, frozen=True):
    """A conversation at one position: messages whole or as outlines, in order of creation."""

    conversation: Conversation
    messages: Sequence[Message | Outline]
    cursor: str


def history_of(tail: Tail) -> History:
    """Return a conversation's history. Raises `NotFound` for a stream that is none, or was deleted."""
    if tail.history is None or tail.history.deleted:
        raise NotFound("There is no such conversation.")
    return tail.history


async def take_snapshot(engine: Engine, tail: Tail) -> tuple[Snapshot, int]:
    """Return a snapshot and the number that it is true at.

    All that can change is read before the first wait; the rest is content of messages that no longer change.
    """
    history = history_of(tail)
    seq, conversation = tail.head, history.conversation()
    messages = [_standing(message) for message in history.messages.values()]
    branch = [message.id for message in history.branch(history.head)[-WHOLE_MESSAGES:]]
    whole = await engine.messages(history.id, branch[::-1], WHOLE_BYTES)
    filled = [whole.get(m.id, m) if isinstance(m, Outline) else m for m in messages]
    return Snapshot(conversation, filled, str(Cursor(tail.epoch, seq))), seq


async def read_page(engine: Engine, tail: Tail, before: int | None, limit: int) -> tuple[Sequence[Message], int | None]:
    """Return a page of messages, running replies as they stand, and where the page before it ends."""
    history = history_of(tail)
    # Held over the wait: the row of a reply that ends meanwhile was read as running, and its draft knows the ending.
    drafts = {id: history.messages[id] for id in history.running}
    stored, next_before = await engine.page(history.id, before, limit, PAGE_BYTES)
    newest = (drafts.get(message.id, history.messages.get(message.id)) for message in stored)
    page = [d.reply() if isinstance(d, Draft) else m for m, d in zip(stored, newest, strict=True)]
    return page, next_before


async def read_message(engine: Engine, tail: Tail, message_id: str) -> Message:
    """Return one message whole, a running reply as it stands. Raises `NotFound`."""
    history = history_of(tail)
    message = history.messages.get(message_id)
    if isinstance(message, Draft):
        return message.reply()
    stored = await engine.messages(history.id, [message_id]) if message else {}
    if message_id not in stored:
        raise NotFound("There is no such message.")
    return stored[message_id]


class Known(msgspec.Struct, frozen=True):
    """What of a reply's prompt need not be read: messages by id, and what it was asked for with."""

    messages: Mapping[str, Message] = {}
    parameters: Parameters | None = None


async def read_prompt(engine: Engine, tail: Tail, draft: Draft, known: Known, responder: Responder) -> Prompt:
    """Return what a reply's responder is given. Raises `ResponderError` when its options are not valid any more."""
    history = history_of(tail)
    branch = [message.id for message in history.branch(draft.parent)]
    unknown = [id for id in branch if id not in known.messages]
    whole = {**known.messages, **(await engine.messages(history.id, unknown) if unknown else {})}
    turns = [Turn(m.role, m.parts, m.text) for m in map(whole.__getitem__, branch) if m.parts]
    given = known.parameters
    if given is None:
        stored = await engine.reply(history.id, draft.id)
        given = stored.parameters if stored else Parameters()
    if given.instructions:
        turns.insert(0, Turn("system", (Text(given.instructions),), given.instructions))
    try:
        options = responder.parse_options(given.options)
    except OptionError as error:
        raise ResponderError(f"The options of this reply are not valid any more: {error}") from error
    return Prompt(
        text=next((turn.text for turn in reversed(turns) if turn.role == "user"), ""),
        system="\n\n".join(turn.text for turn in turns if turn.role == "system"),
        messages=tuple(turns),
        options=options,
        conversation_id=history.id,
        reply_id=draft.id,
        tools=given.tools,
        tool_choice=given.tool_choice,
        max_tokens=given.max_tokens,
    )


def _standing(message: Message | Outline | Draft) -> Message | Outline:
    return message.reply() if isinstance(message, Draft) else message
