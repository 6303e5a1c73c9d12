"""The shared vectors: events in, frames and messages out. A page runs the same files; see `vectors/README.md`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.codecs import sse
from app.events import Event, Record
from app.history import Draft, History, fold
from app.ids import Cursor
from app.messages import Conversation, Message, Reply
from tests.support.sse import Frame, Parser

FOLDER = Path(__file__).with_name("vectors")
FRAMES_ONLY = {"broadcast", "control"}
SCENES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem not in FRAMES_ONLY)

every_scene = pytest.mark.parametrize("name", SCENES)


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def event_of(step: dict[str, Any]) -> Event:
    return msgspec.json.decode(json.dumps(step["event"]), type=Event, strict=True)


def frame_of(step: dict[str, Any]) -> bytes:
    cursor = Cursor.parse(step["id"])
    assert cursor
    return sse.frame(cursor.epoch, Record.of(cursor.seq, 0, event_of(step)))


def read(frames: str, size: int) -> list[Frame]:
    parser, stream = Parser(), frames.encode()
    return [frame for at in range(0, len(stream), size) for frame in parser.feed(stream[at : at + size])]


def history_before(scene: dict[str, Any]) -> History:
    before = scene["before"]
    messages = [
        msgspec.convert(message, Reply if message["role"] == "assistant" else Message) for message in before["messages"]
    ]
    return History(
        msgspec.convert(before["conversation"], Conversation),
        [Draft(m) if isinstance(m, Reply) and m.live else m for m in messages],
    )


def messages_of(history: History) -> list[Any]:
    messages = [m.reply() if isinstance(m, Draft) else m for m in history.messages.values()]
    return json.loads(msgspec.json.encode(messages))


def test_there_are_scenes():
    assert len(SCENES) >= 20
    assert {path.stem for path in FOLDER.glob("*.json")} >= FRAMES_ONLY


@every_scene
def test_an_event_becomes_exactly_its_frame(name):
    for step in load(name)["steps"]:
        assert frame_of(step).decode() == step["frame"]


@every_scene
@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_reader_of_the_frames_gets_exactly_the_events(name, size):
    steps = load(name)["steps"]

    frames = read("".join(step["frame"] for step in steps), size)

    assert [(f.id, f.event, f.json) for f in frames] == [(s["id"], s["event"]["type"], s["event"]) for s in steps]


@every_scene
def test_the_events_fold_into_the_messages(name):
    scene = load(name)
    history = history_before(scene)

    for step in scene["steps"]:
        fold(history, event_of(step))
        if "messages" in step:
            assert messages_of(history) == step["messages"]

    after = scene["after"]
    assert messages_of(history) == after["messages"]
    assert json.loads(msgspec.json.encode(history.conversation())) == after["conversation"]
    assert history.deleted == after["deleted"]


@every_scene
def test_a_fold_may_go_on_from_any_snapshot_in_between(name):
    scene = load(name)
    events = [event_of(step) for step in scene["steps"]]

    for cut in range(len(events)):
        history = history_before(scene)
        for event in events[:cut]:
            fold(history, event)
        taken = {"conversation": json.loads(msgspec.json.encode(history.conversation()))}
        resumed = history_before({"before": taken | {"messages": messages_of(history)}})
        for event in events[cut:]:
            fold(resumed, event)
        assert messages_of(resumed) == scene["after"]["messages"]


@every_scene
def test_an_ending_proves_the_text_that_the_pieces_add_up_to(name):
    scene = load(name)
    texts = {message["id"]: message["text"] for message in scene["after"]["messages"]}

    for step in scene["steps"]:
        event = step["event"]
        if event["type"] == "reply.ended":
            assert event["text"] == texts[event["reply_id"]]
            assert event["text_sha256"] == hashlib.sha256(event["text"].encode()).hexdigest()


@every_scene
def test_the_numbers_have_no_hole(name):
    ids = [Cursor.parse(step["id"]) for step in load(name)["steps"]]

    assert [cursor.seq for cursor in ids] == list(range(ids[0].seq, ids[0].seq + len(ids)))
    assert len({cursor.epoch for cursor in ids}) == 1


def test_a_broadcast_message_becomes_exactly_its_frame():
    for step in load("broadcast")["steps"]:
        assert frame_of(step).decode() == step["frame"]


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_a_reader_of_the_broadcast_frames_gets_the_texts_and_nothing_else(size):
    steps = load("broadcast")["steps"]

    frames = read("".join(step["frame"] for step in steps), size)

    assert [(f.id, f.event, f.data) for f in frames] == [(s["id"], "message", s["data"]) for s in steps]
    for step in steps:
        assert step["data"] == step["event"]["text"].replace("\r\n", "\n").replace("\r", "\n")


def test_a_control_frame_is_exact_and_reads_as_its_data():
    for step in load("control")["steps"]:
        data = dict(step["data"])
        cursor = Cursor.parse(step["id"]) if step["id"] else None

        frame = sse.control(data.pop("type"), data, cursor)

        assert frame.decode() == step["frame"]
        (read_back,) = Parser().feed(frame)
        assert (read_back.event, read_back.id, read_back.json) == (step["data"]["type"], step["id"] or "", step["data"])


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_what_does_not_print_is_escaped_so_that_no_editor_changes_it(path):
    text = path.read_bytes().decode()

    assert all(line.isprintable() for line in text.split("\n"))
    assert text.endswith("}\n")
