"""The one checker of the invariants I1 to I5 and I7; for I6, `tests.faults.census_server` counts what is held.

The log that the server serves in the end is the truth; all that anybody ever saw is held against it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from app.events import Event, MessageCreated, ReplyCreated, ReplyDelta, ReplyEnded
from app.history import Draft, History, fold
from app.messages import LIVE, Conversation, Message, Outline, Reply
from tests.faults.asker import Posted
from tests.faults.watcher import Leg, Watcher
from tests.support.server import Server
from tests.support.sse import Frame

_event = msgspec.json.Decoder(Event).decode
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Story:
    """A conversation as the server tells it once nothing runs in it: its log, and what is stored."""

    id: str
    epoch: str
    frames: list[Frame]
    conversation: Conversation
    messages: dict[str, Message]

    @classmethod
    async def read(cls, server: Server, conversation_id: str) -> Story:
        """Read the whole log and all messages of a conversation."""
        path = f"/conversations/{conversation_id}"
        async with await server.listen(f"{path}/events?from=start&until=idle") as stream:
            frames = await stream.rest(within=60)
        messages: list[Any] = []
        page: dict[str, Any] = {"next": ""}
        while page["next"] is not None:
            page = (await server.get(f"{path}/messages?limit=100&before={page['next']}")).json()
            messages = page["messages"] + messages
        conversation = (await server.get(path)).json()["conversation"]
        return cls(
            conversation_id,
            frames[0].json["epoch"],
            [frame for frame in frames if frame.id],
            msgspec.convert(conversation, Conversation),
            {message["id"]: _message(message) for message in messages},
        )

    def events(self) -> list[Event]:
        """Return the log's events."""
        return [_event(frame.data) for frame in self.frames]

    def at(self, seq: int) -> History:
        """Return the history at a position, folded from the first event on."""
        history = History(msgspec.structs.replace(self.conversation, head=None, running=(), updated_at=_LONG_AGO))
        for event in self.events()[:seq]:
            fold(history, event)
        return history

    def statuses(self) -> dict[str, str]:
        """Return the status of every reply by its id."""
        return {id: message.status for id, message in self.messages.items() if isinstance(message, Reply)}


async def check(server: Server, posted: Sequence[Posted] = (), watchers: Iterable[Watcher] = ()) -> dict[str, Story]:
    """Assert I1 to I5 and I7 on a server at which nothing runs any more; return the stories by conversation.

    `posted` are all prompts that were ever accepted, so that what nobody was promised is found as well; every one of
    `watchers` must have arrived at the head of its conversation.
    """
    stories = {id: await Story.read(server, id) for id in dict.fromkeys(post.conversation_id for post in posted)}
    for story in stories.values():
        check_log(story)
    check_apart(stories.values())
    await check_promises(server, posted, stories)
    for watcher in watchers:
        check_watcher(watcher, stories[watcher.conversation_id])
    return stories


def check_log(story: Story) -> None:
    """Assert that one log is whole (I7, G3), ends each reply once (I4), and tells what is stored (I2)."""
    assert [frame.id for frame in story.frames] == [f"{story.epoch}-{n:012d}" for n in range(1, len(story.frames) + 1)]
    texts: dict[str, list[str]] = {}
    ended: set[str] = set()
    for event in story.events():
        if isinstance(event, ReplyCreated):
            texts[event.reply.id] = []
        elif (reply_id := getattr(event, "reply_id", None)) is not None:
            assert reply_id in texts, f"{reply_id} is of another conversation, or was never created"
            assert reply_id not in ended, f"{event} after the ending"
            if isinstance(event, ReplyDelta) and event.kind is None:
                texts[reply_id].append(event.text)
            elif isinstance(event, ReplyEnded):
                ended.add(reply_id)
                text = "".join(texts[reply_id])
                assert event.text == text
                assert event.text_sha256 == hashlib.sha256(text.encode()).hexdigest()
                assert story.messages[reply_id].text == text
    assert ended == set(texts), "a reply has not ended"
    assert story.at(len(story.frames)).messages == story.messages
    assert story.at(len(story.frames)).conversation() == story.conversation


def check_apart(stories: Iterable[Story]) -> None:
    """Assert that no two conversations share an epoch, a message or a reply (I5)."""
    owners: dict[str, str] = {}
    for story in stories:
        ids = {event.message.id for event in story.events() if isinstance(event, MessageCreated)}
        for name in (story.epoch, *ids, *story.statuses()):
            assert owners.setdefault(name, story.id) == story.id


async def check_promises(server: Server, posted: Sequence[Posted], stories: dict[str, Story]) -> None:
    """Assert that every 201 is kept, once per key, and that nothing else is there (I3)."""
    for post in posted:
        story = stories[post.conversation_id]
        prompt, reply = _message(post.answer["message"]), post.answer["reply"]
        assert story.messages[prompt.id] == prompt
        assert story.messages[reply["id"]].parent == prompt.id
        assert post.answer["cursor"].startswith(story.epoch)
        after = story.events()[int(post.answer["cursor"].rpartition("-")[2]) :]
        is_retry = post.path.endswith("/retry")
        assert isinstance(after[0], ReplyCreated if is_retry else MessageCreated)
        assert next(e.reply.id for e in after if isinstance(e, ReplyCreated)) == reply["id"]
        again = await server.post(post.path, post.body, headers={"Idempotency-Key": post.key})
        assert again.status_code == 201, again.text
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.json() == post.answer
    promised = {post.reply_id for post in posted}
    assert {id for story in stories.values() for id in story.statuses()} == promised
    if posted:
        assert set(await list_conversations(server)) == set(stories)


