from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responders.sse import Event, EventReader, TooLong


def read(*chunks: bytes, longest: int = 1000) -> list[Event]:
    reader = EventReader(longest)
    return [event for chunk in chunks for event in reader.feed(chunk)]


def said_by_the_standard(stream: str) -> list[tuple[str, str]]:
    """The standard's rules, word for word, on a text that is there as a whole."""
    events, data, type_ = [], "", ""
    lines = stream.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line in lines[:-1]:
        if line == "":
            if data:
                events.append((type_, data.removesuffix("\n")))
            data, type_ = "", ""
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data += value + "\n"
            elif name == "event":
                type_ = value
    return events


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"data:a\ndata:  b\n\n", [b"a\n b"]),
        (b"data\n\n", [b""]),
        (b"data:\n\n", [b""]),
        (b": ping\n\n:\n\ndata: a\n\n", [b"a"]),
        (b"id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", [b"a"]),
        (b"event: x\n\n\n\ndata: a\n\n", [b"a"]),
        (b" data: a\n\n", []),
        (b"data: a\n\ndata: b\n", [b"a"]),
        ("data: \u2028 \x85 \x0b\n\n".encode(), ["\u2028 \x85 \x0b".encode()]),
        (b"data: \xff\n\n", [b"\xff"]),
    ],
)
def test_events_are_cut_by_the_rules_wherever_the_bytes_are(stream: bytes, events: list[bytes]):
    assert [event.data for event in read(stream)] == events
    assert [event.data for event in read(*(bytes([byte]) for byte in stream))] == events


def test_a_type_belongs_to_its_event_alone():
    assert read(b"event: error\ndata: a\n\ndata: b\n\n") == [(b"error", b"a"), (b"", b"b")]


@given(
    st.lists(st.sampled_from(["data:", "data: ", "event:", ":", "a", " ", "é", "\r", "\n", "\r\n", "\n\n", "\ufeff"])),
    st.data(),
)
def test_any_stream_in_any_pieces_is_what_the_standard_says(parts: list[str], draws: st.DataObject):
    stream = "".join(parts).encode()
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    events = [(event.type.decode(), event.data.decode()) for event in read(*chunks)]

    assert events == said_by_the_standard(stream.decode() if not stream.endswith(b"\r") else stream.decode() + "\n")


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: ", b"x" * 1001],
        [b":" + b"x" * 1001],
        [b"x" * 600, b"x" * 600],
        [b"data: " + b"x" * 400 + b"\n"] * 3,
        [b"data:\n" * 1002],
    ],
)
def test_an_event_that_is_too_long_is_refused_before_its_end(chunks: list[bytes]):
    with pytest.raises(TooLong):
        read(*chunks)


def test_what_was_read_makes_room_again():
    assert len(read(*[b"data: " + b"x" * 900 + b"\n\n"] * 5)) == 5
