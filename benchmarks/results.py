"""What came out: medians over rounds, ratios within each round, and whether the goals are met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.measures import ALL, LIBRARY, MEASURES, OURS, Figure, Goal
from benchmarks.sizes import FULL, Sizes

Rounds = Sequence[Mapping[str, float]]
Results = dict[str, dict[str, list[dict[str, float]]]]
"""By measure and contender: the figures of each round."""

PEERS = {"express": "Express", "fastapi": "FastAPI", LIBRARY: "OpenAI's library"}


@dataclass(frozen=True)
class Verdict:
    """How a figure stands to one goal, as texts."""

    got: str
    target: str
    aim: str
    outcome: str


@dataclass(frozen=True)
class Row:
    """One figure: the medians of all who were measured, and its verdicts."""

    title: str
    unit: str
    values: Mapping[str, float]
    on: Sequence[str] = ALL
    verdicts: Sequence[Verdict] = field(default_factory=tuple)


def rows(results: Results, sizes: Sizes) -> Iterator[Row]:
    """Yield a row per figure that was measured."""
    for measure in MEASURES:
        taken = results.get(measure.name, {})
        for figure in measure.figures:
            values = {name: median(one[figure.key] for one in rounds) for name, rounds in taken.items() if rounds}
            if values:
                verdicts = [verdict for goal in figure.goals for verdict in _judge(goal, figure, taken, sizes)]
                yield Row(figure.title.format(**vars(sizes)), figure.unit, values, measure.on, verdicts)


def _judge(goal: Goal, figure: Figure, taken: Mapping[str, Rounds], sizes: Sizes) -> Iterator[Verdict]:
    ours = [one[figure.key] for one in taken.get(OURS, ())]
    if goal.of:
        theirs = [one[figure.key] for one in taken.get(goal.of, ())]
        pairs = zip(ours, theirs, strict=False)
        values = [their / our if goal.inverse else our / their for our, their in pairs if our and their]
    else:
        values = ours
    if not values:
        return
    value = median(values)
    sign = "≥" if goal.more else "≤"
    of = f" × {PEERS[goal.of]}{' (less)' if goal.inverse else ''}" if goal.of else f" {figure.unit}".rstrip()
    outcome = _outcome(goal, value) if goal.of or sizes == FULL else "(sizes differ)"
    yield Verdict(
        got=f"{number(value)}{of}",
        target=f"{sign} {goal.target:g}",
        aim="" if goal.aim is None else f"{sign} {goal.aim:g}",
        outcome=outcome,
    )


def _outcome(goal: Goal, value: float) -> str:
    def reached(wanted: float) -> bool:
        return value >= wanted if goal.more else value <= wanted

    if not reached(goal.target):
        return "missed"
    return "aim met" if goal.aim is not None and reached(goal.aim) else "met"


def number(value: float) -> str:
    """Return three digits that count, or the whole number."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"
