"""Chat completions as frames: exact bytes, every ending, and a stream that adds up to the whole answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codecs.openai_chat import CUT, DONE, ChatChunks, completion
from app.events import Event, Record, ReplyCreated, ReplyDelta, ReplyEnded, ReplyStarted, ReplyToolCall, ReplyToolResult
from app.history import Draft, fold
from app.messages import Failure, Reply
from responders.base import Usage
from tests.support.properties import PROPERTY
from tests.support.sse import Parser
from tests.test_vectors import SCENES, event_of, history_before, load

NOW = datetime(2026, 1, 2, 3, 4, 5, 900_000, tzinfo=UTC)
CALL = ReplyToolCall("r", 1, "call-1", "clock", '{"zone": "UTC"}')
HEAD = '{"id":"chatcmpl-r","object":"chat.completion.chunk","created":1767323045,"model":"echo","choices":'


def reply(id: str = "r") -> Reply:
    return Reply(
        id=id,
        role="assistant",
        parent="p",
        parts=(),
        text="",
        status="accepted",
        created_at=NOW,
        responder="echo",
    )


def ended(status: str = "completed", finish_reason: str | None = "stop", **more: Any) -> ReplyEnded:
    return ReplyEnded("r", status, "", "sha", finish_reason, Usage(3, 2, 5), NOW, **more)


def records_of(*events: Event) -> list[Record]:
    return [Record.of(seq, 0, event) for seq, event in enumerate(events, 1)]


def lines(frames: bytes) -> list[str]:
    """The data of frames, each of which is one line of it and a blank one."""
    *told, nothing = frames.decode().split("\n\n")
    assert nothing == ""
    assert all(line.startswith("data: ") and "\n" not in line for line in told)
    return [line.removeprefix("data: ") for line in told]


def told(*events: Event, include_usage: bool = False) -> list[dict[str, Any]]:
    """The chunks of a reply's events."""
    codec = ChatChunks(reply(), include_usage=include_usage)
    frames = codec.step(records_of(*events))
    assert codec.ended == any(isinstance(event, ReplyEnded) for event in events)
    return [json.loads(line) for line in lines(frames.removesuffix(DONE))]


def choice(chunk: dict[str, Any]) -> dict[str, Any]:
    (only,) = chunk["choices"]
    return only


def test_a_stream_is_exactly_these_bytes():
    codec = ChatChunks(reply())

    frames = codec.opening() + codec.step(records_of(ReplyStarted("r", NOW), ReplyDelta("r", 0, 'H"ö\n'), ended()))

    rest = '"logprobs":null,"finish_reason":'
    assert lines(frames) == [
        HEAD + '[{"index":0,"delta":{"role":"assistant","content":""},' + rest + "null}]}",
        HEAD + '[{"index":0,"delta":{"content":"H\\"ö\\n"},' + rest + "null}]}",
        HEAD + '[{"index":0,"delta":{},' + rest + '"stop"}]}',
        "[DONE]",
    ]


def test_with_usage_each_chunk_has_the_field_and_the_last_one_the_numbers():
    codec = ChatChunks(reply(), include_usage=True)

    frames = codec.opening() + codec.step(records_of(ReplyDelta("r", 0, "Hi"), ended()))

    *before, last, done = lines(frames)
    assert [json.loads(line)["usage"] for line in before] == [None] * 3
    assert last == HEAD + '[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
    assert done == "[DONE]"


def test_reasoning_has_a_field_of_its_own():
    told_ = told(ReplyDelta("r", 0, "Hm", "reasoning"), ReplyDelta("r", 1, "Yes"))

    assert [choice(chunk)["delta"] for chunk in told_] == [{"reasoning_content": "Hm"}, {"content": "Yes"}]


def test_what_is_told_of_another_reply_is_passed_over():
    other = [
        ReplyDelta("other", 0, "not this"),
        msgspec.structs.replace(CALL, reply_id="other"),
        ReplyToolResult("other", 1, "call-1", "12:00"),
        msgspec.structs.replace(ended(), reply_id="other"),
    ]
    codec = ChatChunks(reply())

    assert codec.step(records_of(*other)) == b""
    assert not codec.ended


def test_calls_for_the_client_come_whole_and_with_their_index():
    second = msgspec.structs.replace(CALL, call_id="call-2", arguments="")

    *deltas, calls, last = told(ReplyDelta("r", 0, "Let me see"), CALL, second, ended(finish_reason="tool_calls"))

    assert len(deltas) == 1
    function = {"name": "clock", "arguments": '{"zone": "UTC"}'}
    assert choice(calls)["delta"] == {
        "tool_calls": [
            {"index": 0, "id": "call-1", "type": "function", "function": function},
            {"index": 1, "id": "call-2", "type": "function", "function": function | {"arguments": ""}},
        ]
    }
    assert choice(last)["finish_reason"] == "tool_calls"


