"""The tail: what of a stream is at hand, and who is woken."""

from __future__ import annotations

import asyncio

import pytest

from app import tail as tail_module
from app.events import (
    BroadcastMessage,
    MessageCreated,
    Record,
    ReplyCreated,
    ReplyDelta,
    ReplyEnded,
    ReplyStarted,
)
from app.history import Draft, History
from app.messages import Outline
from app.tail import WINDOW, WINDOW_BYTES, Batch, Tail
from responders.base import Usage
from tests.support.commits import NOW, accepted, conversation, records, to_records, user_message


def numbers(tail: Tail, after: int) -> list[int] | None:
    found = tail.after(after)
    return None if found is None else [record.seq for record in found]


def publish(tail: Tail, *events: object) -> None:
    tail.publish(to_records(tail.head + 1, events), events)


def talking() -> Tail:
    """A tail of a conversation in which one reply runs."""
    tail = Tail("conversation/c", "epoch", history=History(conversation("c")))
    publish(tail, MessageCreated(user_message("m")), ReplyCreated(accepted("r", "m")), ReplyStarted("r", NOW))
    return tail


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(tail_module, "WINDOW", 4)
    return 4


# What is at hand


def test_a_new_tail_is_at_its_head() -> None:
    tail = Tail("s", "epoch")

    assert (tail.start, tail.settled, tail.head, tail.unsettled) == (0, 0, 0, 0)
    assert numbers(tail, 0) == []


def test_a_tail_begins_with_what_the_journal_held() -> None:
    tail = Tail("s", "epoch", settled=7, records=records(8, 10))

    assert (tail.settled, tail.head, tail.unsettled) == (7, 10, 3)
    assert numbers(tail, 7) == [8, 9, 10]
    assert numbers(tail, 9) == [10]
    assert numbers(tail, 10) == []
    assert numbers(tail, 6) is None, "below the window the answer is None, never an empty list"


def test_records_are_given_at_most_a_limit_at_a_time() -> None:
    tail = Tail("s", "epoch", records=records(1, 10))

    assert [record.seq for record in tail.after(2, limit=3)] == [3, 4, 5]
    assert [record.seq for record in tail.after(9, limit=3)] == [10]


def test_a_batch_that_was_given_does_not_change_with_the_tail(small_window: int) -> None:
    tail = Tail("s", "epoch", records=records(1, 9))
    batch = tail.after(0)

    publish(tail, BroadcastMessage("more"))
    tail.settle(10)

    assert [record.seq for record in batch] == list(range(1, 10))


def test_what_is_not_settled_is_never_let_go(small_window: int) -> None:
    tail = Tail("s", "epoch", records=records(1, 100))

    tail.settle(50)

    assert numbers(tail, 50) == list(range(51, 101))
    assert numbers(tail, 49) is None
    assert tail.unsettled == 50
    assert [record.seq for record in tail.unsettled_records()] == list(range(51, 101))


@pytest.mark.parametrize(("settled", "floor"), [(3, 3), (5, 5), (6, 6), (7, 6), (10, 6)])
def test_settled_records_stay_while_they_are_in_the_window(small_window: int, settled: int, floor: int) -> None:
    tail = Tail("s", "epoch", records=records(1, 10))

    tail.settle(settled)

    assert numbers(tail, floor) == list(range(floor + 1, 11))
    assert numbers(tail, floor - 1) is None


def test_settling_a_short_stream_lets_nothing_go() -> None:
    tail = Tail("s", "epoch", records=records(1, WINDOW))

    tail.settle(WINDOW)

    assert numbers(tail, 0) == list(range(1, WINDOW + 1))


@pytest.mark.parametrize(
    ("held", "taken"),
    [(1, 1), (19, 19), (20, 20), (21, 10), (30, 10)],
    ids=["one", "a little", "just twice", "over twice", "much"],
)
def test_a_cut_leaves_more_than_it_takes_or_nothing(held: int, taken: int) -> None:
    tail = Tail("s", "epoch", settled=100, records=records(101, 100 + held))
    size = len(tail.unsettled_records()[0].data)

    oldest = tail.unsettled_records(10 * size)

    assert [record.seq for record in oldest] == list(range(101, 101 + taken))


