"""An engine in memory that conforms, with controls: when it answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from app.branches import answers, digest
from app.engine.base import (
    ANSWERS_KEPT,
    AddMessage,
    Change,
    Commit,
    CreateConversation,
    CreateStream,
    DropConversation,
    Entry,
    Found,
    KeepAnswer,
    Rename,
    Row,
    SaveNote,
    SaveReply,
    Settlement,
    StoredAnswer,
    StoredBranch,
    StoredConversation,
    StoredReply,
    StoredStream,
)
from app.errors import NotStoring, StartError
from app.events import Record
from app.ids import make_epoch
from app.messages import Conversation, Message, Outline, Parameters, Reply

BLOCK = 1024


@dataclass(frozen=True)
class Chat:
    """A conversation's rows."""

    number: int
    principal: str
    conversation: Conversation
    messages: Mapping[str, tuple[Message, Parameters, int]] = field(default_factory=dict)
    transient: bool = False
    alias: str | None = None

    @property
    def listed(self) -> Conversation:
        running = tuple(id for id, (message, _, _) in self.messages.items() if message.live)
        return msgspec.structs.replace(self.conversation, running=running)

    def text(self, position: int | None) -> tuple[str | None, str] | None:
        """Return the id and the text of what can be found at a position."""
        if position is None:
            return None, self.conversation.title
        message, _, _ = list(self.messages.values())[position]
        return None if message.live else (message.id, message.text)

    def branches(self) -> dict[str, tuple[bytes, bool]]:
        """Return the digest of the branch that ends with each message that cannot change, and if it is answered."""
        found: dict[str, tuple[bytes, bool]] = {}
        for message, _, _ in self.messages.values():
            before, answered = (b"", False) if message.parent is None else found.get(message.parent, (None, False))
            if before is not None and not message.live:
                found[message.id] = digest(before, message), answered or answers(message)
        return found

    @property
    def key(self) -> tuple[datetime, int]:
        return self.conversation.updated_at, self.number


@dataclass(frozen=True)
class State:
    """All that is stored. Nothing of it is ever changed in place, so a commit is one assignment."""

    salts: Mapping[str, bytes] = field(default_factory=dict)
    journal: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    blocks: Mapping[str, tuple[tuple[Record, ...], ...]] = field(default_factory=dict)
    chats: Mapping[str, Chat] = field(default_factory=dict)
    answers: Mapping[bytes, tuple[KeepAnswer, int]] = field(default_factory=dict)
    chats_made: int = 0
    changes: tuple[tuple[int, int | None], ...] = ()


class Disk:
    """What survives an engine: hand the same one to the next."""

    def __init__(self) -> None:
        self.state = State()
        self.owned = False


async def at_once() -> None:
    """Let an engine answer without waiting."""


