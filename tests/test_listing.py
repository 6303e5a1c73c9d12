"""The list of conversations as it is followed: a change is a number."""

from __future__ import annotations

from datetime import UTC, datetime

from app.history import History
from app.ids import new_id
from app.listing import KEPT, Listing
from app.messages import Conversation
from app.tail import Tail

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def conversation(principal: str = "local") -> Tail:
    id = new_id()
    history = History(Conversation(id=id, title="A title", head=None, running=(), created_at=NOW, updated_at=NOW))
    return Tail(f"conversation/{id}", "epoch", history=history, principal=principal)


def rename(tail: Tail, title: str) -> None:
    assert tail.history
    tail.history.title = title


def ids(listing: Listing, number: int, principal: str = "local") -> list[str] | None:
    changes = listing.after(number, principal)
    return None if changes is None else [f"conversation/{change.id}" for change in changes]


class Ear:
    def __init__(self) -> None:
        self.looks = 0

    def look(self) -> None:
        self.looks += 1


def test_each_conversation_stands_once_at_its_newest_change():
    listing, one, other = Listing(), conversation(), conversation()
    listing.note(one)
    listing.note(other)
    before = listing.changes
    rename(one, "Another title")
    listing.note(one)

    assert ids(listing, 0) == [other.name, one.name]
    assert ids(listing, before) == [one.name]
    assert ids(listing, listing.changes) == []
    assert [change.conversation.title for change in listing.after(before, "local") or ()] == ["Another title"]  # type: ignore[union-attr]


def test_what_a_list_does_not_show_is_no_change():
    listing, one, ear = Listing(), conversation(), Ear()
    listing.note(one)
    listing.listeners[ear] = None  # type: ignore[index]
    listing.note(one)

    assert listing.changes == 1
    assert ear.looks == 0


def test_a_deleted_conversation_has_no_content_left():
    listing, one = Listing(), conversation()
    listing.note(one)
    assert one.history
    one.history.deleted = True
    listing.note(one)

    assert [change.conversation for change in listing.after(0, "local") or ()] == [None]


def test_a_principal_hears_only_of_its_own():
    listing, mine, foreign = Listing(), conversation("me"), conversation("you")
    listing.note(mine)
    listing.note(foreign)

    assert ids(listing, 0, "me") == [mine.name]


def test_the_broadcast_channel_is_no_conversation():
    listing = Listing()
    listing.note(Tail("broadcast", "epoch"))

    assert listing.changes == 0


def test_who_has_missed_too_much_is_told_so_and_nobody_else():
    listing, all_of_them = Listing(), [conversation() for _ in range(KEPT + 2)]
    for one in all_of_them:
        listing.note(one)

    assert ids(listing, 0) is None
    assert ids(listing, 1) is None
    assert ids(listing, 2) == [one.name for one in all_of_them[2:]]
