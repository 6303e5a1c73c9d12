"""Every event and object of the Responses API, held to the types of OpenAI's library and of Open Responses."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Model
from pydantic import ValidationError

from app.api import openai_models
from app.codecs.openai_input import input_items, read_input
from app.codecs.openai_response import Echo, show
from app.codecs.openai_responses import DONE, ResponseEvents
from app.events import Record
from app.messages import Parameters, Reply
from app.turns import tell
from responders.base import Tool
from tests.clients.openai_types import check_event, check_item, check_response
from tests.support.properties import PROPERTY
from tests.support.replies import AT, OUTCOMES, SCENES, pieces, replied, told
from tests.support.sse import Parser

ASKED = Parameters(
    instructions="Be brief.",
    tools=(Tool("find", "", {"type": "object"}), Tool("look", "Looks.")),
    tool_choice="look",
    max_tokens=20,
    note=Echo(
        previous_response_id="resp_x",
        background=True,
        metadata={"k": "v"},
        temperature=0.5,
        strict=(True, None),
        reasoning={"effort": "low"},
        text={"format": {"type": "json_object"}, "verbosity": "low"},
        truncation="auto",
        safety_identifier="somebody",
        prompt_cache_key="key",
    ).note(),
)


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


def check(records: list[Record], reply_id: str, parameters: Parameters) -> None:
    stream = ResponseEvents("talk", reply_id, parameters).step(records).removesuffix(DONE)
    for frame in Parser().feed(stream):
        check_event(frame.json)


@pytest.mark.parametrize("parameters", [Parameters(), ASKED], ids=["plain", "asked"])
@pytest.mark.parametrize("scene", SCENES)
def test_the_events_of_every_scene_have_their_types(scene: str, parameters: Parameters):
    check(SCENES[scene], scene.partition("/")[2], parameters)


@settings(PROPERTY, max_examples=40)
@given(st.lists(pieces, max_size=8), st.sampled_from(OUTCOMES))
def test_the_events_of_any_reply_have_their_types(written: list[Any], outcome: Any):
    check(told(*written, outcome=outcome), "reply", ASKED)


@pytest.mark.parametrize("status", ["accepted", "running", "completed", "failed", "cancelled", "interrupted"])
def test_a_response_has_its_type_at_any_time_of_its_life(status: Any):
    ended = replied(told("Hello"))
    reply: Reply = msgspec.structs.replace(ended, status=status)
    if reply.live:
        reply = msgspec.structs.replace(reply, ended_at=None, finish_reason=None, usage=None)

    for parameters in (Parameters(), ASKED):
        check_response(plain(show("talk", reply, parameters)))


def test_input_items_have_their_types():
    image = {"type": "input_image", "image_url": "https://example.com/a.png"}
    items = [
        {"role": "developer", "content": "Look."},
        {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]},
        {"type": "function_call", "call_id": "c", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "grey"},
        {"role": "assistant", "content": "Grey."},
    ]
    messages, _ = tell(read_input(items).turns, None, AT)

    told_items = [plain(item) for message in messages for item in input_items("talk", message)]

    assert len(told_items) == len(items)
    for item in told_items:
        check_item(item)


def test_a_model_has_its_type():
    Model.model_validate(plain(openai_models.Model("echo")), strict=True)


@pytest.mark.parametrize("name", ["temperature", "presence_penalty", "tools", "service_tier", "incomplete_details"])
def test_the_types_would_tell_of_a_field_that_is_missing_or_null(name: str):
    response = plain(show("talk", replied(told("Hello")), Parameters()))

    with pytest.raises((ValidationError, AssertionError)):
        check_response({key: value for key, value in response.items() if key != name})
    if name != "incomplete_details":
        with pytest.raises(ValidationError):
            check_response({**response, name: None})