async def list_conversations(server: Server) -> list[str]:
    """Return the ids of all conversations."""
    ids: list[str] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        page = (await server.get(f"/conversations?limit=100&before={page['next']}")).json()
        ids += [conversation["id"] for conversation in page["conversations"]]
    return ids


def check_watcher(watcher: Watcher, story: Story, *, arrived: bool = True) -> None:
    """Assert that a subscriber saw a run of the log, or a snapshot and a run (I1), and that it adds up (I2)."""
    view = View(story, from_start="from=start" in watcher.path)
    for leg in watcher.legs:
        if leg.frames:
            view.take(leg)
    if arrived:
        assert view.position == len(story.frames), f"{watcher.path}: arrived at {view.position} of {len(story.frames)}"


async def check_channel(server: Server, said: Sequence[str], watcher: Watcher) -> None:
    """Assert that the broadcast channel holds what was said, once each, and that a subscriber saw a run of it (I1)."""
    async with await server.listen("/events?from=start") as stream:
        while [frame.data for frame in stream.events()][-1:] != [said[-1]]:
            await stream.next()
        log = stream.events()
    assert [frame.data for frame in log] == list(said)
    await watcher.reached(log[-1].id)
    assert watcher.events == log[watcher.events[0].seq - 1 :]


class View:
    """What a subscriber holds, connection by connection; every step is held against the final log."""

    def __init__(self, story: Story, *, from_start: bool = False) -> None:
        self.story = story
        self.from_start = from_start
        self.position: int | None = None
        self.history: History | None = None

    def take(self, leg: Leg) -> None:
        """Go through one connection."""
        hello = leg.frames[0]
        assert hello.event == "hello"
        assert hello.json["stream"] == f"conversation/{self.story.id}"
        assert hello.json["epoch"] == self.story.epoch
        self._judge(leg, hello.json)
        for frame in leg.frames[1:]:
            if not frame.id:
                assert frame.event in ("ping", "bye")
            elif frame.event == "snapshot":
                self._start_over(frame)
            else:
                self._step(frame)
        if self.history is not None and self.position == len(self.story.frames):
            assert _whole(self.history) == {
                id: message for id, message in self.story.messages.items() if id in _whole(self.history)
            }
            assert self.history.conversation() == self.story.conversation

    def _judge(self, leg: Leg, hello: dict[str, Any]) -> None:
        given = int(leg.given.rpartition("-")[2]) if leg.given else None
        if hello["resumed"]:
            assert given is not None
            assert hello["cursor"] == leg.given
            assert self.position in (None, given)  # None: its first cursor came from a 201
            self.position = given
        else:
            # "ahead" would mean that it was sent what was not committed; "epoch" that a restart lost the stream.
            assert hello["reason"] == ("behind" if leg.given else None)
            self.position = 0 if self.from_start and not leg.given else None

    def _start_over(self, frame: Frame) -> None:
        assert self.position is None or frame.seq > self.position
        snapshot = frame.json
        assert snapshot["cursor"] == frame.id
        conversation = msgspec.convert(snapshot["conversation"], Conversation)
        messages = [_message(message) for message in snapshot["messages"]]
        told = self.story.at(frame.seq)
        assert [message.id for message in messages] == list(told.messages)
        for message in messages:
            standing = _standing(told.messages[message.id])
            assert message == (_outline(standing) if isinstance(message, Outline) else standing)
        assert conversation == told.conversation()
        drafts = [Draft(m) if isinstance(m, Reply) and m.status in LIVE else m for m in messages]
        self.history = History(conversation, drafts)
        self.position = frame.seq

    def _step(self, frame: Frame) -> None:
        assert self.position is not None, f"{frame.id} without a snapshot before it"
        assert frame.seq == self.position + 1, f"{frame.id} after {self.position}"
        assert frame == self.story.frames[self.position]
        self.position = frame.seq
        if self.history is not None:
            fold(self.history, _event(frame.data))


def _whole(history: History) -> dict[str, Message]:
    messages = {id: _standing(message) for id, message in history.messages.items()}
    return {id: message for id, message in messages.items() if isinstance(message, Message)}


def _standing(message: Message | Outline | Draft) -> Message | Outline:
    return message.reply() if isinstance(message, Draft) else message


def _outline(message: Message | Outline) -> Outline:
    return Outline(message.id, message.parent, message.role, message.status)


def _message(data: dict[str, Any]) -> Any:
    kind = Outline if "parts" not in data else Reply if data["role"] == "assistant" else Message
    return msgspec.convert(data, kind)
