"""Whatever is sent to any call: no 5xx, every refusal a problem, and a log without a traceback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.api.answers import INTERNALS
from tests.api.bodies import CALLS, place
from tests.api.bystanders import Control
from tests.api.watched import QUICK, WatchedServer, path_of, reply_path

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

FUZZ = settings(
    max_examples=250,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

TEXTS = st.text(max_size=40) | st.sampled_from(["echo", "mock", "queue", "interrupt", "", " ", "\0", "\ud800", "ÿ"])
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, 2**63, -(2**63) - 1, 1e308, 10**20])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["prompt", "message", "title", "system", "responder", "options", "parent", "if_running", "__proto__"]
OPTIONS = st.dictionaries(
    st.sampled_from(["tokens", "tokens_per_second", "first_token_delay", "seed", "reasoning_tokens", "tool_call"]),
    NUMBERS | VALUES | st.just(1),
    max_size=3,
)
BODIES = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5),
    st.fixed_dictionaries({"prompt": TEXTS}, optional={"options": OPTIONS, "responder": TEXTS, "title": TEXTS}),
    st.fixed_dictionaries({"prompt": TEXTS}, optional={"parent": st.none() | TEXTS, "if_running": TEXTS}),
    st.fixed_dictionaries({"message": TEXTS}),
    st.fixed_dictionaries({"title": TEXTS}),
    st.fixed_dictionaries({}, optional={"options": OPTIONS, "responder": TEXTS}),
    VALUES,
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "before", "q", "wait", "after", "from", "until", "x"]),
    st.lists(st.text(max_size=20) | st.sampled_from(["1", "0.001", "start", "idle"]), min_size=1, max_size=2),
    max_size=4,
)
GETS = ["/conversations", "{conversation}", "{conversation}/messages", "{conversation}/events", "{reply}", "/events"]
GETS += ["/limits", "/responders", "/health/live", "/health/ready", "/", "/conversations/{made_up}", "/{made_up}"]


def check(status: int, media_type: str, content: bytes) -> None:
    assert status < 500, content
    if status >= 400:
        assert media_type == "application/problem+json", content
        problem = json.loads(content)
        assert problem["type"] == "about:blank"
        assert problem["status"] == status
        assert isinstance(problem["title"], str)
        assert isinstance(problem["detail"], str)
        assert isinstance(problem.get("path", ""), str)
        assert not INTERNALS.search(problem["detail"]), problem


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedServer]:
    """A server of the fuzz's own: it deletes, renames and fills as it likes."""
    async with WatchedServer(tmp_path_factory.mktemp("fuzzed"), max_messages=1000, max_running=300) as server:
        yield server
        await server.kill()
    server.check_log()


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def asked(fuzzed: WatchedServer) -> AsyncIterator[dict[str, Any]]:
    """A conversation that the fuzz knows, beside a control stream that must not notice it."""
    control = await Control.begin(fuzzed)
    asked = await fuzzed.ask("Say what you like", **QUICK)
    await fuzzed.ended(asked)
    yield asked
    await control.flows()
    await control.end()


@FUZZ
@given(name=st.sampled_from(sorted(CALLS)), body=BODIES, escaped=st.booleans())
async def test_any_json_is_accepted_or_refused(fuzzed: WatchedServer, asked: dict, name: str, body, escaped: bool):
    call = CALLS[name]
    content = json.dumps(body, ensure_ascii=escaped).encode("utf-8", "surrogatepass")

    answer = await fuzzed.send(place(call, asked), content, method=call.method)

    check(answer.status_code, answer.headers.get("content-type", ""), answer.content)


@FUZZ
@given(
    name=st.sampled_from(sorted(CALLS)), content=st.binary(max_size=60), media_type=st.sampled_from(["", "a/b", "{"])
)
async def test_any_bytes_are_refused(fuzzed: WatchedServer, asked: dict, name: str, content: bytes, media_type: str):
    call = CALLS[name]
    headers = {"Content-Type": media_type} if media_type else {}

    answer = await fuzzed.send(place(call, asked), content, method=call.method, **headers)

    check(answer.status_code, answer.headers.get("content-type", ""), answer.content)
    assert answer.status_code >= 400 or (call.optional and content.strip() in (b"", b"{}"))


@FUZZ
@given(path=st.sampled_from(GETS), query=QUERIES, made_up=st.text(min_size=1, max_size=30))
async def test_any_query_is_accepted_or_refused(fuzzed: WatchedServer, asked: dict, path: str, query, made_up: str):
    url = path.replace("{conversation}", path_of(asked)).replace("{reply}", reply_path(asked))
    url = url.replace("{made_up}", quote(made_up, safe="", errors="replace"))
    url += "?" + urlencode(query, doseq=True, errors="replace")

    async with await fuzzed.listen(url) as answer:
        length = int(answer.headers.get("content-length", 0))
        content = await answer.reader.readexactly(length)

    check(answer.status, answer.headers.get("content-type", ""), content)
