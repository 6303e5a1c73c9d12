"""The table: on a terminal, and as Markdown between two marks of a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from benchmarks.results import Row, number

HEADS = ("", "unit", "Tickertape", "Express", "FastAPI", "ratio", "target", "aim", "")
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
COLOURS = {"missed": "red", "met": "green", "aim met": "bold green"}


def on_terminal(rows: Sequence[Row]) -> Table:
    """Return the table for rich's console."""
    table = Table(title="Medians over the rounds; ratios within each round")
    for place, head in enumerate(HEADS):
        table.add_column(head, justify="right" if 2 <= place <= 5 else "left", overflow="fold")
    for row in rows:
        for *cells, outcome in _lines(row):
            colour = COLOURS.get(outcome)
            table.add_row(*cells, f"[{colour}]{outcome}[/]" if colour else outcome)
    return table


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    lines = ["| " + " | ".join(HEADS) + " |", "|---|---|" + "---:|" * 4 + "---|---|---|"]
    lines += ["| " + " | ".join(cells) + " |" for row in rows for cells in _lines(row)]
    return "\n".join(lines)


def _lines(row: Row) -> list[list[str]]:
    values = [number(row.values[name]) if name in row.values else "" for name in ("tickertape", "express", "fastapi")]
    first = [row.title, row.unit, *values]
    if not row.verdicts:
        return [[*first, "", "", "", ""]]
    empty = [""] * len(first)
    return [
        [*(empty if place else first), verdict.got, verdict.target, verdict.aim, verdict.outcome]
        for place, verdict in enumerate(row.verdicts)
    ]


def put_between_marks(document: Path, text: str) -> None:
    """Replace what stands between the two marks of a document."""
    before, begin, rest = document.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document} has no marks for the figures")
    document.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
