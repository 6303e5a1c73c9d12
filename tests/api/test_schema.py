"""The OpenAPI document is true: every call is in it, and every answer is as it says.

`WatchedServer` holds each answer that any test of the edge gets to the document; here is what that would not meet.
"""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest
import pytest_asyncio
from openapi_spec_validator import validate

from app import snapshots
from app.api import log_page, messages, objects
from app.api.calls import CALLS
from app.main import create_app
from app.settings import Settings
from tests.api.watched import QUICK, SILENT, WatchedServer, path_of, reply_path
from tests.support.contract import Contract, document

on_the_server = pytest.mark.asyncio(loop_scope="package")

OPERATIONS = {
    operation["operationId"]: (path, method.upper(), operation)
    for path, operations in document()["paths"].items()
    for method, operation in operations.items()
}
QUERY = [
    (name, parameter["name"], parameter["schema"])
    for name, (_, _, operation) in OPERATIONS.items()
    for parameter in operation["parameters"]
    if parameter["in"] == "query"
]


def test_it_is_valid_openapi():
    assert document()["openapi"].startswith("3.1")
    validate(document())


def test_every_call_is_in_the_table_and_no_other():
    assert OPERATIONS.keys() == CALLS.keys()


def test_every_route_is_in_the_document():
    app = create_app(Settings())
    hidden = {"/", "/client.js", "/schema", "/schema/openapi.json", "/schema/{path}", "/ws"}
    routes = {route.path_format or "/" for route in app.routes if not route.path.startswith("/assets/")}

    assert {path.rstrip("/") or "/" for path in routes} - hidden == set(document()["paths"])


def test_every_call_says_in_words_what_it_does():
    assert [name for name, (_, _, operation) in OPERATIONS.items() if not operation.get("description")] == []


@pytest.mark.parametrize(
    ("described", "struct"),
    [
        (objects.MessagePage, messages.MessagePage),
        (objects.Snapshot, snapshots.Snapshot),
        (objects.LogPage, log_page.LogPage),
    ],
)
def test_what_is_described_apart_has_the_fields_of_what_is_written(described, struct):
    assert described.__struct_fields__ == struct.__struct_fields__
    assert described.__struct_config__.omit_defaults == struct.__struct_config__.omit_defaults


def test_an_example_is_a_good_request():
    for _, _, operation in OPERATIONS.values():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            Contract(document()).validate(content["example"], content["schema"])


@on_the_server
async def test_the_server_sends_it(server: WatchedServer):
    answer = await server.get("/schema/openapi.json")

    assert answer.status_code == 200
    assert answer.json() == document()


@pytest_asyncio.fixture(loop_scope="package")
async def contract(server: WatchedServer):
    contract = Contract(document())
    server.client.event_hooks["response"].append(contract.check)
    yield contract
    server.client.event_hooks["response"].remove(contract.check)


@on_the_server
async def test_every_call_answers_as_the_document_says(server: WatchedServer, contract: Contract):
    asked = await server.ask(**QUICK)
    await server.ended(asked)
    path, reply = path_of(asked), reply_path(asked)

    again = await server.post(f"{path}/messages", {"prompt": "And then?", **QUICK})
    await server.ended(again.json())
    await server.ended((await server.post(f"{reply}/retry")).json())
    running = await server.ask(**SILENT)
    await server.post(f"{reply_path(running)}/stop", {})
    await server.client.patch(server.url + path, json={"title": "Gulls"})
    whole = (await server.get(f"{path}/messages")).json()["messages"]
    await server.post("/conversations/import", {"conversation": {"title": "Gulls"}, "messages": whole})
    await server.post("/send-message", {"message": "Hello, all"})
    for place in ["/conversations", path, f"{path}/messages?limit=2", f"{path}/log?from=start", f"{path}/log", reply]:
        await server.get(place)
    for place in ["/responders", "/limits", "/health/live", "/health/ready"]:
        await server.get(place)
    await server.get(f"{path}/events?until=idle")
    await server.get(f"{path}/events?until=idle", headers={"Last-Event-ID": await head_of(server, asked)})
    for place in ["/events", "/conversations/events", "/streams?watch=broadcast@"]:
        async with server.client.stream("GET", server.url + place):
            pass
    message = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}
    chat = {"id": "described", "messages": [message]}
    async with server.client.stream("POST", f"{server.url}/api/chat", json=chat | {"model": "mock"}):
        async with server.client.stream("GET", f"{server.url}/api/chat/described/stream"):
            pass
        await server.post("/api/chat/described/stop")
    await server.get("/api/chat/described/stream")
    completion = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    await server.post("/v1/chat/completions", completion)
    response = (await server.post("/v1/responses", {"model": "echo", "input": "Hello"})).json()["id"]
    await server.post(f"/v1/responses/{response}/cancel")
    for place in [
        f"/v1/responses/{response}",
        f"/v1/responses/{response}/input_items",
        "/v1/models",
        "/v1/models/echo",
    ]:
        await server.get(place)
    await server.client.delete(f"{server.url}/v1/responses/{response}")
    await server.client.delete(server.url + path)

    promised = {(name, status) for name, call in CALLS.items() for status in call.answers}
    assert promised - contract.seen == set()


