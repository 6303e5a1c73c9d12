"""Writes the table of events in docs/protocol.md from app/events.py: `python docs/event_table.py --write`.

Without `--write` it prints the table. A test fails while the file says something else than the code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import msgspec

from app.events import BroadcastMessage, Event

PAGE = Path(__file__).with_name("protocol.md")
BEGIN = "<!-- events: written by docs/event_table.py -->\n"
END = "<!-- end of events -->\n"

NO_JSON = {BroadcastMessage}
"""Travels as plain text, so it is described in the channel's own section."""


def table() -> str:
    """Return the table in Markdown: a row per event, its fields as its JSON has them, and its docstring."""
    rows = ["| event | data, beside `type` | |", "|---|---|---|"]
    rows += [_row(event) for event in get_args(Event) if event not in NO_JSON]
    return "".join(f"{row}\n" for row in rows)


def written(page: str) -> str:
    """Return the page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"{PAGE.name} has no place for the table: {BEGIN.strip()} ... {END.strip()}")
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(event: type[msgspec.Struct]) -> str:
    fields = ", ".join(_field(event, field) for field in msgspec.structs.fields(event))
    meaning = " ".join((event.__doc__ or "").split())
    return f"| `{event.__struct_config__.tag}` | `{{{fields}}}` | {meaning} |"


def _field(event: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> str:
    has_default = field.default is not msgspec.NODEFAULT
    may_be_absent = has_default and (event.__struct_config__.omit_defaults or field.default is msgspec.UNSET)
    return f"{field.encode_name}?" if may_be_absent else field.encode_name


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
    else:
        print(table(), end="")
