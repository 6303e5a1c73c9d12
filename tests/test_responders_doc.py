"""The examples of docs/responders.md are responders that keep the contract."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from responders.base import Finish, Prompt, Text, ToolCall, ToolResult, Turn, Usage
from responders.conformance import check
from responders.registry import load
from responders.responder import Responder
from tests.responders.upstream import DONE, Upstream, called, chunk, event, head, read_request

TEXT = (Path(__file__).parent.parent / "docs" / "responders.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def name_of(code: str) -> str:
    """The responder's name: it is the last that an example defines."""
    return re.findall(r"^(?:async def|def|class) (\w+)", code, re.MULTILINE)[-1]


class Model:
    """The library of the reader's own: it blocks, and writes one reply at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.busy = False

    def stream(self, turns: list[dict[str, str]], max_tokens: int | None = None) -> Any:
        assert not self.busy
        self.busy = True
        try:
            for word in turns[-1]["content"].split()[:max_tokens]:
                time.sleep(0.0001)
                yield word + " "
        finally:
            self.busy = False


class Dicer(Upstream):
    """An upstream whose model rolls a die, and then says what came of it."""

    async def _play(self, script: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request := await read_request(reader))
        last = request.body["messages"][-1]
        usage = chunk(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})
        if last["role"] == "tool":
            pieces = [event(f"You rolled: {last['content']}"), event(finish="stop")]
        else:
            pieces = [called(0, '{"sides": 1}', id="a", name="roll"), event(finish="tool_calls")]
        writer.write(b"".join([head(), *pieces, usage, DONE]))


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load an example from a file, as its reader would, who has the library that it names."""
    library = ModuleType("my_models")
    library.Model = Model
    monkeypatch.setitem(sys.modules, "my_models", library)

    def load_example(name: str) -> Responder:
        [code] = [code for code in EXAMPLES if name_of(code) == name]
        (tmp_path / "example.py").write_text(code)
        return load(f"{tmp_path}/example.py:{name}")

    return load_example


@pytest.fixture
async def dicer(monkeypatch: pytest.MonkeyPatch) -> Any:
    async with Dicer([b""]) as upstream:
        monkeypatch.setenv("OPENAI_BASE_URL", upstream.url)
        yield upstream


async def read(responder: Responder, text: str, **more: Any) -> list[Any]:
    messages = (Turn("user", (Text(text),), text),)
    prompt = Prompt(text, messages=messages, options=responder.parse_options({}), **more)
    return [piece async for piece in responder.open(prompt) if piece]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name_of(code) for code in EXAMPLES])
async def test_an_example_passes_the_conformance_cases(name: str, example: Any, dicer: Dicer) -> None:
    outcomes = await asyncio.to_thread(check, example(name))

    assert [outcome for outcome in outcomes if not outcome.passed] == []
    assert not all(outcome.skipped for outcome in outcomes)


async def test_a_library_that_blocks_writes_one_reply_after_the_other(example: Any) -> None:
    local = example("local")

    replies = await asyncio.gather(*(read(local, "one two three four", max_tokens=3) for _ in range(3)))

    assert replies == [["one ", "two ", "three "]] * 3


async def test_tools_are_run_until_the_model_has_an_answer(example: Any, dicer: Dicer) -> None:
    pieces = await read(example("Dice"), "Roll a die.")

    assert pieces == [
        ToolCall("a", "roll", '{"sides": 1}'),
        Usage(5, 2, 7),
        Finish("tool_calls"),
        ToolResult("a", "1"),
        "You rolled: 1",
        Usage(10, 4, 14),
        Finish("stop"),
    ]
    first, second = (request.body for request in dicer.requests)
    assert first["tools"][0]["function"]["name"] == "roll"
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "tool"]
    assert second["tools"] == first["tools"]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 5