async def head_of(server: WatchedServer, asked: dict[str, Any]) -> str:
    return str((await server.get(path_of(asked))).json()["cursor"])


@pytest.mark.parametrize("accept", ["text/event-stream", "text/plain"])
@on_the_server
async def test_the_other_forms_of_an_accepted_prompt_are_described(server: WatchedServer, accept: str):
    answer = await server.post("/conversations", {"prompt": "Hello", **QUICK}, headers={"Accept": accept})

    assert answer.headers["content-type"].partition(";")[0] == accept


@on_the_server
async def test_every_frame_of_a_stream_is_described(server: WatchedServer, contract: Contract):
    asked = await server.ask(responder="mock", options={"tokens": 5, "tool_call": True, "tokens_per_second": 1000})
    await server.ended(asked)
    places = [
        ("stream_conversation", f"{asked['events']}?until=idle&from=start"),
        ("stream_conversation", f"{asked['events']}?until=idle"),
        ("stream_many", f"/streams?watch=conversation/{asked['conversation']['id']}@&watch=conversations@"),
        ("stream_list", "/conversations/events"),
    ]

    for name, place in places:
        schema = OPERATIONS[name][2]["responses"]["200"]["content"]["text/event-stream"]["schema"]["x-data"]
        async with await server.listen(place) as stream:
            frames = [await stream.next(), await stream.next()]
            if "idle" in place:
                frames += await stream.rest()
        for frame in frames:
            contract.validate(frame.json, schema)


@pytest.mark.parametrize(
    ("name", "parameter", "schema"), QUERY, ids=lambda value: value if isinstance(value, str) else ""
)
@on_the_server
async def test_the_bounds_of_the_query_are_those_of_the_document(
    server: WatchedServer, name: str, parameter: str, schema: dict[str, Any]
):
    asked = await server.ask(**QUICK)
    await server.ended(asked)
    ids = {"conversation_id": asked["conversation"]["id"], "reply_id": asked["reply"]["id"]}
    path = OPERATIONS[name][0].format(**ids, response_id="resp_" + "".join(ids.values()))
    good = [*schema.get("enum", []), *(str(schema[bound]) for bound in ("minimum", "maximum") if bound in schema)]
    bad = []
    if "enum" in schema:
        bad = ["no-such-word"]
    elif "minimum" in schema:
        bad = [str(schema["minimum"] - 1), "x"] + ([str(schema["maximum"] + 1)] if "maximum" in schema else [])
    if parameter == "wait" and name == "read_log":
        good.remove("30.0")  # there is nothing to wait for, so it would

    for value in bad:
        refused = await server.get(path, params={parameter: value})
        if path.startswith("/v1/"):
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, parameter)
        else:
            assert (refused.status_code, refused.json()["path"]) == (422, parameter)
    for value in good:
        async with server.client.stream("GET", server.url + path, params={parameter: value}) as answer:
            assert answer.status_code == 200


async def test_an_answer_that_is_not_described_is_noticed():
    request = httpx.Request("GET", "http://test/health/live")

    for wrong in [
        httpx.Response(404, json={}, request=request),
        httpx.Response(200, text="live", request=request),
    ]:
        with pytest.raises(AssertionError):
            await Contract(document()).check(wrong)
    for wrong in [{"status": "dead"}, {}, {"status": "live", "more": 1}]:
        with pytest.raises(jsonschema.ValidationError):
            await Contract(document()).check(httpx.Response(200, json=wrong, request=request))
