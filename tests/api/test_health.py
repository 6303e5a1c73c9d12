"""What the server says of itself."""

from __future__ import annotations

import pytest

from tests.api.watched import WatchedServer

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]


async def test_the_process_is_live_and_ready(server: WatchedServer):
    live = await server.get("/health/live")
    ready = await server.get("/health/ready")

    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_the_responders_are_listed_with_the_schemas_of_their_options(server: WatchedServer):
    responders = {responder["name"]: responder for responder in (await server.get("/responders")).json()}

    assert set(responders) >= {"echo", "mock"}
    for responder in responders.values():
        assert set(responder) == {"name", "description", "options"}
        assert responder["description"]
        assert responder["options"]["type"] == "object"
        assert responder["options"]["additionalProperties"] is False
    assert set(responders["echo"]["options"]["properties"]) == {"tokens_per_second"}
    assert set(responders["mock"]["options"]["properties"]) == {
        "tokens",
        "tokens_per_second",
        "first_token_delay",
        "seed",
        "reasoning_tokens",
        "tool_call",
        "fail_after",
    }
    assert responders["mock"]["options"]["properties"]["tokens"]["default"] == 200


async def test_the_first_page_says_what_this_is(server: WatchedServer):
    answer = await server.get("/")

    assert answer.status_code == 200
    assert "Tickertape" in answer.text


async def test_the_schema_names_the_calls(server: WatchedServer):
    answer = await server.get("/schema/openapi.json")

    assert answer.status_code == 200
    assert {"/conversations", "/events", "/send-message", "/limits"} <= set(answer.json()["paths"])


async def test_the_schemas_page_loads_nothing_from_another_host(server: WatchedServer):
    answer = await server.get("/schema")

    assert answer.status_code == 200
    assert "https://" not in answer.text
    assert "//cdn" not in answer.text
