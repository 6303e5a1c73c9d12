"""The list of conversations as subscribers follow it: which of them changed since they looked.

It is not in the log: a change is a counter, and a subscriber is the number of the last one it knows. No subscriber has
a queue here either.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import takewhile

import msgspec

from app.messages import Conversation
from app.tail import Listener, Tail

KEPT = 1000
"""How many changed conversations are remembered. Who has missed more reads the list anew."""


class Change(msgspec.Struct, frozen=True):
    """The newest change of one conversation: as it stands now, or None for one that was deleted."""

    number: int
    principal: str
    id: str
    conversation: Conversation | None
    frames: dict[Hashable, bytes] = {}
    """Its frames, by the form they have, made at the first use and shared by all subscribers."""


class Listing:
    """The newest change of each conversation, and whoever waits for the next one."""

    def __init__(self) -> None:
        self.changes = 0
        """How many there were: the number of the newest."""
        self.listeners: dict[Listener, None] = {}
        self._newest: dict[str, Change] = {}
        self._forgotten = 0

    def note(self, tail: Tail) -> None:
        """Take note of a commit to a conversation's rows, unless nothing that a list shows has changed."""
        if tail.history is None or tail.transient:
            return
        id = tail.history.id
        conversation = None if tail.deleted else tail.history.conversation()
        before = self._newest.get(id)
        if before and before.conversation == conversation:
            return
        self.changes += 1
        self._newest.pop(id, None)  # or it would keep its old place in the order
        self._newest[id] = Change(self.changes, tail.principal, id, conversation)
        if len(self._newest) > KEPT:
            oldest = next(iter(self._newest))
            self._forgotten = self._newest.pop(oldest).number
        self.wake()

    def wake(self) -> None:
        """Make everybody who listens look again."""
        for listener in tuple(self.listeners):
            listener.look()

    def after(self, number: int, principal: str) -> list[Change] | None:
        """Return a principal's changes above a number, in order; None when some may be forgotten."""
        if number < self._forgotten:
            return None
        newer = list(takewhile(lambda change: change.number > number, reversed(self._newest.values())))
        return [change for change in reversed(newer) if change.principal == principal]
