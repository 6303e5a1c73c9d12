"""A reply as events of the Responses API: over every scene of the shared vectors, and over random replies."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs.openai_response import Echo, item_id, output_of, parse_item_id, parse_response_id, response_id, show
from app.codecs.openai_responses import DONE, ResponseEvents
from app.events import Record
from app.ids import new_id
from app.messages import Parameters
from app.writer import CANCELLED, INTERRUPTED, LENGTH, Outcome, failed
from responders.base import Reasoning, ToolResult
from tests.support.properties import PROPERTY
from tests.support.replies import AT, CALL, FILTERED, OTHER, OUTCOMES, SCENES, STOP, pieces, replied, told
from tests.support.sse import Frame, Parser

PLAIN = Parameters()
BACKGROUND = Parameters(note=Echo(background=True).note())


every_scene = pytest.mark.parametrize("scene", SCENES)


def encode(records: list[Record], parameters: Parameters = BACKGROUND, *, reply_id: str = "reply", after: int = -1):
    return ResponseEvents("talk", reply_id, parameters, after).step(records)


def read(stream: bytes) -> list[Frame]:
    assert stream.endswith(DONE)
    return Parser().feed(stream.removesuffix(DONE))


def frames_of(records: list[Record], parameters: Parameters = PLAIN) -> list[dict[str, Any]]:
    return [frame.json for frame in read(encode(records, parameters))]


def types_of(records: list[Record], parameters: Parameters = PLAIN) -> list[str]:
    return [frame["type"].removeprefix("response.") for frame in frames_of(records, parameters)]


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


class Client:
    """What a strict client puts together: each thing is added before it grows, at the next index, and is done once."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.open: int | None = None
        self.response: dict[str, Any] | None = None

    def take(self, frame: dict[str, Any]) -> None:
        name = frame["type"].removeprefix("response.")
        if name == "output_item.added":
            assert self.open is None
            assert frame["output_index"] == len(self.items)
            assert frame["item"]["status"] == "in_progress"
            self.items.append(frame["item"])
            self.open = len(self.items) - 1
        elif "item_id" in frame or name == "output_item.done":
            assert frame["output_index"] == self.open
            self.grow(name, frame, self.items[self.open])
        elif "response" in frame:
            self.response = frame["response"]

    def grow(self, name: str, frame: dict[str, Any], item: dict[str, Any]) -> None:
        assert frame.get("item_id", item["id"]) == item["id"]
        match name.split("."):
            case ["content_part", "added"]:
                item["content"].append(frame["part"])
            case ["reasoning_summary_part", "added"]:
                item["summary"].append(frame["part"])
            case ["output_text", "delta"]:
                item["content"][frame["content_index"]]["text"] += frame["delta"]
            case ["reasoning_summary_text", "delta"]:
                item["summary"][frame["summary_index"]]["text"] += frame["delta"]
            case ["function_call_arguments", "delta"]:
                item["arguments"] += frame["delta"]
            case ["output_item", "done"]:
                assert frame["item"] == {**item, "status": frame["item"]["status"]}
                self.items[self.open] = frame["item"]
                self.open = None
            case [_, "done"]:
                assert frame.get("text", frame.get("arguments", frame.get("part"))) in self.held(item)

    def held(self, item: dict[str, Any]) -> list[Any]:
        parts = item.get("content", item.get("summary", []))
        return [item.get("arguments"), *parts, *(part["text"] for part in parts)]


def assert_sound(records: list[Record], reply_id: str = "reply") -> None:
    frames = read(encode(records, reply_id=reply_id))
    client = Client()

    for number, frame in enumerate(frames):
        assert frame.event == frame.json["type"]
        assert frame.id == ""
        assert frame.json["sequence_number"] == number
        client.take(frame.json)

    reply = replied(records, reply_id)
    assert client.response == plain(show("talk", reply, BACKGROUND))
    assert client.items == client.response["output"] == plain(list(output_of("talk", reply)))
    texts = [part["text"] for item in client.items for part in item.get("content", [])]
    assert "".join(texts) == reply.text


