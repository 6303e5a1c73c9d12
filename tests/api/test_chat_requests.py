"""Chat completions' parameters as a responder gets them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.chat_requests import ChatRequest, parameters_of, read_chat
from app.api.requests import _take_structs
from app.branches import digests, merged
from app.errors import Invalid, TickertapeError
from responders.base import Tool
from responders.registry import Registry
from responders.responder import Responder
from tests.support.properties import PROPERTY


class Sampler:
    class Options(msgspec.Struct):
        temperature: float | None = None
        stop: list[str] | None = None
        response_format: dict[str, Any] | None = None

    async def __call__(self, prompt):
        yield "x"


REGISTRY = Registry([Responder("sampler", Sampler)], default="sampler")
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}


def request(**fields: Any) -> ChatRequest:
    return msgspec.convert({"messages": [{"role": "user", "content": "Hi"}], **fields}, ChatRequest)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"temperature": 0.5, "top_p": 0.1}, {"temperature": 0.5}),
        ({"temperature": 0.5, "options": {"temperature": 0.9}}, {"temperature": 0.9}),
        ({"stop": "end"}, {"stop": ["end"]}),
        ({"stop": ["end", "."]}, {"stop": ["end", "."]}),
        ({"response_format": FORM}, {"response_format": FORM}),
        ({"response_format": {"type": "text"}}, {}),
        ({"temperature": None, "response_format": None}, {}),
    ],
)
def test_what_a_responder_can_be_told_it_is_told(fields: dict[str, Any], options: dict[str, Any]):
    parameters, taken = parameters_of(request(**fields), REGISTRY)

    assert parameters.options == options
    assert taken == options.keys() - fields.get("options", {}).keys()


def test_a_model_that_is_not_there_is_missed_later():
    parameters, _ = parameters_of(request(model="nobody", temperature=0.5, options={"a": 1}), REGISTRY)

    assert parameters.options == {"a": 1}


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ({"type": "function", "function": {"name": "clock"}}, "clock"),
    ],
)
def test_tools_and_their_choice_are_handed_on(choice: Any, name: str):
    schema = {"type": "object"}
    clock = {"name": "clock", "description": "Tells the time", "parameters": schema, "strict": True}
    tools = [{"type": "function", "function": clock}, {"type": "function", "function": {"name": "bell"}}]

    parameters, _ = parameters_of(request(tools=tools, tool_choice=choice), REGISTRY)

    assert parameters.tools == (Tool("clock", "Tells the time", schema), Tool("bell"))
    assert parameters.tool_choice == name


@pytest.mark.parametrize("name", ["none", "required"])
def test_a_tool_that_has_the_name_of_a_choice_is_not_chosen(name: str):
    tools = [{"type": "function", "function": {"name": name}}]

    with pytest.raises(Invalid):
        parameters_of(request(tools=tools, tool_choice={"type": "function", "function": {"name": name}}), REGISTRY)


CALLED = {"id": "c", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
SCRAPS = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 1.5, 2**70, "", "x", "auto", "text", "function", "\0", "\u2028"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "function", "name", "url", "image_url"]), inner, max_size=3)
    ),
    max_leaves=4,
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
    optional={
        "content": st.text(max_size=5) | st.just([{"type": "text", "text": "x"}]) | SCRAPS,
        "tool_calls": st.just([CALLED]) | SCRAPS,
        "tool_call_id": st.just("c") | SCRAPS,
        "refusal": SCRAPS,
        "reasoning_content": SCRAPS,
    },
)


@PROPERTY
@given(
    st.lists(MESSAGES, max_size=4),
    st.dictionaries(st.sampled_from(ChatRequest.__struct_fields__[1:]), SCRAPS, max_size=2),
)
def test_whatever_is_sent_is_taken_or_refused_with_a_sentence(messages: list[Any], fields: dict[str, Any]):
    body = json.dumps({"messages": [*messages, {"role": "user", "content": "Hi"}], **fields}).encode()

    refusal = "."
    try:
        sent, turns = _take_structs(body, ChatRequest, lambda taken: read_chat(taken, 1000))
        parameters, _ = parameters_of(sent, REGISTRY)
    except TickertapeError as error:
        refusal = str(error)
    else:
        assert digests(merged(turns))
        assert msgspec.json.encode(parameters)
    assert refusal.endswith(".")
