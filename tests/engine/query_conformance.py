"""What every engine promises about its rows: conversations, messages, replies, idempotent answers."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from app.engine.base import ANSWERS_KEPT, Engine, Entry, KeepAnswer, Rename, SaveNote, SaveReply
from app.messages import Outline, Parameters
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
    records,
    running,
    user_message,
)

PLENTY = 10**6


class QueryConformance:
    """Part of `EngineConformance`."""

    async def test_what_is_not_there_is_none(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c", [user_message("m"), accepted("r", "m")])))

        assert await engine.conversation("x") is None
        assert await engine.reply("c", "x") is None
        assert await engine.reply("x", "r") is None
        assert await engine.reply("c", "m") is None, "a prompt is no reply"
        assert await engine.answer(b"x", NOW) is None
        assert await engine.messages("x", ["m"]) == {}
        assert await engine.page("x", None, 10, PLENTY) == ([], None)

    # One conversation

    async def test_a_conversation_is_read_with_the_outlines_of_its_messages(self, store: Store) -> None:
        prompt, reply = user_message("m", at=later(1)), accepted("r", "m", later(2))
        await store.engine.commit(commit(new_conversation("c", [prompt, reply], principal="ann", title="Ünï\0\u202e")))

        for _ in range(2):
            stored = await store.engine.conversation("c")

            assert stored
            assert stored.principal == "ann"
            assert stored.outlines == [
                Outline("m", None, "user", "completed"),
                Outline("r", "m", "assistant", "accepted"),
            ]
            c = stored.conversation
            assert (c.id, c.title, c.head, c.running) == ("c", "Ünï\0\u202e", "r", ("r",))
            assert (c.created_at, c.updated_at) == (NOW, later(2))
            await store.reopen()

    async def test_a_reply_is_live_until_it_is_saved_as_ended(self, engine: Engine) -> None:
        reply = accepted("r", "m")
        await engine.commit(commit(new_conversation("c", [user_message("m"), reply])))

        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(running(reply, later(1)))])))
        assert await engine.unfinished() == ["c"]
        assert (await engine.conversation("c")).conversation.running == ("r",)
        assert (await engine.conversation("c")).outlines[1].status == "running"

        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(completed(reply, at=later(9)))])))
        assert await engine.unfinished() == []
        assert (await engine.conversation("c")).conversation.running == ()
        assert (await engine.conversation("c")).conversation.updated_at == later(9)
        assert (await engine.messages("c", ["r"]))["r"] == completed(reply, at=later(9))

    async def test_a_new_title_is_a_new_time_of_activity(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c")))

        await engine.commit(commit(Entry("conversation/c", (), [Rename("Another", later(3))])))

        stored = await engine.conversation("c")
        assert (stored.conversation.title, stored.conversation.updated_at) == ("Another", later(3))
        assert stored.conversation.created_at == NOW

    async def test_the_row_of_a_reply_knows_what_precedes_its_entry_and_its_options(self, engine: Engine) -> None:
        options = {"seed": 7, "deep": {"list": [1, None, "ü"]}, "float": 0.5}
        await engine.commit(commit(new_conversation("c", [user_message("m"), accepted("r", "m")])))
        more = [user_message("n", "r"), accepted("s", "n")]
        await engine.commit(commit(add_messages("c", more, first=3, options=options)))
        retry = accepted("t", "n")
        await engine.commit(commit(add_messages("c", [retry], first=41)))

        first, second, third = [await engine.reply("c", id) for id in "rst"]

        assert (first.after, first.parameters) == (0, Parameters())
        assert (second.after, second.parameters.options, second.reply) == (2, options, more[1])
        assert (third.after, third.reply) == (40, retry)

    async def test_a_note_takes_the_place_of_the_one_before(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c", [user_message("m"), accepted("r", "m")], options={"a": 1})))
        for note in ({"one": [1]}, {"two": None}):
            await engine.commit(commit(Entry("conversation/c", (), [SaveNote("r", note)])))

        stored = await engine.reply("c", "r")

        assert stored.parameters == Parameters(options={"a": 1}, note={"two": None})

    async def test_conversations_with_live_replies_are_unfinished(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("b", [user_message("m"), accepted("r", "m"), accepted("s", "m")])))
        await engine.commit(commit(new_conversation("a", [user_message("m"), running(accepted("r", "m"))])))
        await engine.commit(commit(new_conversation("c", [user_message("m"), completed(accepted("r", "m"))])))

        assert sorted(await engine.unfinished()) == ["a", "b"]

    # Lists

    async def test_pages_of_conversations_hold_each_once_newest_activity_first(self, engine: Engine) -> None:
        ticks = {f"c{n}": n // 3 for n in range(10)}  # threes that share a time
        await engine.commit(commit(*(new_conversation(id, at=later(tick)) for id, tick in ticks.items())))
        whole, end = await engine.conversations("local", None, 100)

        for limit in (1, 2, 3, 5, 9, 10, 11):
            seen, before = [], None
            while True:
                page, before = await engine.conversations("local", before, limit)
                seen += page
                if before is None:
                    break
                assert len(page) == limit
            assert seen == whole, limit

        assert end is None
        assert sorted(c.id for c in whole) == sorted(ticks)
        assert [c.updated_at for c in whole] == sorted((c.updated_at for c in whole), reverse=True)

    async def test_a_page_stays_where_it_was_when_others_are_active(self, engine: Engine) -> None:
        await engine.commit(commit(*(new_conversation(f"c{n}", at=later(n)) for n in range(6))))
        first, before = await engine.conversations("local", None, 3)

        await engine.commit(commit(new_conversation("new", at=later(99))))
        await engine.commit(commit(Entry("conversation/c5", (), [Rename("Again", later(100))])))
        second, end = await engine.conversations("local", before, 3)

        assert [c.id for c in [*first, *second]] == ["c5", "c4", "c3", "c2", "c1", "c0"]
        assert end is None

    async def test_activity_moves_a_conversation_to_the_top(self, engine: Engine) -> None:
        await engine.commit(commit(*(new_conversation(f"c{n}", at=later(n)) for n in range(3))))

        message = user_message("m", at=later(50))
        await engine.commit(commit(add_messages("c0", [message], first=1)))

        listed, _ = await engine.conversations("local", None, 3)
        assert [c.id for c in listed] == ["c0", "c2", "c1"]
        assert listed[0].head == "m"
        assert listed[0] == (await engine.conversation("c0")).conversation

    async def test_a_principal_sees_none_but_its_own(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("a", principal="ann"), new_conversation("b", principal="bob")))

        assert [c.id for c in (await engine.conversations("ann", None, 10))[0]] == ["a"]
        assert await engine.conversations("an", None, 10) == ([], None)

    async def test_listed_conversations_name_what_runs(self, engine: Engine) -> None:
        messages = [user_message("m"), running(accepted("r", "m")), accepted("s", "m"), completed(accepted("t", "m"))]
        await engine.commit(commit(new_conversation("c", messages)))

        ((listed,), _) = await engine.conversations("local", None, 10)

        assert listed.running == ("r", "s")

    # Messages

    async def test_messages_are_read_by_id_and_unknown_ones_left_out(self, engine: Engine) -> None:
        one, two = user_message("1", text="a\0b"), completed(accepted("2", "1"))
        await engine.commit(commit(new_conversation("c", [one, two]), new_conversation("d", [user_message("3")])))

        found = await engine.messages("c", ["2", "x", "1", "3"])

        assert found == {"2": two, "1": one}
        assert list(found) == ["2", "1"]

    async def test_messages_end_before_the_one_that_exceeds_the_bytes(self, engine: Engine) -> None:
        messages = [user_message(str(n), text="x" * 1000) for n in range(5)]
        size = len(msgspec.json.encode(messages[0]))
        await engine.commit(commit(new_conversation("c", messages)))

        ids = [message.id for message in messages]

        assert list(await engine.messages("c", ids, 3 * size)) == ["0", "1", "2"]
        assert list(await engine.messages("c", ids, 3 * size - 1)) == ["0", "1"]
        assert list(await engine.messages("c", ids, size - 1)) == []
        assert list(await engine.messages("c", ids, None)) == ids

    async def test_pages_of_messages_hold_each_once_in_order_of_creation(self, engine: Engine) -> None:
        messages = [user_message(f"m{n}", text="x" * n * 100) for n in range(9)]
        await engine.commit(commit(new_conversation("c", messages)))

        for limit, max_bytes in [(1, PLENTY), (2, PLENTY), (9, PLENTY), (100, PLENTY), (100, 1500), (100, 1)]:
            seen, before = [], None
            while True:
                page, before = await engine.page("c", before, limit, max_bytes)
                assert 1 <= len(page) <= limit
                assert len(page) == 1 or sum(len(msgspec.json.encode(m)) for m in page) <= max_bytes
                seen = [*page, *seen]
                if before is None:
                    break
            assert seen == messages, (limit, max_bytes)

    async def test_the_first_page_of_messages_holds_the_newest(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c", [user_message(f"m{n}") for n in range(5)])))

        page, before = await engine.page("c", None, 2, PLENTY)

        assert [message.id for message in page] == ["m3", "m4"]
        assert before is not None

    async def test_a_conversation_without_messages_has_one_empty_page(self, engine: Engine) -> None:
        await engine.commit(commit(new_conversation("c")))

        assert await engine.page("c", None, 10, PLENTY) == ([], None)

    # Idempotent answers

    async def test_an_answer_is_kept_with_what_precedes_its_entry(self, store: Store) -> None:
        kept = KeepAnswer(b"\0scope\xff", b"request", b"answer", NOW)
        await store.engine.commit(commit(new_stream("s", 6)))
        await store.engine.commit(commit(Entry("s", records(7, 8), [kept])))

        await store.reopen()

        answer = await store.engine.answer(b"\0scope\xff", NOW)
        assert (answer.request, answer.answer, answer.after) == (b"request", b"answer", 6)

    async def test_an_answer_older_than_asked_for_is_none(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s", 1, b"s", KeepAnswer(b"scope", b"request", b"answer", NOW))))

        assert await engine.answer(b"scope", NOW) is not None
        assert await engine.answer(b"scope", NOW + timedelta(microseconds=1)) is None

    async def test_an_answer_stays_for_its_day_whatever_is_kept_later(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s", 1, b"s", KeepAnswer(b"old", b"request", b"answer", NOW))))

        last_moment = NOW + ANSWERS_KEPT
        await engine.commit(commit(Entry("s", (), [KeepAnswer(b"new", b"request", b"answer", last_moment)])))

        assert await engine.answer(b"old", last_moment - ANSWERS_KEPT) is not None

    async def test_a_key_whose_answer_is_too_old_can_be_used_again(self, engine: Engine) -> None:
        await engine.commit(commit(new_stream("s", 1, b"s", KeepAnswer(b"scope", b"request", b"answer", NOW))))
        again = NOW + 2 * ANSWERS_KEPT

        await engine.commit(commit(Entry("s", records(2, 2), [KeepAnswer(b"scope", b"other", b"new", again)])))

        answer = await engine.answer(b"scope", again - ANSWERS_KEPT)
        assert (answer.request, answer.answer, answer.after) == (b"other", b"new", 1)
