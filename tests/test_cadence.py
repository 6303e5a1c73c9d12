"""How far apart commits are."""

from __future__ import annotations

import pytest

from app import cadence
from app.cadence import BUSY, FULL, QUIET, Cadence


class Day:
    """A clock, and the CPU that a thread has taken by it."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0
        self.cadence: Cadence

    def works(self, share: float, seconds: float = 1.0, appends: int = FULL) -> float:
        """Let a thread take a share of a core for a while, commit by commit; returns the pause after that."""
        pause = 0.0
        end = self.now + seconds
        while self.now < end:
            self.now += QUIET
            self.cpu += share * QUIET
            pause = self.cadence.pause(appends, self.now)
        return pause


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    day = Day()
    monkeypatch.setattr(cadence, "thread_time", lambda: day.cpu)
    day.cadence = Cadence(day.now)
    return day


def test_commits_are_close_while_the_processor_has_time(day: Day) -> None:
    assert day.works(0.0) == QUIET
    assert day.works(0.49) == QUIET


def test_commits_are_rarer_the_busier_the_processor_is(day: Day) -> None:
    pauses = [day.works(share) for share in (0.55, 0.65, 0.75, 0.85, 1.0)]

    assert pauses == sorted(pauses)
    assert QUIET < pauses[0] < pauses[2] < BUSY
    assert pauses[-1] == BUSY


def test_what_is_alone_is_committed_soon_however_busy_the_processor_is(day: Day) -> None:
    assert day.works(1.0, appends=0) == 0
    assert day.works(1.0, appends=1) == BUSY / FULL
    assert day.works(1.0, appends=10 * FULL) == BUSY


def test_one_long_step_is_no_load(day: Day) -> None:
    day.works(0.2)

    assert day.works(1.0, seconds=0.05) == QUIET


def test_a_load_that_is_over_is_forgotten(day: Day) -> None:
    assert day.works(1.0) == BUSY
    assert day.works(0.1) == QUIET


def test_a_clock_that_stands_still_is_no_error(day: Day) -> None:
    assert day.cadence.pause(FULL, day.now) == QUIET