def test_calls_that_the_responder_ran_itself_are_not_told():
    result = ReplyToolResult("r", 2, "call-1", "12:00")

    chunks = told(CALL, result, ReplyDelta("r", 3, "Noon"), ended(finish_reason="tool_calls"))

    assert [choice(chunk)["delta"] for chunk in chunks] == [{"content": "Noon"}, {}]
    assert choice(chunks[-1])["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("reason", "calls", "told_as"),
    [
        ("stop", [], "stop"),
        ("stop", [CALL], "tool_calls"),
        ("tool_calls", [CALL], "tool_calls"),
        ("length", [CALL], "length"),
        ("content_filter", [], "content_filter"),
    ],
)
def test_the_finish_reason_is_the_one_that_clients_act_on(reason: str, calls: list[Event], told_as: str):
    assert choice(told(*calls, ended(finish_reason=reason))[-1])["finish_reason"] == told_as


def test_a_reply_that_was_stopped_ends_as_any_other_and_asks_for_no_tool():
    codec = ChatChunks(reply())

    *_, last, done = lines(codec.step(records_of(ReplyDelta("r", 0, "Half"), CALL, ended("cancelled", None))))

    assert done == "[DONE]"
    assert choice(json.loads(last)) == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("ending", "code", "message"),
    [
        (ended("failed", None, error=Failure("idle", "It slept.")), "idle", "It slept."),
        (ended("interrupted", None), "interrupted", None),
    ],
    ids=["failed", "interrupted"],
)
def test_what_did_not_complete_ends_with_an_error_and_without_done(ending: ReplyEnded, code: str, message: str | None):
    codec = ChatChunks(reply(), include_usage=True)

    (error,) = lines(codec.step(records_of(ending)))

    facts = json.loads(error)["error"]
    assert facts == {"message": message or facts["message"], "type": "server_error", "param": None, "code": code}
    assert facts["message"].endswith(".")
    assert codec.ended


def test_a_stream_that_is_cut_says_so():
    assert json.loads(lines(CUT)[0])["error"]["code"] == "stream_ended"


@PROPERTY
@given(st.lists(st.text(st.sampled_from('ab"\\:\r\n\0\u2028\x85\ufeff👋') | st.characters(codec="utf-8"))))
def test_any_text_of_a_model_travels_as_one_line_of_json(texts: list[str]):
    codec = ChatChunks(reply())

    frames = codec.step(records_of(*(ReplyDelta("r", 0, text) for text in texts)))

    assert [choice(frame.json)["delta"]["content"] for frame in Parser().feed(frames)] == texts
    assert b"\r" not in frames


def test_a_responder_may_have_any_name():
    named = msgspec.structs.replace(reply(), responder='"\0" }')

    (chunk,) = lines(ChatChunks(named).step(records_of(ReplyDelta("r", 0, "\0"))))

    assert json.loads(chunk)["model"] == '"\0" }'
    assert choice(json.loads(chunk))["delta"] == {"content": "\0"}


# The shared vectors: a stream and a whole answer say the same


def replies_of(name: str) -> list[tuple[Reply, list[Event]]]:
    """The replies of a scene that begin and end in it, each as it is at last, with all the events of the scene."""
    scene = load(name)
    history = history_before(scene)
    events = [event_of(step) for step in scene["steps"]]
    for event in events:
        fold(history, event)
    begun = {event.reply.id for event in events if isinstance(event, ReplyCreated)}
    drafts = [history.messages[id] for id in begun]
    return [(draft, events) for draft in drafts if isinstance(draft, Reply | Draft) and not draft.live]


@pytest.mark.parametrize("name", SCENES)
def test_the_chunks_of_a_scene_add_up_to_its_whole_answer(name: str):
    for whole, events in replies_of(name):
        codec = ChatChunks(whole, include_usage=True)
        chunks = [json.loads(line) for line in lines(codec.step(records_of(*events)).removesuffix(DONE))]
        assert codec.ended
        if whole.status in ("failed", "interrupted"):
            assert list(chunks[-1]) == ["error"]
            continue
        answer = json.loads(msgspec.json.encode(completion(whole)))
        deltas = [choice(chunk)["delta"] for chunk in chunks[:-1]]
        message = answer["choices"][0]["message"]

        assert "".join(delta.get("content", "") for delta in deltas) == (message["content"] or "") == whole.text
        assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message.get("reasoning_content", "")
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert [{**call} | {"index": place} for place, call in enumerate(message.get("tool_calls", []))] == calls
        assert choice(chunks[-2])["finish_reason"] == answer["choices"][0]["finish_reason"]
        assert chunks[-1]["usage"] == answer["usage"]
        assert {chunk["id"] for chunk in chunks} == {answer["id"]}
        assert {chunk["created"] for chunk in chunks} == {answer["created"]}


def test_a_whole_answer_that_only_calls_has_no_content():
    (called, _) = replies_of("tool_call_ends_reply")[0]
    only = msgspec.structs.replace(called, text="", parts=called.parts[-1:])

    message = completion(only).choices[0].message

    assert message.content is None
    assert message.tool_calls
