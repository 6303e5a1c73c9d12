from __future__ import annotations

import msgspec
import pytest

from responders.base import Image, Prompt, Reasoning, Text, Tool, ToolCall, ToolResult, Turn
from responders.chat import UNANSWERED, messages, tools


def turn(role, *parts):
    return Turn(role, parts, "".join(part.text for part in parts if isinstance(part, Text)))


def told(*turns):
    """Messages in short: role, text or content, ids of calls, id of the call that is answered."""
    return [
        tuple(
            value
            for value in (
                message["role"],
                message["content"],
                [call["id"] for call in message.get("tool_calls", ())],
                message.get("tool_call_id"),
            )
            if value
        )
        for message in messages(Prompt("", messages=turns))
    ]


def test_a_branch_is_told_in_order():
    assert told(
        turn("system", Text("Be brief.")),
        turn("user", Text("Who "), Text("am I?")),
        turn("assistant", Text("You.")),
        turn("system", Text("Be kind.")),
        turn("user", Text("Why?")),
    ) == [
        ("system", "Be brief."),
        ("user", "Who am I?"),
        ("assistant", "You."),
        ("system", "Be kind."),
        ("user", "Why?"),
    ]


def test_a_prompt_made_by_hand_is_told_from_its_text():
    assert messages(Prompt("Why?", system="Be brief.")) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
    ]


def test_images_and_texts_keep_their_order():
    [message] = messages(Prompt("", messages=(turn("user", Text("a"), Image("data:,"), Text("b")),)))

    assert message == {
        "role": "user",
        "content": [
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "data:,"}},
            {"type": "text", "text": "b"},
        ],
    }


def test_a_reply_with_tools_becomes_several_messages():
    reply = turn(
        "assistant",
        Reasoning("I should look."),
        Text("Let me look."),
        ToolCall("a", "look", '{"at":1}'),
        ToolCall("b", "hear", "{}"),
        ToolResult("b", "wind"),
        ToolResult("a", "rain"),
        Text("It rains."),
        ToolCall("c", "wait", "{}"),
        ToolResult("c", ""),
    )

    assert told(reply) == [
        ("assistant", "Let me look.", ["a", "b"]),
        ("tool", "wind", "b"),
        ("tool", "rain", "a"),
        ("assistant", "It rains.", ["c"]),
        ("tool", "c"),
    ]
    assert messages(Prompt("", messages=(reply,)))[0]["tool_calls"][0] == {
        "id": "a",
        "type": "function",
        "function": {"name": "look", "arguments": '{"at":1}'},
    }


def test_results_in_messages_of_their_own_answer_the_calls_before():
    assert told(
        turn("assistant", ToolCall("a", "look", "{}"), ToolCall("b", "look", "{}")),
        turn("tool", ToolResult("a", "rain")),
        turn("tool", ToolResult("b", "sun")),
        turn("user", Text("So?")),
    ) == [("assistant", ["a", "b"]), ("tool", "rain", "a"), ("tool", "sun", "b"), ("user", "So?")]


def test_a_call_without_a_result_gets_one_that_says_so():
    assert told(turn("assistant", Text("Well"), ToolCall("a", "look", "{}")), turn("user", Text("And?"))) == [
        ("assistant", "Well", ["a"]),
        ("tool", UNANSWERED, "a"),
        ("user", "And?"),
    ]
    assert told(turn("assistant", ToolCall("a", "look", "{}")))[-1] == ("tool", UNANSWERED, "a")


def test_a_result_behind_other_words_is_told_with_its_call_again():
    reply = turn("assistant", ToolCall("a", "look", "{}"), ToolResult("a", "1"), Text("Hm"), ToolResult("a", "2"))

    again = messages(Prompt("", messages=(reply,)))[-2]

    assert told(reply)[-2:] == [("assistant", ["a"]), ("tool", "2", "a")]
    assert again["tool_calls"][0]["function"]["name"] == "look"


def test_a_result_without_a_call_gets_one():
    assert told(turn("tool", ToolResult("x", "rain"))) == [("assistant", ["x"]), ("tool", "rain", "x")]


def test_what_no_other_message_may_hold_comes_from_the_user():
    assert told(turn("tool", Text("rain"))) == [("user", "rain")]
    assert [one[0] for one in told(turn("assistant", Text("See: "), Image("data:,")))] == ["user"]


def test_thoughts_are_left_out_and_a_message_of_nothing_else_too():
    assert told(turn("assistant", Reasoning("Hm."))) == []


def test_the_same_id_may_come_back_in_a_later_reply():
    calls = turn("assistant", ToolCall("call_0", "look", "{}"), ToolResult("call_0", "x"))

    assert told(calls, calls) == [("assistant", ["call_0"]), ("tool", "x", "call_0")] * 2


def test_messages_are_json():
    assert msgspec.json.encode(messages(Prompt("e\u0301\0")))


LOOK = Tool("look", "Looks out of the window.", {"type": "object", "properties": {"at": {"type": "string"}}})


def test_tools_are_offered_with_what_is_known_of_them():
    assert tools(Prompt("", tools=(LOOK, Tool("listen")))) == {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "Looks out of the window.",
                    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
                },
            },
            {"type": "function", "function": {"name": "listen"}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("none", "none"),
        ("required", "required"),
        ("look", {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_which_tool_is_to_be_called_is_told(choice, told):
    assert tools(Prompt("", tools=(LOOK,), tool_choice=choice))["tool_choice"] == told


def test_without_tools_nothing_is_chosen():
    assert tools(Prompt("", tool_choice="required")) == {}
