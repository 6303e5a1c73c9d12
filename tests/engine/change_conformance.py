"""What every engine promises to who follows it: changes in order, and what is at their places."""

from __future__ import annotations

from app.engine.base import Change, DropConversation, Engine, Entry, Found, Rename, SaveReply
from tests.engine.store import Store
from tests.support.commits import (
    NOW,
    accepted,
    add_messages,
    commit,
    completed,
    later,
    new_conversation,
    new_stream,
    running,
    user_message,
)

PLENTY = 10**6


async def changes(engine: Engine, after: int = 0) -> list[Change]:
    return await engine.changes(after, 1000, PLENTY)


class ChangeConformance:
    """Part of `EngineConformance`."""

    async def test_a_new_store_has_never_changed(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s", 3)))

        assert await engine.changed() == 0
        assert await changes(engine) == []

    async def test_changes_tell_of_titles_and_messages_in_order(self, store: Store) -> None:
        await store.engine.commit(
            commit(new_conversation("c", [user_message("m", text="Why?"), accepted("r", "m")], title="T"))
        )

        for _ in range(2):
            found = await changes(store.engine)

            assert await store.engine.changed() == found[-1].number
            assert [(c.position, c.text) for c in found] == [(None, "T"), (0, "Why?"), (1, None)]
            assert {(c.conversation, c.principal) for c in found} == {(found[0].conversation, "local")}
            assert [c.number for c in found] == sorted({c.number for c in found})
            await store.reopen()

    async def test_a_reply_changes_when_it_ends_and_not_when_it_starts(self, engine: Engine) -> None:
        reply = accepted("r", "m")
        await engine.commit(commit(new_conversation("c", [user_message("m"), reply])))
        before = await engine.changed()

        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(running(reply))])))
        assert await engine.changed() == before
        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(completed(reply, "So.", later(2)))])))

        (change,) = await changes(engine, before)
        assert (change.position, change.text) == (1, "So.")
        assert change.updated == round(later(2).timestamp() * 1_000_000)

    async def test_a_change_tells_what_is_there_now(self, engine: Engine) -> None:
        reply = accepted("r", "m")
        await engine.commit(commit(new_conversation("c", [user_message("m"), reply], title="Old")))
        await engine.commit(commit(Entry("conversation/c", (), [Rename("New", later(1))])))
        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(completed(reply, "So.", later(2)))])))

        assert [c.text for c in await changes(engine)] == ["New", "Hello", "So.", "New", "So."]

    async def test_what_is_gone_has_neither_text_nor_principal_and_its_numbers_stay(self, store: Store) -> None:
        engine = store.engine
        await engine.commit(commit(new_conversation("kept"), new_conversation("gone", [user_message("m")])))
        before = await changes(engine)
        await engine.commit(commit(Entry("conversation/gone", (), [DropConversation()])))
        last = await engine.changed()
        await store.reopen()
        await store.engine.commit(commit(new_conversation("new")))

        found = await changes(store.engine)
        assert [c.number for c in before] == [c.number for c in found[:3]]
        assert [(c.principal, c.text) for c in found[1:4]] == [(None, None)] * 3
        assert found[3].number == last
        assert found[4].number > last
        assert found[4].conversation not in {c.conversation for c in found[:4]}

    async def test_nothing_of_a_refused_commit_is_a_change(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c")))
        before = await changes(engine)

        try:
            await engine.commit(commit(add_messages("c", [user_message("m"), user_message("m")], first=1)))
        except Exception:  # noqa: BLE001 - whatever it was
            assert await changes(engine) == before
        else:
            raise AssertionError("two messages of one id were taken")

    async def test_changes_come_in_parts(self, engine: Engine) -> None:
        texts = ["a" * 100, "b" * 100, "c" * 100]
        await engine.commit(
            commit(new_conversation("c", [user_message(t[0], text=t) for t in texts], title="T", principal="ann"))
        )
        first = (await changes(engine))[0].number

        assert [c.text for c in await engine.changes(0, 2, PLENTY)] == ["T", texts[0]]
        assert [c.text for c in await engine.changes(first, 1000, 100)] == [texts[0]]
        assert [c.text for c in await engine.changes(first + 1, 1000, PLENTY)] == texts[1:]
        assert await engine.changes(first + 3, 1000, PLENTY) == []

    async def test_what_is_at_places_is_found_by_its_principal_alone(self, engine: Engine) -> None:
        await engine.commit(
            commit(
                new_conversation("c", [user_message("m", text="Why?"), accepted("r", "m")], title="T", principal="ann"),
                new_conversation("d", principal="bob", title="B"),
            )
        )
        number, other = (c.conversation for c in await changes(engine) if c.position is None)
        listed = (await engine.conversations("ann", None, 1))[0][0]

        there = await engine.found("ann", [(number, 0), (other, None), (number, None), (99, None)], PLENTY)

        assert there == [Found(listed, "m", "Why?"), None, Found(listed, None, "T"), None]
        assert listed.running == ("r",)
        assert await engine.found("bob", [(number, 0), (other, None)], PLENTY) == [
            None,
            Found((await engine.conversations("bob", None, 1))[0][0], None, "B"),
        ]

    async def test_places_are_looked_at_until_there_is_enough(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c", [user_message(id, text=id * 100) for id in "abc"], at=NOW)))
        number = (await changes(engine))[0].conversation

        there = await engine.found("local", [(number, place) for place in range(3)], 150)

        assert [found.text[0] for found in there if found] == ["a", "b"]
