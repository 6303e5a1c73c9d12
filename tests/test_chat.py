"""`tickertape chat`, as people meet it: at a terminal, in a pipe, with servers that come and go."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console
from rich.markdown import Markdown

from app.terminal import split
from tests.support.server import Server
from tests.support.typist import CONTROL_C, CONTROL_D, Typist

slow = pytest.mark.slow
COMMAND = str(Path(sys.executable).with_name("tickertape"))
ENDLESS = ["-o", "tokens=100000", "-o", "tokens_per_second=50", "-o", "seed=3"]


def environment(server: Server, **more: str) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")}
    return kept | {"TICKERTAPE_PORT": str(server.port)} | more


def start(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a chat whose standard streams are pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [COMMAND, "chat", *arguments], env=environment(server), stdin=pipe, stdout=pipe, stderr=pipe
    )


async def run(server: Server, *arguments: str, typed: str = "") -> tuple[int, str, str]:
    """Run a chat to its end; returns its status and what it wrote to standard output and error."""
    with start(server, *arguments) as process:
        out, err = await asyncio.to_thread(process.communicate, typed.encode(), 40)
    return process.returncode, out.decode(), err.decode()


# --- in a pipe ---


@slow
async def test_a_pipe_and_a_dumb_terminal_get_the_bare_text(server: Server) -> None:
    prompt = "# naïve 🙂\n\n* 語 [bold]x[/bold]"
    dumb = ["env", "TERM=dumb", COMMAND, "chat", "--responder", "echo", prompt]
    async with Typist(dumb, environment(server)) as typist:
        assert await run(server, "--responder", "echo", typed=prompt + "\n") == (0, prompt + "\n", "")

        assert await typist.ends() == 0
        await typist.sees(prompt.replace("\n", "\r\n"))
    assert "\x1b" not in typist.raw


@slow
async def test_a_prompt_as_argument_goes_on_in_a_conversation_with_options(server: Server) -> None:
    asked = await server.ask("Before", responder="echo")
    id = asked["conversation"]["id"]

    status, out, _ = await run(server, "Hello", "--conversation", id, "-o", "tokens=12", "-o", "tool_call=true")

    messages = (await server.get(f"/conversations/{id}/messages")).json()["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    assert (status, out) == (0, messages[-1]["text"] + "\n")
    assert [part["type"] for part in messages[-1]["parts"]] == ["tool_call", "tool_result", "text"]


WRONG = [
    (["--responder", "nobody"], 1, "There is no responder named 'nobody'."),
    (["--conversation", "nowhere"], 1, "There is no such conversation."),
    (["-o", "fail_after=0"], 1, "The responder failed; the server's log says why."),
    (["--url", "http://127.0.0.1:1"], 1, "`tickertape serve` starts one."),
    (["--url", "nowhere"], 2, "is not an address"),
    (["-o", "tokens"], 2, "is not NAME=VALUE"),
]


@slow
async def test_what_goes_wrong_is_one_sentence(server: Server) -> None:
    answers = await asyncio.gather(*(run(server, "Hi", *arguments) for arguments, _, _ in WRONG))

    for (status, out, err), (_, expected, sentence) in zip(answers, WRONG, strict=True):
        assert (status, out.strip()) == (expected, "")
        assert sentence in err
        assert "Traceback" not in err


@slow
async def test_a_server_killed_in_mid_reply_leaves_the_text_that_it_holds(server: Server) -> None:
    with start(server, "Go on", *ENDLESS) as process:
        first = await asyncio.to_thread(process.stdout.read1)  # type: ignore[union-attr]
        await server.restart()
        rest, err = await asyncio.to_thread(process.communicate, None, 40)

    [conversation] = (await server.get("/conversations")).json()["conversations"]
    messages = (await server.get(f"/conversations/{conversation['id']}/messages")).json()["messages"]
    assert process.returncode == 1
    assert (first + rest).decode() == messages[-1]["text"] + "\n"
    assert err.decode() == "The reply was interrupted: the server went away while writing it.\n"


# --- at a terminal ---


@slow
async def test_ctrl_c_stops_the_reply_and_the_chat_goes_on(server: Server) -> None:
    async with Typist([COMMAND, "chat", *ENDLESS], environment(server)) as typist:
        for prompt in ("First", "Second"):
            await typist.sees("> ")
            typist.type(f"{prompt}\r")
            await typist.sees("the")
            typist.type(CONTROL_C)
            await typist.sees("The reply was stopped.")
        await typist.sees("> ")
        typist.type(CONTROL_D)
        await typist.sees("To go on: tickertape chat --conversation ")

        assert await typist.ends() == 0

    [conversation] = (await server.get("/conversations")).json()["conversations"]
    messages = (await server.get(f"/conversations/{conversation['id']}/messages")).json()["messages"]
    assert [message["status"] for message in messages] == ["completed", "cancelled"] * 2
    assert conversation["id"] in typist.text
    assert set("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏") & set(typist.text), "a spinner, until the first token"
    assert "^C" not in typist.text, "an echo would tear what is drawn"


@slow
async def test_a_lost_connection_is_told_quietly_and_the_reply_goes_on_to_its_end(server: Server) -> None:
    async with Typist([COMMAND, "chat", *ENDLESS], environment(server)) as typist:
        await typist.sees("> ")
        typist.type("Go on\r")
        await typist.sees("the")
        await server.kill()
        await typist.sees("The connection is lost")
        await server.start()
        await typist.sees("The reply was interrupted")
        await typist.sees("> ")

        assert await typist.ends(pressing=CONTROL_C) == 0


@slow
async def test_what_a_model_writes_is_shown_and_does_not_command_the_terminal(server: Server) -> None:
    prompt = "# Title\n\n\x1b]0;mine\x07 and \x9b2J **bold**"
    async with Typist([COMMAND, "chat", "--responder", "echo", prompt], environment(server)) as typist:
        await typist.sees("Title")
        await typist.sees("␛]0;mine␇ and �2J bold")

        assert await typist.ends() == 0
    assert "\x1b]" not in typist.raw
    assert "\x9b" not in typist.raw


# --- Markdown that grows ---

GROWING = """\
A paragraph
that goes on.

## A heading
- one
- two

  still two
1. first

| a | b |
|---|---|
| 1 | 2 |

> a quote
goes on

```python
print("a")

print("b")
```
Title
=====
    code?

The end.
"""


def rendered(markdown: str) -> list[str]:
    """The lines that are not empty, as a terminal shows them."""
    console = Console(file=io.StringIO(), width=60, force_terminal=True)
    with console.capture() as capture:
        console.print(Markdown(markdown))
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_blocks_that_are_finished_one_by_one_look_like_the_whole(size: int) -> None:
    finished, draft = [], ""
    for at in range(0, len(GROWING), size):
        draft += GROWING[at : at + size]
        done, draft = split(draft)
        if done:
            finished.append(done)

    assert len(finished) == (1 if size == 1000 else 9)
    assert [line for block in [*finished, draft] for line in rendered(block)] == rendered(GROWING)