class MemoryEngine:
    """`pause` is awaited around commits and reads, `refuse` makes commits fail, `commits` are those taken."""

    def __init__(self, disk: Disk, pause: Callable[[], Awaitable[None]] = at_once) -> None:
        self.disk = disk
        self.pause = pause
        self.refuse: Callable[[Commit], bool] = lambda commit: False
        self.commits: list[Commit] = []
        self.committing = 0
        self._owner = False

    async def claim(self) -> dict[str, list[Record]]:
        if self.disk.owned:
            raise StartError("The store is in use.")
        self.disk.owned = self._owner = True
        return {name: list(records) for name, records in self.disk.state.journal.items() if records}

    async def close(self) -> None:
        if self._owner:
            self.disk.owned = self._owner = False

    def epoch(self, salt: bytes) -> str:
        return make_epoch(salt, b"memory")

    async def commit(self, commit: Commit) -> None:
        self.committing += 1
        assert self.committing == 1, "the log commits one at a time"
        try:
            await self.pause()
            self._require_owner()
            if self.refuse(commit):
                raise NotStoring("The store was told to refuse.")
            try:
                self.disk.state = _apply(self.disk.state, commit)
            except (KeyError, ValueError) as error:
                raise NotStoring(f"The store did not take the write: {error!r}.") from error
            self.commits.append(commit)
            await self.pause()
        finally:
            self.committing -= 1

    async def stream(self, name: str) -> StoredStream | None:
        state = await self._read()
        if name not in state.salts:
            return None
        blocks = state.blocks.get(name, ())
        first, last = (blocks[0][0].seq, blocks[-1][-1].seq) if blocks else (1, 0)
        return StoredStream(self.epoch(state.salts[name]), first, last)

    async def read(self, stream: str, after: int, limit: int) -> list[Record]:
        found: list[Record] = []
        for block in (await self._read()).blocks.get(stream, ()):
            found += (record for record in block if record.seq > after)
            if len(found) >= limit:
                break
        await self.pause()
        return found

    async def conversation(self, conversation_id: str) -> StoredConversation | None:
        chat = (await self._read()).chats.get(conversation_id)
        if chat is None:
            return None
        outlines = [Outline(m.id, m.parent, m.role, m.status) for m, _, _ in chat.messages.values()]
        return StoredConversation(chat.principal, chat.listed, outlines, chat.transient)

    async def conversations(
        self, principal: str, before: tuple[int, int] | None, limit: int
    ) -> tuple[list[Conversation], tuple[int, int] | None]:
        every = (await self._read()).chats.values()
        chats = [chat for chat in every if chat.principal == principal and not chat.transient]
        keyed = sorted(((_micros(chat.key[0]), chat.number, chat) for chat in chats), key=lambda k: k[:2], reverse=True)
        rest = [row for row in keyed if before is None or row[:2] < before]
        return [row[2].listed for row in rest[:limit]], rest[limit - 1][:2] if len(rest) > limit else None

    async def messages(
        self, conversation_id: str, ids: Sequence[str], max_bytes: int | None = None
    ) -> dict[str, Message]:
        chat = (await self._read()).chats.get(conversation_id)
        found: dict[str, Message] = {}
        size = 0
        for id in ids:
            if chat is None or id not in chat.messages:
                continue
            message = chat.messages[id][0]
            size += len(msgspec.json.encode(message))
            if max_bytes is not None and size > max_bytes:
                break
            found[id] = message
        return found

    async def page(
        self, conversation_id: str, before: int | None, limit: int, max_bytes: int
    ) -> tuple[list[Message], int | None]:
        chat = (await self._read()).chats.get(conversation_id)
        whole = [message for message, _, _ in chat.messages.values()][:before] if chat else []
        page: list[Message] = []
        size = 0
        while whole and len(page) < limit:
            size += len(msgspec.json.encode(whole[-1]))
            if page and size > max_bytes:
                break
            page.insert(0, whole.pop())
        return page, len(whole) or None

    async def reply(self, conversation_id: str, reply_id: str) -> StoredReply | None:
        chat = (await self._read()).chats.get(conversation_id)
        message, parameters, after = (chat.messages.get(reply_id) if chat else None) or (None, Parameters(), 0)
        return StoredReply(message, parameters, after) if isinstance(message, Reply) else None

    async def aliased(self, principal: str, alias: str) -> str | None:
        chats = (await self._read()).chats.values()
        found = [chat.conversation.id for chat in chats if (chat.principal, chat.alias) == (principal, alias)]
        return found[-1] if found else None

    async def branch(
        self, principal: str, digests: Sequence[bytes], conversation_id: str | None = None
    ) -> StoredBranch | None:
        chats = [chat for chat in (await self._read()).chats.values() if chat.principal == principal]
        for place in reversed(range(len(digests))):
            for chat in sorted(chats, key=lambda chat: -chat.number):
                named = conversation_id in (None, chat.conversation.id)
                branches = chat.branches() if named and not chat.transient else {}
                counts = {id for id, (_, answered) in branches.items() if answered or conversation_id}
                found = [id for id, (branch, _) in branches.items() if branch == digests[place] and id in counts]
                if found:
                    return StoredBranch(chat.conversation.id, found[-1], place)
        return None

    async def unfinished(self) -> list[str]:
        chats = (await self._read()).chats
        return [id for id, chat in chats.items() if chat.listed.running or chat.transient]

    async def answer(self, scope: bytes, since: datetime) -> StoredAnswer | None:
        kept, after = (await self._read()).answers.get(scope, (None, 0))
        return StoredAnswer(kept.request, kept.answer, after) if kept and kept.at >= since else None

    async def changed(self) -> int:
        return len((await self._read()).changes)

    async def changes(self, after: int, limit: int, max_bytes: int) -> list[Change]:
        state = await self._read()
        page: list[Change] = []
        size = 0
        for number, (place, position) in enumerate(state.changes[after : after + limit], after + 1):
            chat = next((c for c in state.chats.values() if c.number == place and not c.transient), None)
            there = chat.text(position) if chat else None
            principal, updated = (chat.principal, _micros(chat.conversation.updated_at)) if chat else (None, 0)
            page.append(Change(number, place, position, principal, updated, there[1] if there else None))
            size += len(there[1]) if there else 0
            if size >= max_bytes:
                break
        return page

    async def found(
        self, principal: str, places: Sequence[tuple[int, int | None]], max_bytes: int
    ) -> list[Found | None]:
        chats = {chat.number: chat for chat in (await self._read()).chats.values() if chat.principal == principal}
        page: list[Found | None] = []
        size = 0
        for number, position in places:
            if size >= max_bytes:
                break
            chat = chats.get(number)
            there = chat.text(position) if chat else None
            page.append(Found(chat.listed, *there) if chat and there else None)
            size += len(there[1]) if there else 0
        return page

    async def _read(self) -> State:
        await self.pause()
        self._require_owner()
        return self.disk.state

    def _require_owner(self) -> None:
        if not self._owner:
            raise NotStoring("The store is closed.")


