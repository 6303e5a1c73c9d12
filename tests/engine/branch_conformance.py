"""What every engine promises about branches: they are found by what they say."""

from __future__ import annotations

import msgspec

from app.branches import CLIENT, digests
from app.engine.base import DropConversation, Engine, Entry, SaveReply, StoredBranch
from responders.base import Role, Text, Turn
from tests.engine.store import Store
from tests.support.commits import accepted, add_messages, commit, completed, new_conversation, running, user_message


def turn(role: Role, text: str) -> Turn:
    return Turn(role, (Text(text),), text)


class BranchConformance:
    """Part of `EngineConformance`."""

    async def test_a_branch_is_found_by_what_it_says(self, store: Store) -> None:
        asked, reply = user_message("m", text="Why?"), completed(accepted("r", "m"), "Because.")
        told = [turn("user", "Why?"), turn("assistant", "Because."), turn("user", "And?")]
        await store.engine.commit(commit(new_conversation("c", [asked, reply])))
        for _ in range(2):
            assert await store.engine.branch("local", digests(told)) == StoredBranch("c", "r", 1)
            assert await store.engine.branch("local", digests(told[:1])) is None, "nothing here has answered it"
            assert await store.engine.branch("local", digests(told[:1]), "c") == StoredBranch("c", "m", 0)
            assert await store.engine.branch("local", digests(told[1:])) is None
            assert await store.engine.branch("other", digests(told)) is None
            assert await store.engine.branch("local", []) is None
            await store.reopen()

    async def test_a_reply_ends_its_branch_only_once_it_has_ended(self, engine: Engine) -> None:
        told = digests([turn("user", "Hello"), turn("assistant", "Hi!")])
        reply = accepted("r", "m")
        await engine.commit(commit(new_conversation("c", [user_message("m"), reply])))
        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(running(reply))])))
        assert await engine.branch("local", told, "c") == StoredBranch("c", "m", 0)

        await engine.commit(commit(Entry("conversation/c", (), [SaveReply(completed(reply))])))
        assert await engine.branch("local", told) == StoredBranch("c", "r", 1)
        await engine.commit(commit(add_messages("c", [user_message("n", "r", "More")], first=3)))
        assert await engine.branch("local", told) == StoredBranch("c", "r", 1)

    async def test_of_equal_branches_the_newest_is_found_or_the_one_in_the_conversation_named(
        self, engine: Engine
    ) -> None:
        told = digests([turn("user", "Hello"), turn("assistant", "Hi!")])
        for id in "ab":
            await engine.commit(commit(new_conversation(id, [user_message("m"), completed(accepted("r", "m"))])))
        await engine.commit(commit(add_messages("b", [completed(accepted("s", "m"))], first=3)))

        assert await engine.branch("local", told) == StoredBranch("b", "s", 1)
        assert await engine.branch("local", told, "a") == StoredBranch("a", "r", 1)
        assert await engine.branch("local", told, "c") is None

    async def test_an_answer_that_a_client_has_sent_answers_nothing_but_may_be_followed_by_one(
        self, engine: Engine
    ) -> None:
        sent = msgspec.structs.replace(completed(accepted("r", "m")), responder=CLIENT)
        more = [user_message("n", "r", "More"), completed(accepted("s", "n"), "Yes.")]
        told = [turn("user", "Hello"), turn("assistant", "Hi!"), turn("user", "More"), turn("assistant", "Yes.")]
        await engine.commit(commit(new_conversation("c", [user_message("m"), sent, more[0]])))
        assert await engine.branch("local", digests(told)) is None
        assert await engine.branch("local", digests(told), "c") == StoredBranch("c", "n", 2)

        await engine.commit(commit(add_messages("c", [more[1], user_message("o", "s", "And?")], first=4)))
        assert await engine.branch("local", digests(told)) == StoredBranch("c", "s", 3)
        assert await engine.branch("local", digests([*told, turn("user", "And?")])) == StoredBranch("c", "o", 4)

    async def test_a_transient_conversation_is_in_no_list_and_is_unfinished(self, engine: Engine) -> None:
        asked = [user_message("m"), completed(accepted("r", "m"))]
        await engine.commit(commit(new_conversation("c", asked, transient=True)))

        assert await engine.conversations("local", None, 10) == ([], None)
        assert await engine.branch("local", digests([turn("user", "Hello")])) is None
        assert [change.principal or change.text for change in await engine.changes(0, 10, 10**6)] == [None] * 3
        assert await engine.unfinished() == ["c"]
        assert (await engine.conversation("c")).transient

    async def test_the_newest_conversation_of_an_alias_is_found(self, engine: Engine) -> None:
        for id, principal, alias in [
            ("a", "local", "x"),
            ("b", "local", "x"),
            ("c", "other", "x"),
            ("d", "local", "y"),
        ]:
            await engine.commit(commit(new_conversation(id, principal=principal, alias=alias)))
        await engine.commit(commit(new_conversation("e")))

        assert [await engine.aliased("local", alias) for alias in ("x", "y", "e", "")] == ["b", "d", None, None]
        await engine.commit(commit(Entry("conversation/b", (), [DropConversation()])))
        assert await engine.aliased("local", "x") == "a"