@every_scene
def test_a_strict_client_puts_together_what_a_plain_read_shows(scene):
    assert_sound(SCENES[scene], scene.partition("/")[2])


@PROPERTY
@given(st.lists(pieces, max_size=8), st.sampled_from(OUTCOMES), st.integers(-1, 40))
def test_any_reply_is_sound_and_any_rest_of_it_is_the_end_of_the_whole(written, outcome, after):
    records = told(*written, outcome=outcome)
    frames = encode(records).split(b"\n\n")

    assert_sound(records)
    assert encode(records, after=after).split(b"\n\n") == frames[min(after + 1, len(frames) - 2) :]


@every_scene
def test_the_frames_are_the_same_however_the_records_come(scene):
    records, reply_id = SCENES[scene], scene.partition("/")[2]
    whole = encode(records, reply_id=reply_id)

    for cut in range(len(records) + 1):
        events = ResponseEvents("talk", reply_id, BACKGROUND)
        assert events.step(records[:cut]) + events.step(records[cut:]) == whole
        assert events.ended


@every_scene
def test_a_stream_may_go_on_after_any_number(scene):
    records, reply_id = SCENES[scene], scene.partition("/")[2]
    frames = encode(records, reply_id=reply_id).split(b"\n\n")

    for after in range(-1, len(frames)):
        rest = encode(records, reply_id=reply_id, after=after)
        assert rest.split(b"\n\n") == frames[min(after + 1, len(frames) - 2) :]


def test_a_plain_reply_is_told_in_the_order_of_the_wire_format():
    assert types_of(told("Hel", "lo")) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_a_background_reply_is_queued_first():
    frames = frames_of(told("Hi"), BACKGROUND)

    assert [(f["type"], f["response"]["status"]) for f in frames[:3]] == [
        ("response.created", "queued"),
        ("response.queued", "queued"),
        ("response.in_progress", "in_progress"),
    ]


def test_thinking_is_told_as_a_summary_which_all_clients_read_alike():
    frames = frames_of(told(Reasoning("Well"), "Yes"))

    assert [f["type"] for f in frames if "summary" in f["type"]] == [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ]
    thought, said = frames[-1]["response"]["output"]
    assert thought == {
        "type": "reasoning",
        "id": "rs_talkreply_0",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": "Well"}],
    }
    assert (said["id"], said["content"][0]["text"]) == ("msg_talkreply_1", "Yes")


def test_a_call_for_the_client_comes_when_it_is_sure_that_nobody_else_runs_it():
    frames = frames_of(
        told("One moment.", CALL, OTHER, ToolResult("b", "mine"), outcome=Outcome("completed", "tool_calls"))
    )

    calls = [frame for frame in frames if "function_call" in frame["type"]]
    assert [(f["type"], f.get("delta", f.get("arguments"))) for f in calls] == [
        ("response.function_call_arguments.delta", CALL.arguments),
        ("response.function_call_arguments.done", CALL.arguments),
    ]
    assert frames[-1]["response"]["output"][1:] == [
        {
            "type": "function_call",
            "id": "fc_talkreply_1",
            "call_id": "a",
            "name": "find",
            "arguments": CALL.arguments,
            "status": "completed",
        }
    ]


def test_a_tool_that_the_responder_ran_itself_is_no_output():
    frames = frames_of(told("It is", CALL, ToolResult("a", "here"), " here."))

    assert [item["content"][0]["text"] for item in frames[-1]["response"]["output"]] == ["It is", " here."]
    assert not [frame for frame in frames if "function_call" in frame["type"]]


