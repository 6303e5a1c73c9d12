"""Runs the benchmarks: `make bench`, or `make bench ARGS="--quick --only fan-out"`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import plot, table
from benchmarks.checks import Wrong
from benchmarks.measures import MEASURES, Measure
from benchmarks.results import PEERS, Results, rows
from benchmarks.servers import LOAD_CORE, ROOT, SERVER_CORE, Contender, express, fastapi, library, tickertape
from benchmarks.sizes import FULL, QUICK, Sizes

RUN_SECONDS = 400
FAILURES = (Wrong, OSError, RuntimeError, ArithmeticError, ValueError, ExceptionGroup, subprocess.SubprocessError)
"""What ends one run and not all of them; a time-out is an `OSError`."""
RAW, PLOT = ROOT / "build" / "benchmarks.json", ROOT / "build" / "benchmarks.svg"
DOCUMENT, DOCUMENT_PLOT = ROOT / "docs" / "performance.md", ROOT / "docs" / "performance.svg"


def main() -> int:
    """Measure, print the table, and write the plot and the raw figures; 1 when something could not be measured."""
    wanted = _arguments()
    sizes = QUICK if wanted.quick else FULL
    contenders = {
        one.name: one for one in (tickertape(), express(), fastapi(), library()) if one and one.name in wanted.on
    }
    os.sched_setaffinity(0, {LOAD_CORE})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # which ends what runs on the way out
    gc.disable()  # a collection in the middle of a storm would be counted as the server's time
    console = Console(width=None if sys.stdout.isatty() else 150)
    facts = _facts(contenders, sizes, wanted.rounds)
    console.print(facts)
    measures = [measure for measure in MEASURES if not wanted.only or measure.name in wanted.only]
    results, failures = _run_all(measures, contenders, sizes, wanted.rounds, console)
    found = list(rows(results, sizes))
    console.print(table.on_terminal(found))
    RAW.parent.mkdir(exist_ok=True)
    RAW.write_text(json.dumps({"facts": facts, "results": results}, indent=1), "utf-8")
    plot.draw(results, PLOT)
    console.print(f"The raw figures are in {RAW.relative_to(ROOT)}, the plot in {PLOT.relative_to(ROOT)}.")
    if wanted.write_docs:
        table.put_between_marks(DOCUMENT, f"{facts}\n\n{table.as_markdown(found)}")
        plot.draw(results, DOCUMENT_PLOT)
    for failure in failures:
        console.print(f"[red]{failure}[/]")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    names = [measure.name for measure in MEASURES]
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description="What a stream costs, beside two peers.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes and one round: about a minute")
    parser.add_argument("--only", nargs="+", choices=names, metavar="MEASURE", help=", ".join(names))
    parser.add_argument(
        "--on", nargs="+", default=["tickertape", *PEERS], help="servers to measure, and OpenAI's library"
    )
    parser.add_argument("--rounds", type=int, help="how often each is measured (3; 1 when quick)")
    parser.add_argument("--write-docs", action="store_true", help="put table and plot into docs/performance.md")
    wanted = parser.parse_args()
    wanted.rounds = wanted.rounds or (1 if wanted.quick else 3)
    return wanted


def _run_all(
    measures: list[Measure], contenders: dict[str, Contender], sizes: Sizes, rounds: int, console: Console
) -> tuple[Results, list[str]]:
    """Run the rounds of each measure, the contenders by turns within each."""
    plan = [
        (measure, number, contenders[name])
        for measure in measures
        for number in range(min(rounds, measure.rounds or rounds))
        for name in measure.on
        if name in contenders
    ]
    results: Results = {}
    failures = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # The bar is drawn by this process, so it is drawn once a second only.
    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as shared,
        Progress(*columns, console=console, refresh_per_second=1) as progress,
    ):
        bar = progress.add_task("", total=len(plan))
        for measure, number, contender in plan:
            progress.update(bar, description=f"{measure.name}, round {number + 1}: {contender.title}")
            try:
                figures = _run(measure, contender, Path(shared), sizes)
            except FAILURES as error:
                failures.append(f"{measure.name} on {contender.title}: {type(error).__name__}: {error}")
            else:
                results.setdefault(measure.name, {}).setdefault(contender.name, []).append(figures)
            gc.collect()
            progress.advance(bar)
    return results, failures


def _run(measure: Measure, contender: Contender, shared: Path, sizes: Sizes) -> dict[str, float]:
    async def within_time() -> dict[str, float]:
        async with asyncio.timeout(RUN_SECONDS):
            return await measure.run(contender, Path(folder), shared, sizes)

    with (
        tempfile.TemporaryDirectory(prefix="benchmarks-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(within_time())


def _facts(contenders: dict[str, Contender], sizes: Sizes, rounds: int) -> str:
    """Return the machine, the versions and the date in a sentence each."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = [f"Python {platform.python_version()}"]
    if "express" in contenders:
        node = subprocess.run(
            [contenders["express"].command[0], "--version"], capture_output=True, text=True, check=True
        )
        versions.append(f"Node {node.stdout.strip()}")
    if "library" in contenders:
        [library] = (Path(contenders["library"].command[0]).parent.parent / "clients").glob("openai-*.dist-info")
        versions.append(library.stem.replace("-", " "))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {len(models)} cores of {models[0] if models else platform.machine()},"
        f" {gib:.0f} GiB, Linux {platform.release()}; {', '.join(versions)}."
        f" {'The full sizes' if sizes == FULL else 'Smaller sizes'}, {rounds} round{'s' if rounds > 1 else ''};"
        f" server on core {SERVER_CORE}, load on core {LOAD_CORE};"
        f" load average before the start {os.getloadavg()[0]:.2f}."
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped; every server is ended.")
