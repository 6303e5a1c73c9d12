"""The verdict on a client's cursor (G5). Pure: a position to go on from, and what `hello` says of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.ids import Cursor
from app.subscription import FAR_BEHIND
from app.tail import Tail

Reason = Literal["epoch", "ahead", "behind"]


class Verdict(msgspec.Struct, frozen=True):
    """`after` is where sending starts, None where the cursor cannot be honoured or there is none."""

    after: int | None
    resumed: bool
    reason: Reason | None


NO_CURSOR = Verdict(None, False, None)


def judge(tail: Tail, given: str | None) -> Verdict:
    """Return the verdict on a cursor as it was sent; any text at all has one, an empty one is none."""
    if not given:
        return NO_CURSOR
    cursor = Cursor.parse(given)
    if cursor is None or cursor.epoch != tail.epoch:
        return Verdict(None, False, "epoch")
    if cursor.seq > tail.head:
        return Verdict(None, False, "ahead")
    if cursor.seq < tail.start or tail.head - cursor.seq > FAR_BEHIND:
        return Verdict(None, False, "behind")
    return Verdict(cursor.seq, True, None)
