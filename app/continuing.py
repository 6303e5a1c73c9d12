"""Where a history goes on that a client sends whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.branches import digests
from app.engine.base import Engine, StoredBranch
from responders.base import Turn

AT_ONCE = 50
"""A history of more turns is looked through in a thread, so that nobody's tokens wait for it."""


async def continued(
    engine: Engine, principal: str, turns: Sequence[Turn], conversation_id: str | None = None
) -> tuple[StoredBranch | None, tuple[Turn, ...]]:
    """Return the stored branch that a history, merged, continues, and the turns that are new.

    In a conversation that is named, any beginning of the history counts. Elsewhere it must hold an answer that was
    given here: two people who ask the same are two conversations, and so are two questions with the same examples.
    """
    if conversation_id is None and not any(turn.role == "assistant" for turn in turns):
        return None, tuple(turns)
    known = digests(turns) if len(turns) < AT_ONCE else await asyncio.to_thread(digests, turns)
    branch = await engine.branch(principal, known, conversation_id)
    return branch, tuple(turns[branch.place + 1 :] if branch else turns)
