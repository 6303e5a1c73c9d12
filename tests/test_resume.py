"""The verdict on a cursor, row by row of the resume table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.events import Record
from app.ids import Cursor
from app.resume import NO_CURSOR, Verdict, judge
from app.subscription import FAR_BEHIND
from app.tail import Tail
from tests.support.properties import PROPERTY

EPOCH = "abcdefghijkl"
HEAD = 6000


@pytest.fixture(scope="module")
def tail() -> Tail:
    """A stream of 6,000 events, the newest ten of them unsettled."""
    records = [Record(seq, 0, "message", b"{}") for seq in range(HEAD - 9, HEAD + 1)]
    return Tail("conversation/x", EPOCH, settled=HEAD - 10, records=records)


def at(seq: int, epoch: str = EPOCH) -> str:
    return str(Cursor(epoch, seq))


@pytest.mark.parametrize("given", [None, ""])
def test_no_cursor_is_no_resume_and_needs_no_reason(tail, given):
    assert judge(tail, given) == NO_CURSOR == Verdict(None, False, None)


@pytest.mark.parametrize("seq", [HEAD, HEAD - 1, HEAD - 10, HEAD - 11, HEAD - FAR_BEHIND])
def test_a_cursor_inside_the_log_is_honoured(tail, seq):
    assert judge(tail, at(seq)) == Verdict(seq, True, None)


@pytest.mark.parametrize("seq", [0, 1, HEAD - FAR_BEHIND - 1])
def test_a_cursor_too_far_back_is_behind(tail, seq):
    assert judge(tail, at(seq)) == Verdict(None, False, "behind")


@pytest.mark.parametrize("seq", [HEAD + 1, 10**12 - 1])
def test_a_cursor_beyond_the_head_is_ahead(tail, seq):
    assert judge(tail, at(seq)) == Verdict(None, False, "ahead")


@pytest.mark.parametrize("seq", [0, HEAD, HEAD + 1])
def test_a_cursor_of_another_epoch_is_of_another_epoch_whatever_its_number(tail, seq):
    assert judge(tail, at(seq, "mnopqrstuvwx")) == Verdict(None, False, "epoch")


@pytest.mark.parametrize(
    "given", [" ", "0", "\0", "$", "Ω", at(HEAD) + "\n" + at(HEAD), at(HEAD) + " ", at(HEAD).upper(), "x" * 10_000]
)
def test_a_malformed_cursor_is_of_no_epoch(tail, given):
    assert judge(tail, given) == Verdict(None, False, "epoch")


def test_number_zero_is_inside_a_log_that_holds_everything():
    assert judge(Tail("conversation/x", EPOCH), at(0)) == Verdict(0, True, None)


def test_a_cursor_before_the_first_event_that_is_kept_is_behind():
    tail = Tail("broadcast", EPOCH, start=100, settled=200)

    assert judge(tail, at(99)) == Verdict(None, False, "behind")
    assert judge(tail, at(100)) == Verdict(100, True, None)


@PROPERTY
@given(st.text() | st.builds(at, st.integers(0, HEAD * 2)))
def test_any_text_has_a_verdict_that_says_all_or_nothing(tail, given):
    verdict = judge(tail, given)

    assert verdict.resumed == (verdict.after is not None)
    assert not (verdict.resumed and verdict.reason)
    assert verdict.after is None or at(verdict.after) == given
