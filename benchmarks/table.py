"""The tables: on a terminal, and as Markdown between two marks of a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table

from benchmarks.measures import ALL, OURS
from benchmarks.results import PEERS, Row, number

TITLES = {OURS: "Tickertape", **PEERS}
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
COLOURS = {"missed": "red", "met": "green", "aim met": "bold green"}


def on_terminal(rows: Sequence[Row]) -> Group:
    """Return the tables for rich's console."""
    return Group(*(_on_terminal(names, some) for names, some in _by_columns(rows)))


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the tables in Markdown."""
    return "\n\n".join(_as_markdown(names, some) for names, some in _by_columns(rows))


def _by_columns(rows: Sequence[Row]) -> Iterator[tuple[Sequence[str], list[Row]]]:
    """Yield the rows of each table, with whom its columns are about: the servers, or a pair of other things."""
    tables: dict[Sequence[str], list[Row]] = {}
    for row in rows:
        tables.setdefault(ALL if set(row.on) <= set(ALL) else row.on, []).append(row)
    yield from tables.items()


def _heads(names: Sequence[str]) -> list[str]:
    return ["", "unit", *(TITLES[name] for name in names), "ratio", "target", "aim", ""]


def _on_terminal(names: Sequence[str], rows: Sequence[Row]) -> Table:
    table = Table(title="Medians over the rounds; ratios within each round")
    for place, head in enumerate(_heads(names)):
        table.add_column(head, justify="right" if 2 <= place <= len(names) + 2 else "left", overflow="fold")
    for row in rows:
        for *cells, outcome in _lines(names, row):
            colour = COLOURS.get(outcome)
            table.add_row(*cells, f"[{colour}]{outcome}[/]" if colour else outcome)
    return table


def _as_markdown(names: Sequence[str], rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(_heads(names)) + " |", "|---|---|" + "---:|" * (len(names) + 1) + "---|---|---|"]
    lines += ["| " + " | ".join(cells) + " |" for row in rows for cells in _lines(names, row)]
    return "\n".join(lines)


def _lines(names: Sequence[str], row: Row) -> list[list[str]]:
    values = [number(row.values[name]) if name in row.values else "" for name in names]
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
