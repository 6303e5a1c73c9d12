"""`tickertape chat`: asks, and shows each reply while it is written. It knows the server by HTTP alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from contextlib import aclosing, suppress
from io import TextIOWrapper
from typing import Any
from urllib.parse import urlsplit

import rich_click as click
from rich.console import Console

from app.client import Client, Event, Refused
from app.settings import Settings
from app.terminal import Pipe, Terminal

with suppress(ImportError):
    import readline  # noqa: F401 - with it, `input` edits lines and remembers them

PATIENCE_SECONDS = 60.0
"""How long a server that was there may stay away."""


class Trouble(Exception):
    """Why there is no complete reply, in a sentence."""


class Reading:
    """How much of one reply is shown: each piece once, whether an event or a snapshot brings it."""

    def __init__(self, reply_id: str, page: Terminal | Pipe) -> None:
        self._reply_id = reply_id
        self._page = page
        self._shown: dict[int, int] = {}

    def take(self, event: Event) -> dict[str, Any] | None:
        """Show what is new, and return the reply once it has ended: without `parts` where a snapshot left them out."""
        data = json.loads(event.data)
        if event.type == "snapshot":
            return self.catch_up(next((m for m in data["messages"] if m["id"] == self._reply_id), {}))
        if data.get("reply_id") == self._reply_id:
            match event.type:
                case "reply.delta":
                    self._show(data["part"], data.get("kind", "text"), data["text"])
                case "reply.tool_call" | "reply.tool_result":
                    self._show(data["part"], event.type.removeprefix("reply."), _line(data))
                case "reply.ended":
                    return {"parts": (), **data}
        return None

    def catch_up(self, reply: dict[str, Any]) -> dict[str, Any] | None:
        """Show what a stored reply holds beyond what is shown, and return it if it has ended."""
        for index, part in enumerate(reply.get("parts", ())):
            text = part["text"] if "text" in part else _line(part)
            if rest := text[self._shown.get(index, 0) :]:
                self._show(index, part["type"], rest)
        return None if reply.get("status") in ("accepted", "running") else reply

    def _show(self, part: int, kind: str, text: str) -> None:
        self._shown[part] = self._shown.get(part, 0) + len(text)
        self._page.show(kind, text)


class Chat:
    """One conversation with one server; `fields` go with every prompt."""

    def __init__(self, url: str, conversation_id: str | None, fields: dict[str, Any], page: Terminal | Pipe) -> None:
        self.conversation_id = conversation_id
        self._url = url
        self._fields = fields
        self._page = page
        self._client = Client(url, self._pause)
        self._patience = 0.0
        self._lost_at: float | None = None

    @classmethod
    async def open(cls, url: str, conversation_id: str | None, fields: dict[str, Any], page: Terminal | Pipe) -> Chat:
        """Return a chat whose server, and conversation to go on in, are there. Raises `Trouble` and `Refused`."""
        chat = cls(url, conversation_id, fields, page)
        try:
            await chat._client.call("GET", f"/conversations/{conversation_id}" if conversation_id else "/health/live")
        except BaseException:
            await chat.close()
            raise
        chat._patience = PATIENCE_SECONDS
        return chat

    async def close(self) -> None:
        """Close all connections."""
        await self._client.__aexit__()

    async def answer(self, prompt: str) -> None:
        """Ask, and show the reply until it is complete. Raises `Trouble` where it will not be, and `Refused`.

        Ctrl-C stops the reply; before one is accepted, or the second time, it goes away.
        """
        asked: dict[str, Any] = {}
        stopping: list[asyncio.Task[object]] = []
        reading = asyncio.create_task(self._read(prompt, asked))

        def interrupt() -> None:
            if asked and not stopping:
                stop = self._client.stop(asked["conversation"]["id"], asked["reply"]["id"])
                stopping.append(asyncio.create_task(stop))
            else:
                reading.cancel()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, interrupt)
        try:
            await asyncio.wait([reading])
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            for task in (reading, *stopping):
                task.cancel()
            await asyncio.gather(*stopping, return_exceptions=True)
        if reading.cancelled():
            raise Trouble("You left before the end; a reply that was accepted goes on.")
        _judge(reading.result())

    async def _read(self, prompt: str, asked: dict[str, Any]) -> dict[str, Any]:
        path = f"/conversations/{self.conversation_id}/messages" if self.conversation_id else "/conversations"
        async with self._page:
            asked |= await self._client.ask(prompt, path, **self._fields)
            self.conversation_id = asked["conversation"]["id"]
            reading = Reading(asked["reply"]["id"], self._page)
            async with aclosing(self._client.events(asked["events"], asked["cursor"])) as events:
                async for event in events:
                    self._lost_at = None
                    self._page.wait("")
                    ended = reading.take(event)
                    if ended is not None and "parts" not in ended:
                        stored = f"/conversations/{self.conversation_id}/replies/{asked['reply']['id']}"
                        ended = reading.catch_up((await self._client.call("GET", stored))["reply"])
                    if ended is not None:
                        return ended
        raise Trouble("The stream has ended before the reply.")

    async def _pause(self, seconds: float, why: Exception) -> None:
        now = time.monotonic()
        self._lost_at = self._lost_at or now
        if now - self._lost_at >= self._patience:
            raise Trouble(f"No server answers at {self._url}. `tickertape serve` starts one.") from why
        self._page.wait("The connection is lost, trying again")
        await asyncio.sleep(seconds)


def _line(tool: dict[str, Any]) -> str:
    return f"{tool['name']} {tool['arguments']}" if "name" in tool else str(tool["result"])


def _judge(reply: dict[str, Any]) -> None:
    match reply["status"]:
        case "completed":
            return
        case "failed":
            raise Trouble(reply["error"]["message"])
        case "cancelled":
            raise Trouble("The reply was stopped.")
        case _:
            raise Trouble("The reply was interrupted: the server went away while writing it.")


@click.command()
@click.argument("prompt", required=False)
@click.option(
    "--url", help="The server. [default http://127.0.0.1:8000, or as TICKERTAPE_HOST and TICKERTAPE_PORT say]"
)
@click.option("--conversation", metavar="ID", help="Go on in this conversation.")
@click.option("--responder", metavar="NAME", help="Who answers, instead of the server's default.")
@click.option("-o", "--option", "options", multiple=True, metavar="NAME=VALUE", help="An option of the responder.")
def chat(
    prompt: str | None, url: str | None, conversation: str | None, responder: str | None, options: tuple[str, ...]
) -> None:
    """Talk with a running server, and read its replies while they are written.

    With a PROMPT, or one on standard input, there is one reply, and the exit status is 0 when it is complete.
    Otherwise prompts are read line by line: Ctrl-C stops a reply, and leaves where none is written.
    """
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # bytes that are no text, and text that a terminal has no bytes for
    console = Console()
    page = Terminal(console) if sys.stdout.isatty() and not console.is_dumb_terminal else Pipe()
    fields = {"responder": responder, "options": dict(map(_option, options))}
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().removesuffix("\n")
    try:
        with asyncio.Runner() as runner:
            talk = runner.run(Chat.open(_server(url), conversation, fields, page))
            try:
                if prompt is None:
                    _converse(runner, talk)
                else:
                    runner.run(talk.answer(prompt))
            finally:
                runner.run(talk.close())
    except (Trouble, Refused) as error:
        click.echo(_sentence(error), err=True)
        sys.exit(1)


def _converse(runner: asyncio.Runner, talk: Chat) -> None:
    while (prompt := _next_prompt()) is not None:
        if prompt.strip():
            click.echo()
            try:
                runner.run(talk.answer(prompt))
            except (Trouble, Refused) as error:
                click.secho(_sentence(error), dim=True, err=True)
            click.echo()
    if talk.conversation_id:
        click.secho(f"To go on: tickertape chat --conversation {talk.conversation_id}", dim=True, err=True)


def _next_prompt() -> str | None:
    try:
        if sys.stdout.isatty():
            return input("> ")
        click.echo("> ", nl=False, err=True)
        return input()
    except (EOFError, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it leaves; a second one would kill it
        click.echo(err=True)
        return None


def _sentence(error: Trouble | Refused) -> str:
    return error.message if isinstance(error, Refused) else str(error)


def _option(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="-o")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _server(url: str | None) -> str:
    if url is None:
        settings = Settings.read(os.environ)
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - listened on
        return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return url
    except ValueError:
        pass
    raise click.BadParameter(f"{url!r} is not an address such as http://127.0.0.1:8000.", param_hint="--url")
