"""The digest of a branch: what makes two histories the same, and what makes them differ."""

from __future__ import annotations

import msgspec
import pytest

from app.branches import digest, digests, merged, open_calls
from responders.base import Image, Part, Reasoning, Role, Text, ToolCall, ToolResult, Turn
from tests.support.commits import accepted

ASKED = [("user", (Text("What is the time?"),))]
CALL = ToolCall("call-1", "clock", '{"zone": "UTC", "exact": true}')


def turns(*told: tuple[Role, tuple[Part, ...]]) -> list[Turn]:
    return [Turn(role, parts, "".join(p.text for p in parts if isinstance(p, Text))) for role, parts in told]


def branch(*parts: Part, role: Role = "assistant") -> bytes:
    return digests(turns(*ASKED, (role, parts)))[-1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((Text("Noon."),), (Text("Noon.\n"),)),
        ((Text("Noon."),), (Text("No"), Text("on."))),
        ((Text("Noon."),), (Reasoning("Let me see."), Text("Noon."))),
        ((Text("Noon."),), (CALL, ToolResult("call-1", "12:00"), Text("Noon."))),
        ((CALL,), (ToolCall("call-1", "clock", '{"exact":true,"zone":"UTC"}'),)),
        ((CALL,), (Text(""), CALL)),
    ],
)
def test_what_a_client_does_not_send_back_as_it_was_makes_no_difference(one, other):
    assert branch(*one) == branch(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((Text("Noon."),), (Text("Noon!"),)),
        ((CALL,), ()),
        ((CALL,), (ToolCall("call-2", "clock", CALL.arguments),)),
        ((CALL,), (ToolCall("call-1", "bell", CALL.arguments),)),
        ((CALL,), (ToolCall("call-1", "clock", '{"zone": "UTC", "exact": false}'),)),
        ((ToolCall("c", "f", "{no json"),), (ToolCall("c", "f", "{no  json"),)),
    ],
)
def test_another_answer_is_another_branch(one, other):
    assert branch(*one) != branch(*other)


def test_a_branch_holds_everything_before_its_end():
    last = ("assistant", (Text("Yes."),))

    assert (
        digests(turns(("user", (Text("Is it?"),)), last))[-1] != digests(turns(("user", (Text("Was it?"),)), last))[-1]
    )
    assert (
        digests(turns(("user", (Text("ab"),)), ("user", (Text("c"),))))[-1]
        != digests(turns(("user", (Text("a"),)), ("user", (Text("bc"),))))[-1]
    )


def test_a_prompt_is_what_was_sent_to_the_last_space_and_image():
    assert branch(Text("hi"), role="user") != branch(Text("hi "), role="user")
    assert branch(Text("hi"), Image("data:,a"), role="user") != branch(Text("hi"), Image("data:,b"), role="user")
    assert branch(Text("hi"), role="user") != branch(Text("hi"), role="system")
    assert branch(ToolResult("c", "1"), role="tool") != branch(ToolResult("c", "2"), role="tool")


def test_what_an_assistant_says_or_tools_give_in_pieces_is_one_turn():
    told = turns(
        *ASKED,
        ("assistant", (Text("Let me see."),)),
        ("assistant", (CALL,)),
        ("tool", (ToolResult("call-1", "12:00"),)),
        ("tool", (ToolResult("call-2", "noon"),)),
        ("user", (Text("And?"),)),
        ("user", (Text("Well?"),)),
    )

    assert merged(told) == turns(
        *ASKED,
        ("assistant", (Text("Let me see."), CALL)),
        ("tool", (ToolResult("call-1", "12:00"), ToolResult("call-2", "noon"))),
        ("user", (Text("And?"),)),
        ("user", (Text("Well?"),)),
    )
    assert merged([]) == []


def test_a_call_is_open_while_its_result_is_not_beside_it():
    other = ToolCall("call-2", "bell", "{}")

    assert open_calls([CALL, ToolResult("call-1", "12:00"), other, Text("Noon.")]) == [other]


def test_nobody_is_told_of_the_calls_of_a_reply_that_was_stopped():
    stopped = msgspec.structs.replace(accepted("r", "m"), status="cancelled", parts=(Text("Noon."), CALL))
    failed = msgspec.structs.replace(stopped, status="failed")

    assert digest(b"", stopped) == digest(b"", Turn("assistant", (Text("Noon."),), "Noon."))
    assert digest(b"", failed) == digest(b"", Turn("assistant", (Text("Noon."), CALL), "Noon."))
