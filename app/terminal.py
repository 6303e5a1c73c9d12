"""Where a chat writes replies: a terminal that renders them while they grow, or a pipe that gets the bare text."""

from __future__ import annotations

import asyncio
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment, Segments
from rich.spinner import Spinner
from rich.text import Text

FRAMES_PER_SECOND = 12
LONG_DRAFT = 20_000
"""From so many characters on, an unfinished block is shown as plain text: it is rendered again in every frame."""

# A model may write anything, and a terminal obeys: control characters are shown, not sent.
_CONTROLS = {code: chr(0x2400 + code) for code in range(32)} | dict.fromkeys(
    range(0x7F, 0xA0), "\N{REPLACEMENT CHARACTER}"
)
_CONTROLS |= {ord("\n"): "\n", ord("\t"): "\t", ord("\r"): ""}

Lines = list[list[Segment]]


class Pipe:
    """Writes the text of replies to standard output as it is, and a line end where the last one is missing."""

    def __init__(self) -> None:
        self._last = "\n"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.show("text", "" if self._last.endswith("\n") else "\n")

    def show(self, kind: str, text: str) -> None:
        """Write a piece of text; thoughts and tools are for people."""
        if kind == "text" and text:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._last = text

    def wait(self, note: str) -> None:
        """Say nothing."""


class Terminal:
    """Writes replies as Markdown: what can no longer change goes to the scrollback, the last block is drawn anew.

    It is entered for each reply. A spinner turns until something comes, while tools work, and while `wait` holds.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = Spinner("dots", style="dim")

    async def __aenter__(self) -> Self:
        self._kind = self._draft = self._note = ""
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=lambda: self,
        )
        with ExitStack() as stack:
            stack.enter_context(_undisturbed(self._console.file.fileno()))
            self._live.start(refresh=True)
            stack.callback(self._live.stop)
            self._leaving = stack.pop_all()
        self._drawing = asyncio.create_task(self._draw())
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._leaving:
            self._drawing.cancel()
            with suppress(asyncio.CancelledError):
                await self._drawing
            self._keep(self._draft)
            self._kind, self._note = "text", ""  # nothing spins any more

    def show(self, kind: str, text: str) -> None:
        """Add a piece: of `text` or `reasoning`, or the line of a `tool_call` or `tool_result`."""
        self._note = ""
        text = text.translate(_CONTROLS)
        if kind != self._kind:
            self._keep(self._draft)
            if self._kind and not (self._is_tool and kind.startswith("tool")):
                self._console.print()
            self._kind = kind
        if self._is_tool:
            arrow = "→" if kind == "tool_call" else "←"
            line = f"{arrow} {' '.join(text.split())}"
            self._console.print(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
        else:
            self._draft += text

    def wait(self, note: str) -> None:
        """Show beside the spinner why nothing comes, until something does or another note, empty too, is given."""
        self._note = note

    @property
    def _is_tool(self) -> bool:
        return self._kind.startswith("tool")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        above, below = split(self._draft + "\n")  # spaced as they will be once they are finished
        lines = [*self._render(above), *([[]] if above else []), *self._render(below)][2 - console.height :]
        if self._note or self._is_tool or not self._kind:
            self._spinner.update(text=Text(self._note, style="dim"))
            lines += console.render_lines(self._spinner, options, pad=False)[:1]
        yield from _joined(lines)

    async def _draw(self) -> None:
        while True:
            finished, rest = split(self._draft)
            if finished:
                self._keep(finished, rest)
                self._console.print()
            else:
                self._live.refresh()
            await asyncio.sleep(1 / FRAMES_PER_SECOND)

    def _keep(self, finished: str, rest: str = "") -> None:
        lines = self._render(finished, whole=True)
        self._draft = rest
        if lines:
            self._console.print(Segments(_joined(lines)), end="")

    def _render(self, draft: str, *, whole: bool = False) -> Lines:
        style = "dim" if self._kind == "reasoning" else "none"
        is_long = len(draft) > LONG_DRAFT and not whole
        shown = Text(draft[-LONG_DRAFT // 4 :], style) if is_long else Markdown(draft, style=style, hyperlinks=False)
        lines = self._console.render_lines(shown, pad=False)
        filled = [index for index, line in enumerate(lines) if any(segment.text.strip() for segment in line)]
        return lines[filled[0] : filled[-1] + 1] if filled else []


def split(markdown: str) -> tuple[str, str]:
    """Cut Markdown before its last block: nothing above that can change any more, whatever follows.

    Only whole lines count, since an unfinished one may still become anything.
    """
    lines = markdown.split("\n")
    parsed = Markdown("\n".join(lines[:-1])).parsed
    starts = [token.map[0] for token in parsed if token.map and token.level == 0]
    cut = starts[-1] if len(starts) > 1 else 0
    return "\n".join(lines[:cut]), "\n".join(lines[cut:])


def _joined(lines: Sequence[Sequence[Segment]]) -> Iterator[Segment]:
    for line in lines:
        yield from line
        yield Segment.line()


@contextmanager
def _undisturbed(terminal: int) -> Iterator[None]:
    """Let a terminal echo no key, and let Ctrl-C drop no output: either would tear what is drawn."""
    before = termios.tcgetattr(terminal)
    modes = [*before]
    modes[3] = (modes[3] | termios.NOFLSH) & ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, modes)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
