"""Writes the table of settings in docs/operations.md from app/settings.py: `python docs/settings_table.py --write`.

Without `--write` it prints the table. A test fails while the file says something else than the code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from app.settings import Settings

PAGE = Path(__file__).with_name("operations.md")
BEGIN = "<!-- settings: written by docs/settings_table.py -->\n"
END = "<!-- end of settings -->\n"


def table() -> str:
    """Return the table in Markdown: a row per setting, with its default and its bounds."""
    rows = ["| `TICKERTAPE_` | default | | |", "|---|---|---|---|"]
    rows += [_row(field) for field in msgspec.structs.fields(Settings)]
    return "".join(f"{row}\n" for row in rows)


def written(page: str) -> str:
    """Return the page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{PAGE.name} has no place for the table: {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(field: msgspec.structs.FieldInfo) -> str:
    described = [meta.description for meta in field.type.__metadata__ if meta.description]
    return f"| `{field.name.upper()}` | {_default(field.default)} | {_bounds(field.type)} | {described[-1]} |"


def _default(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text.lower() if isinstance(value, bool) else text}`" if text else "none"


def _bounds(annotation: Any) -> str:
    kind = inspect.type_info(annotation)
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    match kind:
        case inspect.BoolType():
            return "true, false"
        case inspect.IntType() | inspect.FloatType():
            return f"{f'{kind.ge:,}' if kind.gt is None else f'above {kind.gt:,}'} to {kind.le:,}"
    return "text"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    else:
        print(table(), end="")
