"""What a prompt asks for, and the answer that it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec

from app.engine.base import StoredAnswer
from app.errors import Invalid
from app.ids import Cursor
from app.messages import Conversation, Message, Parameters, Reply
from responders.base import Text, Turn
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError, OptionError, Responder


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt asks for: the new messages, of which the last is answered, and who is to answer, with what."""

    turns: tuple[Turn, ...]
    """Oldest first; none at all asks for another answer to the message that they would follow."""
    responder: str | None = None
    parameters: Parameters = Parameters()
    path: str = "prompt"
    """Where the turns came from, for errors."""

    @classmethod
    def of(
        cls,
        prompt: str,
        *,
        system: str | None = None,
        responder: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the question of a prompt that is a text."""
        before = () if system is None else (turn("system", system),)
        return cls(
            turns=(*before, turn("user", prompt)), responder=responder, parameters=Parameters(options=options or {})
        )


def turn(role: Literal["system", "user"], text: str) -> Turn:
    """Return a turn of one text."""
    return Turn(role, (Text(text),), text)


def choose(registry: Registry, responder: str | None, parameters: Parameters) -> Responder:
    """Return the responder that is asked for, or the default one. Raises `Invalid`, for an option of it, too."""
    try:
        found = registry.get(registry.default if responder is None else responder)
        found.parse_options(parameters.options)
    except (UnknownResponder, LoadError) as error:
        raise Invalid(str(error), "responder") from error
    except OptionError as error:
        raise Invalid(
            f"{error.message}.".replace("..", "."), f"options.{error.path}" if error.path else "options"
        ) from error
    return found


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a prompt: `cursor` precedes the events of the new message on the stream at `events`.

    Numbers are given in the commit, so what is kept for a repeated request has only the epoch for a cursor.
    """

    conversation: Conversation
    message: Message
    reply: Reply
    cursor: str
    events: str

    @classmethod
    def again(cls, kept: StoredAnswer) -> Asked:
        """Return the answer that an earlier request was given."""
        return msgspec.json.decode(kept.answer, type=cls).after(kept.after)

    def after(self, seq: int) -> Asked:
        """Return the answer with its whole cursor."""
        return msgspec.structs.replace(self, cursor=str(Cursor(self.cursor, seq)))
