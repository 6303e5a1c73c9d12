"""The plot: the figures that all three servers have, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.results import Results, number

PANELS = (
    ("fan-out-paced", "us_per_event", "CPU per delivered event, one stream to 500 (µs)", "less is better"),
    ("fan-out", "events_per_second", "Events delivered a second, as fast as it goes", "more is better"),
    ("paced", "us_per_token", "CPU per token, 300 paced replies (µs)", "less is better"),
    ("closed-loop", "answers_per_second", "Answers a second, 64 clients in a closed loop", "more is better"),
    ("first-token", "p50_ms", "POST to first token, p50 (ms)", "less is better"),
    ("idle-broadcast", "kib_per_stream", "Memory of an idle stream (KiB)", "less is better"),
)
NAMES: Sequence[tuple[str, str, str]] = (
    ("tickertape", "Tickertape (stores everything)", "#0b7285"),
    ("express", "Express (stores nothing)", "#adb5bd"),
    ("fastapi", "FastAPI (stores nothing)", "#ced4da"),
)


def draw(results: Results, path: Path) -> None:
    """Write the plot as SVG; the same results give the same bytes."""
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "font.size": 9})
    figure = Figure(figsize=(10, 6), layout="constrained")
    for axes, (measure, key, title, better) in zip(figure.subplots(3, 2).flat, PANELS, strict=True):
        taken = results.get(measure, {})
        values = [median([one[key] for one in taken.get(name, [])] or [0.0]) for name, _, _ in NAMES]
        titles, colours = [title for _, title, _ in NAMES], [colour for _, _, colour in NAMES]
        bars = axes.barh(titles, values, color=colours)
        axes.bar_label(bars, labels=[number(value) if value else "" for value in values], padding=3)
        axes.set_title(f"{title}\n{better}", loc="left", fontsize=9)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xticks([])
        axes.spines[["top", "right", "bottom"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