def test_settling_again_and_again_keeps_the_window_at_the_head(small_window: int) -> None:
    tail = Tail("s", "epoch")

    for _ in range(20):
        publish(tail, BroadcastMessage("a"), BroadcastMessage("b"), BroadcastMessage("c"))
        tail.settle(tail.head)

    assert numbers(tail, tail.head - small_window) == list(range(57, 61))
    assert numbers(tail, tail.head - small_window - 1) is None
    assert list(tail.unsettled_records()) == []


# What the events add up to


def test_a_window_of_long_records_is_short() -> None:
    tail = Tail("broadcast", "epoch")
    publish(tail, *[BroadcastMessage("x" * (WINDOW_BYTES // 4))] * 10)

    tail.settle(10)

    assert tail.after(6) is None
    assert numbers(tail, 7) == [8, 9, 10]
    assert tail.unsettled_bytes == 0


def test_a_conversation_is_idle_when_no_reply_is_live() -> None:
    tail = talking()
    assert not tail.idle

    publish(tail, ReplyEnded("r", "completed", "", "", "stop", Usage(0, 0, 0), NOW))

    assert tail.idle


def test_a_stream_without_history_is_never_idle() -> None:
    assert not Tail("broadcast", "epoch").idle


def test_a_running_reply_is_kept_whole_and_an_ended_one_as_an_outline() -> None:
    tail = talking()
    publish(tail, ReplyDelta("r", 0, "Hel"), ReplyDelta("r", 0, "lo"))
    draft = tail.history.messages["r"]
    assert isinstance(draft, Draft)
    assert draft.reply().text == "Hello"
    assert tail.history.messages["m"] == Outline("m", None, "user", "completed")

    publish(tail, ReplyEnded("r", "failed", "Hello", "", None, Usage(0, 0, 0), NOW))

    assert tail.history.messages["r"] == Outline("r", "m", "assistant", "failed")


# Who is woken


async def test_waking_wakes_all_who_wait_and_nobody_who_comes_later() -> None:
    tail = Tail("s", "epoch")
    first = [asyncio.create_task(tail.changed.wait()) for _ in range(3)]
    await asyncio.sleep(0)

    tail.wake()
    armed_later = tail.changed

    assert await asyncio.gather(*first) == [True] * 3
    assert not armed_later.is_set()


async def test_a_waiter_that_is_cancelled_takes_nobody_with_it() -> None:
    tail = Tail("s", "epoch")
    tasks = [asyncio.create_task(tail.changed.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.wait({tasks[0]})

    tail.wake()

    assert await asyncio.gather(*tasks[1:]) == [True, True]


async def test_whoever_armed_before_the_wake_is_woken_even_if_it_waits_after() -> None:
    tail = Tail("s", "epoch")
    armed = tail.changed

    tail.wake()

    await asyncio.wait_for(armed.wait(), 1)


def test_publishing_wakes_nobody() -> None:
    tail = Tail("s", "epoch")
    armed = tail.changed

    publish(tail, BroadcastMessage("a"))

    assert not armed.is_set()
    assert tail.head == 1


# The pass


class Ear:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.looks = 0

    def take(self, batch: Batch) -> None:
        self.batches.append(batch)

    def look(self) -> None:
        self.looks += 1


async def test_all_listeners_are_handed_the_same_batch_and_others_are_woken() -> None:
    tail, one, two = Tail("broadcast", "epoch"), Ear(), Ear()
    tail.listeners |= {one: None, two: None}
    changed = tail.changed
    events = [BroadcastMessage("a"), BroadcastMessage("b")]
    new = [Record.of(place, 0, event) for place, event in enumerate(events, start=1)]
    tail.publish(new, events)

    tail.announce(new)

    assert one.batches == two.batches
    assert [list(batch.records) for batch in one.batches] == [new]
    assert changed.is_set()
    assert one.looks == two.looks == 0


async def test_a_wake_makes_listeners_look_and_hands_them_nothing() -> None:
    tail, ear = Tail("broadcast", "epoch"), Ear()
    tail.listeners[ear] = None

    tail.wake()

    assert (ear.looks, ear.batches) == (1, [])


@pytest.mark.parametrize(
    ("last", "may_end"), [("reply.ended", True), ("conversation.deleted", True), ("message", False)]
)
def test_a_batch_says_whether_a_stream_may_be_over_with_it(last: str, *, may_end: bool) -> None:
    records = [Record(1, 0, last, b""), Record(2, 0, "reply.delta", b"")]

    assert Batch(records).may_end is may_end