def _apply(state: State, commit: Commit) -> State:
    for settlement in commit.settlements:
        state = _settle(state, settlement)
    for entry in commit.entries:
        for row in entry.rows:
            state = _row(state, entry, row)
        if entry.records and entry.stream in state.salts:
            journal = state.journal.get(entry.stream, ())
            state = replace(state, journal={**state.journal, entry.stream: (*journal, *entry.records)})
    return state


def _settle(state: State, settlement: Settlement) -> State:
    name, records = settlement.stream, tuple(settlement.records)
    journal = state.journal[name]
    rest = journal[len(records) :]
    if journal[: len(records)] != records or bool(rest) != settlement.more:
        raise ValueError("a settlement holds the oldest unsettled records, and says whether there are more")
    new = [records[at : at + BLOCK] for at in range(0, len(records), BLOCK)]
    kept = [block for block in (*state.blocks.get(name, ()), *new) if block[-1].seq >= settlement.keep_from]
    return replace(state, blocks={**state.blocks, name: tuple(kept)}, journal={**state.journal, name: rest})


def _row(state: State, entry: Entry, row: Row) -> State:
    name = entry.stream
    id = name.partition("/")[2]
    after = entry.records[0].seq - 1 if entry.records else 0
    if isinstance(row, CreateStream):
        _refuse(name in state.salts)
        return replace(state, salts={**state.salts, name: row.salt})
    if isinstance(row, KeepAnswer):
        oldest = row.at - ANSWERS_KEPT
        kept = {scope: answer for scope, answer in state.answers.items() if answer[0].at >= oldest}
        return replace(state, answers={**kept, row.scope: (row, after)})
    if isinstance(row, CreateConversation):
        _refuse(id in state.chats or name not in state.salts)
        chat = Chat(state.chats_made, row.principal, row.conversation, transient=row.transient, alias=row.alias)
        changes = (*state.changes, (chat.number, None))
        return replace(state, chats={**state.chats, id: chat}, chats_made=state.chats_made + 1, changes=changes)
    if isinstance(row, DropConversation):
        salts, journal, blocks, chats = (
            {key: value for key, value in mapping.items() if key not in (name, id)}
            for mapping in (state.salts, state.journal, state.blocks, state.chats)
        )
        changes = (*state.changes, (state.chats[id].number, None))
        return replace(state, salts=salts, journal=journal, blocks=blocks, chats=chats, changes=changes)
    chat = _chat_row(state.chats[id], row, after)
    state = replace(state, chats={**state.chats, id: chat})
    if isinstance(row, SaveNote) or (isinstance(row, SaveReply) and not row.reply.ended_at):
        return state
    named = row.reply.id if isinstance(row, SaveReply) else row.message.id if isinstance(row, AddMessage) else None
    position = list(chat.messages).index(named) if named else None
    return replace(state, changes=(*state.changes, (chat.number, position)))


def _chat_row(chat: Chat, row: AddMessage | SaveReply | SaveNote | Rename, after: int) -> Chat:
    match row:
        case AddMessage(message, parameters):
            _refuse(message.id in chat.messages)
            added = {**chat.messages, message.id: (message, parameters, after)}
            return replace(chat, messages=added, conversation=_touch(chat, message.created_at, head=message.id))
        case SaveReply(reply):
            saved = {**chat.messages, reply.id: (reply, *chat.messages[reply.id][1:])}
            ended = _touch(chat, reply.ended_at) if reply.ended_at else chat.conversation
            return replace(chat, messages=saved, conversation=ended)
        case SaveNote(reply_id, note):
            reply, parameters, after = chat.messages[reply_id]
            noted = msgspec.structs.replace(parameters, note=note)
            return replace(chat, messages={**chat.messages, reply_id: (reply, noted, after)})
        case Rename(title, at):
            return replace(chat, conversation=_touch(chat, at, title=title))


def _touch(chat: Chat, at: datetime, **changes: str) -> Conversation:
    return msgspec.structs.replace(chat.conversation, updated_at=at, **changes)


def _refuse(wrong: bool) -> None:
    if wrong:
        raise ValueError("the row is there already, or what it belongs to is not")


def _micros(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)


_disks: dict[Path, Disk] = {}


def open_disk(folder: Path) -> Disk:
    """Return the disk that stands for a folder."""
    return _disks.setdefault(folder, Disk())
