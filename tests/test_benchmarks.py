"""The benchmarks: that they count right, judge right, and work at all. None of these tests looks at a time."""

from __future__ import annotations

import asyncio
import math
import sys
from pathlib import Path

import pytest

from benchmarks.checks import Wrong, dechunked, frames, same
from benchmarks.load import Connection, Count
from benchmarks.measures import ALL, MEASURES, Measure
from benchmarks.results import rows
from benchmarks.servers import ROOT, Contender, Server, express, fastapi, library, tickertape
from benchmarks.sizes import FULL, QUICK, TINY
from benchmarks.table import as_markdown, put_between_marks

BENCH = ROOT / ".venv" / "bench" / "bin" / "python"


async def test_a_marker_is_counted_however_the_bytes_are_cut():
    sent = b"HTTP/1.1 200 OK\r\n\r\n9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n9\r\ndata: data\n\n\r\n0\r\n\r\n"

    for size in range(1, len(sent) + 1):
        ends = []
        connection = Connection(Count(b"data: "))
        connection.on_end = lambda ends=ends: ends.append(1)
        for start in range(0, len(sent), size):
            connection.data_received(sent[start : start + size])

        assert connection.seen == connection.count.total == 3
        assert ends == [1]


async def test_waiting_for_events_that_do_not_come_says_how_many_came():
    count = Count(b"data: ")
    count.add(3)

    with pytest.raises(TimeoutError, match="3 of 4 events"):
        await count.reaches(4, within=0.01)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_kept_bytes_are_read_by_the_rules_of_event_streams(end):
    body = end.join(
        ["retry: 1000", "", ": ping", "", "id: e-1", "event: reply.delta", "data: a", "data: b", "", "data: cut"]
    )
    connection = Connection(Count(b"data: "), keep=True)
    connection.data_received(f"HTTP/1.1 200 OK\r\n\r\n{len(body):x}\r\n{body}\r\n".encode())

    assert list(frames(connection)) == [("reply.delta", "a\nb", "e-1")]


def test_a_chunked_body_that_is_cut_gives_what_has_come():
    assert dechunked(b"3\r\nabc\r\n5\r\nde") == b"abcde"


def test_missing_events_are_not_passed_over():
    with pytest.raises(Wrong, match="1 events"):
        same(["a"], ["a", "b"])


@pytest.mark.parametrize(
    ("ours", "express", "got", "outcome"),
    [
        ([260.0, 230.0, 100.0], [100.0, 100.0, 100.0], "2.30 × Express", "met"),
        ([260.0, 250.0, 100.0], [100.0, 100.0, 100.0], "2.50 × Express", "aim met"),
        ([200.0], [100.0], "2.00 × Express", "missed"),
    ],
)
def test_a_goal_is_judged_by_the_median_of_the_ratios_within_rounds(ours, express, got, outcome):
    taken = {
        name: [{"events_per_second": value, "us_per_event": 1e6 / value} for value in values]
        for name, values in (("tickertape", ours), ("express", express))
    }

    rate, cpu = rows({"fan-out": taken}, QUICK)

    assert [(verdict.got, verdict.outcome) for verdict in rate.verdicts] == [(got, outcome)]
    assert [(verdict.got, verdict.outcome) for verdict in cpu.verdicts] == [(f"{got} (less)", outcome)]


@pytest.mark.parametrize(("sizes", "outcome"), [(FULL, "met"), (QUICK, "(sizes differ)")])
def test_seconds_are_judged_at_the_full_sizes_only(sizes, outcome):
    (row,) = rows({"reconnects": {"tickertape": [{"seconds": 1.5}]}}, sizes)

    assert [(verdict.got, verdict.target, verdict.outcome) for verdict in row.verdicts] == [("1.50 s", "≤ 2", outcome)]


def test_the_table_takes_the_place_between_the_marks_of_a_document(tmp_path):
    document = tmp_path / "performance.md"
    document.write_text("Before.\n<!-- figures -->\nold\n<!-- /figures -->\nAfter.\n", "utf-8")
    found = list(rows({"reconnects": {"tickertape": [{"seconds": 1.5}]}}, FULL))

    put_between_marks(document, as_markdown(found))

    text = document.read_text("utf-8")
    assert "old" not in text
    assert "| 1.50 | " in text
    assert text.startswith("Before.\n<!-- figures -->\n\n| ")
    assert text.endswith(" |\n\n<!-- /figures -->\nAfter.\n")


def test_what_is_no_server_has_a_table_of_its_own():
    taken = {"tickertape": [{"us_per_token": 80.0}], "library": [{"us_per_token": 400.0}]}
    found = list(rows({"reconnects": {"tickertape": [{"seconds": 1.5}]}, "upstream": taken}, FULL))

    servers, readers = as_markdown(found).split("\n\n")

    assert "| Tickertape | Express | FastAPI | ratio |" in servers
    assert "| Tickertape | OpenAI's library | ratio |" in readers
    assert "| 80.0 | 400 | 5.00 × OpenAI's library (less) | ≥ 1 |  | met |" in readers


def contenders() -> list[Contender]:
    there = [tickertape(Path(sys.executable)), express(), fastapi(BENCH) if BENCH.exists() else None]
    return [contender for contender in there if contender]


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_measure_works_on_a_server(name, tmp_path):
    for contender in contenders():
        for environment in ({}, {"TELL_JOINS": "yes"}) if contender.name == name else ():
            with Server(contender, tmp_path, **environment) as server:
                for measure in MEASURES:
                    if name in measure.on and measure.environment == environment and not measure.starts_its_own:
                        check(measure, asyncio.run(measure.work(server, TINY)))


@pytest.mark.slow
@pytest.mark.parametrize("measure", [one for one in MEASURES if one.starts_its_own], ids=lambda one: one.name)
def test_a_measure_that_starts_its_own_servers_works(measure, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()

    for contender in (tickertape(Path(sys.executable)), library(Path(sys.executable))):
        if contender and contender.name in measure.on:
            check(measure, asyncio.run(measure.run(contender, tmp_path, shared, TINY)))


def check(measure: Measure, got: dict[str, float]) -> None:
    assert {figure.key for figure in measure.figures} <= set(got), measure.name
    assert all(math.isfinite(figure) for figure in got.values()), measure.name
