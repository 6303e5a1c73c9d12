"""Measures the chat page in a real Chromium: `python -m benchmarks.browser`, in the environment of the tests."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from playwright.async_api import Browser, CDPSession, Response, async_playwright
from rich.progress import Progress

from tests.browser import chromium
from tests.support.server import Server

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- page -->", "<!-- /page -->"
REPLY = "[aria-label='Reply']"
ENDED = f"{REPLY}[data-status='completed']"
PATIENCE = 120_000  # ms

WATCH = """() => {
  window.frames_ = [];
  let last = performance.now();
  const tick = (now) => { frames_.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  window.tasks_ = [];
  const seen = (list) => tasks_.push(...list.getEntries().map((one) => one.duration));
  new PerformanceObserver(seen).observe({ type: 'longtask' });
}"""

USABLE = """new MutationObserver((_, self) => {
  if (!document.querySelector('textarea')) return;
  window.usable_ = performance.now();
  self.disconnect();
}).observe(document, { childList: true, subtree: true });"""


class Figure(NamedTuple):
    """One line of the table; `most` is what was asked for."""

    title: str
    unit: str
    value: float
    most: float | None = None


async def weigh(browser: Browser, server: Server) -> list[Figure]:
    """Weigh what is asked for until somebody can write and send, and all there is when the first reply is shown."""
    sizes: dict[str, int] = {}

    async def weighed(response: Response) -> None:
        if response.url.endswith((".js", ".css")):
            sizes[response.url] = len(gzip.compress(await response.body(), 9))

    page = await browser.new_page()
    reading: list[asyncio.Task[None]] = []
    page.on("response", lambda response: reading.append(asyncio.ensure_future(weighed(response))))
    await page.add_init_script(USABLE)
    await page.goto(server.url)
    field = page.get_by_role("textbox", name="Message", exact=True)
    await field.fill("Something to read")
    await field.press("Enter")
    await page.locator(ENDED).wait_for()
    await asyncio.sleep(2)  # what is loaded lazily comes when the page has nothing else to do
    await asyncio.gather(*reading)
    early = await page.evaluate(
        "() => performance.getEntriesByType('resource').filter((one) => one.startTime < usable_).map((one) => one.name)"
    )
    await page.close()
    return [
        Figure(
            "JavaScript and CSS, gzip, before the first chat is usable",
            "kB",
            sum(sizes.get(url, 0) for url in early) / 1000,
            60,
        ),
        Figure("... and with its first reply shown as Markdown", "kB", sum(sizes.values()) / 1000),
    ]


async def watch_reply(browser: Browser, server: Server) -> list[Figure]:
    """Show a reply of 5,000 tokens at 200 a second, and look at every frame."""
    options = {"tokens": 5000, "tokens_per_second": 200, "first_token_delay": 2, "seed": 7}
    page = await browser.new_page()
    await page.goto(server.url)
    asked = await server.ask("Five thousand tokens", responder="mock", options=options)
    await page.goto(f"{server.url}/#{asked['conversation']['id']}")
    await page.locator(REPLY).wait_for()
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    await page.evaluate(WATCH)
    before = await busy(session)
    await page.locator(ENDED).wait_for(timeout=PATIENCE)
    spent = await busy(session) - before
    frames, tasks = await page.evaluate("() => [frames_, tasks_]")
    await page.close()
    return [
        Figure("A reply of 5,000 tokens at 200/s: the longest frame", "ms", max(frames), 50),
        Figure("... 99 of 100 frames take at most", "ms", statistics.quantiles(frames, n=100)[98]),
        Figure("... the longest task", "ms", max(tasks, default=0.0)),
        Figure("... the main thread's time per token", "µs", spent / 5000 * 1e6),
    ]


async def busy(session: CDPSession) -> float:
    """Return how long the page's main thread has worked, in seconds."""
    metrics: list[dict[str, Any]] = (await session.send("Performance.getMetrics"))["metrics"]
    return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


async def open_long(browser: Browser, server: Server) -> list[Figure]:
    """Open a conversation of 1,000 messages in a new page, and from another conversation."""
    asked = await server.ask("Message 0", responder="mock", options={"tokens": 100, "tokens_per_second": 10_000})
    id = asked["conversation"]["id"]
    for number in range(1, 500):
        await server.ended(asked)
        options = {"tokens": 100, "tokens_per_second": 10_000, "first_token_delay": 0}
        asked = await server.ask(
            f"Message {number}", f"/conversations/{id}/messages", responder="mock", options=options
        )
    await server.ended(asked)
    last = f"[role='log'] >> text='Message {number}'"
    page = await browser.new_page()
    await page.goto(f"{server.url}/#{id}")
    await page.locator(last).wait_for()
    loaded = await page.evaluate("() => performance.now()")
    await page.goto(f"{server.url}/#")
    await page.locator(last).wait_for(state="detached")
    began = await page.evaluate("(id) => { const now = performance.now(); location.hash = id; return now; }", id)
    await page.locator(last).wait_for()
    switched = await page.evaluate("() => performance.now()") - began
    await page.close()
    return [
        Figure(
            "A conversation of 1,000 messages: from the request of the page to its last message", "ms", loaded, 1000
        ),
        Figure("... from another conversation", "ms", switched, 1000),
    ]


MEASURES: list[Callable[[Browser, Server], Awaitable[list[Figure]]]] = [weigh, watch_reply, open_long]


async def measure(rounds: int) -> list[Figure]:
    """Return the medians over the rounds."""
    found: dict[str, list[Figure]] = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        with Progress() as progress:
            bar = progress.add_task("", total=rounds * len(MEASURES))
            for _ in range(rounds):
                for one in MEASURES:
                    progress.update(bar, description=one.__name__.replace("_", " "))
                    with tempfile.TemporaryDirectory() as folder:
                        async with Server(Path(folder)) as server:
                            for figure in await one(browser, server):
                                found.setdefault(figure.title, []).append(figure)
                    progress.advance(bar)
        version = browser.version
        await browser.close()
    print(f"Chromium {version}, {rounds} rounds")
    return [f[0]._replace(value=statistics.median(one.value for one in f)) for f in found.values()]


def as_markdown(figures: list[Figure]) -> str:
    """Return the table."""
    lines = ["|  | unit | seen | asked |  |", "|---|---|---:|---|---|"]
    for title, unit, value, most in figures:
        asked, outcome = (f"≤ {most:g}", "met" if value <= most else "missed") if most is not None else ("", "")
        lines.append(f"| {title} | {unit} | {value:.3g} | {asked} | {outcome} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and print; 1 when something was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    wanted = parser.parse_args()
    figures = asyncio.run(measure(wanted.rounds))
    table = as_markdown(figures)
    print(table)
    if wanted.write_docs:
        before, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        date = f"{datetime.now(UTC):%Y-%m-%d}, headless Chromium, medians of {wanted.rounds} rounds."
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{date}\n\n{table}\n\n{END}{after}", "utf-8")
    return int(any(figure.most is not None and figure.value > figure.most for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
