"""A process that an engine's tests start, and kill: `python -m tests.engine.child <module:attr> <folder> <what>`.

`claim` says whether it may have the folder. `write` commits for ever, three records at a time and settling now and
then, and prints the last number of each commit once it is acknowledged.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path

from app.engine.base import Commit, Engine, Entry, Settlement
from app.errors import StartError
from tests.support.commits import commit, new_stream, records


async def main(engine: Engine, what: str) -> None:
    try:
        unsettled = (await engine.claim()).get("s", [])
    except StartError as error:
        print("StartError", error)
        return
    if what == "claim":
        print("claimed", flush=True)
        await engine.close()
        return
    stored = await engine.stream("s")
    if stored is None:
        await engine.commit(commit(new_stream("s")))
    head = stored.last + len(unsettled) if stored else 0
    while True:
        settle = len(unsettled) > 20
        new = records(head + 1, head + 3)
        await engine.commit(Commit([Entry("s", new)], [Settlement("s", unsettled)] if settle else ()))
        unsettled = [*([] if settle else unsettled), *new]
        head += 3
        print(head, flush=True)


if __name__ == "__main__":
    module, _, attr = sys.argv[1].partition(":")
    make_engine = getattr(importlib.import_module(module), attr)
    asyncio.run(main(make_engine(Path(sys.argv[2])), sys.argv[3]))