@pytest.mark.parametrize(
    ("outcome", "type", "status", "item", "more"),
    [
        (STOP, "completed", "completed", "completed", {"error": None, "incomplete_details": None}),
        (LENGTH, "incomplete", "incomplete", "incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}),
        (FILTERED, "incomplete", "incomplete", "incomplete", {"incomplete_details": {"reason": "content_filter"}}),
        (CANCELLED, "incomplete", "cancelled", "incomplete", {"error": None, "incomplete_details": None}),
        (
            failed("responder_error", "The model is overloaded."),
            "failed",
            "failed",
            "incomplete",
            {"error": {"code": "server_error", "message": "The model is overloaded."}, "incomplete_details": None},
        ),
    ],
)
def test_each_way_to_end_has_its_event_and_its_status(outcome, type, status, item, more):
    last = frames_of(told("Once", outcome=outcome))[-1]

    assert last["type"] == f"response.{type}"
    assert last["response"]["status"] == status
    assert last["response"]["output"][0]["status"] == item
    assert last["response"].items() >= more.items()
    assert (last["response"]["completed_at"] is None) == (status != "completed")


def test_a_failure_is_told_flat_before_the_response_has_failed():
    *_, error, last = frames_of(told("Once", outcome=failed("idle", "It fell silent.")))

    assert error == {
        "type": "error",
        "sequence_number": last["sequence_number"] - 1,
        "code": "idle",
        "message": "It fell silent.",
        "param": None,
    }


def test_an_interrupted_reply_has_failed_for_these_clients():
    *_, error, last = frames_of(told("Once", outcome=INTERRUPTED))

    assert error["code"] == "interrupted"
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"] == error["message"] != ""


def test_a_reply_that_never_began_ends_without_having_been_in_progress():
    assert types_of(told(outcome=CANCELLED, started=False)) == ["created", "incomplete"]


def test_a_response_says_again_what_was_asked_for():
    note = Echo(previous_response_id="resp_x", metadata={"k": "v"}, temperature=0.5, store=False, strict=(True,)).note()
    parameters = Parameters(instructions="Be brief.", max_tokens=7, tool_choice="find", note={"other": 1, **note})

    shown = plain(show("talk", replied(told("Hi")), parameters))

    assert shown["id"] == "resp_talkreply"
    assert shown["tool_choice"] == {"type": "function", "name": "find"}
    assert (
        shown.items()
        >= {
            "previous_response_id": "resp_x",
            "metadata": {"k": "v"},
            "temperature": 0.5,
            "top_p": 1.0,
            "store": False,
            "instructions": "Be brief.",
            "max_output_tokens": 7,
            "model": "r",
            "created_at": int(AT.timestamp()),
        }.items()
    )


def test_a_reply_of_another_door_has_the_defaults_and_no_number_is_null():
    shown = plain(show("talk", replied(told("Hi")), PLAIN))

    numbers = ["temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"]
    assert [shown[name] for name in numbers] == [1.0, 1.0, 0.0, 0.0, 0]
    assert (shown["store"], shown["background"], shown["tools"], shown["tool_choice"]) == (True, False, [], "auto")


def test_an_id_leads_to_its_conversation_and_reply_and_nothing_else_is_one():
    conversation_id, reply_id = new_id(), new_id()
    id = response_id(conversation_id, reply_id)

    assert parse_response_id(id) == (conversation_id, reply_id)
    for wrong in ("", "resp_", id[:-1], id + "a", id.upper(), f"x{id}", id.replace("resp_", "chat_"), id[:-1] + "\n"):
        assert parse_response_id(wrong) is None


def test_an_id_of_an_item_leads_to_its_message_and_nothing_else_is_one():
    conversation_id, reply_id = new_id(), new_id()
    id = item_id("msg", conversation_id + reply_id, 3)

    assert parse_item_id(id) == (conversation_id, reply_id)
    for wrong in ("", "msg_1", id[:-2], id + "x", id.upper(), f"x{id}", id.replace("msg_", "resp_"), id + "\n"):
        assert parse_item_id(wrong) is None
