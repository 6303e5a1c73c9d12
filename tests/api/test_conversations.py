"""Conversations over HTTP: create, read, list, rename, delete."""

from __future__ import annotations

import httpx
import pytest

from tests.api.answers import check_problem
from tests.api.watched import QUICK, SILENT, WatchedServer, path_of, reply_path, text_of

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

CONVERSATION = {"id", "title", "head", "running", "created_at", "updated_at"}
MESSAGE = {"id", "role", "parent", "parts", "text", "status", "created_at"}
REPLY = MESSAGE | {"responder", "started_at", "first_token_at", "ended_at", "finish_reason", "usage", "error"}


async def test_a_prompt_creates_a_conversation(server: WatchedServer):
    answer = await server.post("/conversations", {"prompt": "Why is the sea salt?", **QUICK})

    assert answer.status_code == 201
    asked = answer.json()
    conversation, message, reply = asked["conversation"], asked["message"], asked["reply"]
    assert answer.headers["location"] == path_of(asked)
    assert answer.headers["content-type"] == "application/json"
    assert set(asked) == {"conversation", "message", "reply", "cursor", "events"}
    assert set(conversation) == CONVERSATION
    assert (conversation["title"], conversation["head"]) == ("Why is the sea salt?", reply["id"])
    assert conversation["running"] == [reply["id"]]
    assert message == {
        "id": message["id"],
        "role": "user",
        "parent": None,
        "parts": [{"type": "text", "text": "Why is the sea salt?"}],
        "text": "Why is the sea salt?",
        "status": "completed",
        "created_at": conversation["created_at"],
    }
    assert set(reply) == REPLY
    assert (reply["role"], reply["parent"], reply["responder"]) == ("assistant", message["id"], "echo")
    assert (reply["status"], reply["parts"], reply["text"], reply["usage"]) == ("accepted", [], "", None)
    assert asked["events"] == path_of(asked) + "/events"


async def test_ids_and_times_have_the_promised_form(server: WatchedServer):
    asked = await server.ask("Is this an id?", **QUICK)

    reply = await server.ended(asked)

    ids = [asked["conversation"]["id"], asked["message"]["id"], asked["reply"]["id"]]
    assert len(set(ids)) == 3
    for id in ids:
        assert httpx.URL(f"http://h/{id}").path == f"/{id}"
        assert len(id) >= 26
        assert id.isascii()
    times = [reply[name] for name in ("created_at", "started_at", "first_token_at", "ended_at")]
    assert times == sorted(times)
    assert all(time.endswith("Z") and "T" in time for time in times)


async def test_subscribing_after_the_answer_misses_nothing(server: WatchedServer):
    asked = await server.ask("One two three", **QUICK)

    async with await server.listen(asked["events"] + "?until=idle", asked["cursor"]) as stream:
        await stream.rest()

    events = [frame.json for frame in stream.events()]
    assert stream.frames[0].json["resumed"] is True
    assert [frame.seq for frame in stream.events()] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events] == [
        "message.created",
        "reply.created",
        "reply.started",
        *["reply.delta"] * 3,
        "reply.ended",
    ]
    assert events[0]["message"] == asked["message"]
    assert events[1]["reply"] == asked["reply"]
    assert text_of(events) == events[-1]["text"] == "One two three"


async def test_a_system_text_is_the_root_of_the_conversation(server: WatchedServer):
    asked = await server.ask("Who are you?", system="You are a lighthouse.", **QUICK)
    await server.ended(asked)

    log = await server.log_of(asked)

    assert [event["message"]["role"] for event in log[:2]] == ["system", "user"]
    assert log[0]["message"]["text"] == "You are a lighthouse."
    assert log[0]["message"]["parent"] is None
    assert log[1]["message"] == asked["message"]
    assert asked["message"]["parent"] == log[0]["message"]["id"]
    assert asked["cursor"].endswith("-000000000000")


async def test_a_given_title_is_an_event_after_the_reply_was_created(server: WatchedServer):
    asked = await server.ask("A question about whales", title="Whales", **QUICK)
    await server.ended(asked)

    log = await server.log_of(asked)

    assert asked["conversation"]["title"] == "Whales"
    assert [event["type"] for event in log[:4]] == [
        "message.created",
        "reply.created",
        "conversation.updated",
        "reply.started",
    ]
    assert log[2]["conversation"] == asked["conversation"]


async def test_a_long_prompt_gives_a_title_of_its_first_words(server: WatchedServer):
    asked = await server.ask("  several\n\nwords and " + "more of them " * 50, **QUICK)

    title = asked["conversation"]["title"]
    assert title.startswith("several words and more of them")
    assert len(title) <= 60


async def test_an_ended_conversation_reads_as_its_snapshot(server: WatchedServer):
    asked = await server.ask("Tell me", **QUICK)
    reply = await server.ended(asked)

    answer = await server.get(path_of(asked))

    async with await server.listen(asked["events"]) as stream:
        snapshot = (await stream.until("snapshot")).json
    assert answer.json() == {key: snapshot[key] for key in ("conversation", "messages", "cursor")}
    assert answer.json()["messages"] == [asked["message"], reply]
    assert answer.json()["conversation"]["running"] == []
    assert answer.json()["conversation"]["updated_at"] == reply["ended_at"]


async def test_the_list_is_ordered_by_activity(server: WatchedServer):
    first = await server.ask("The first", **QUICK)
    second = await server.ask("The second", **QUICK)
    await server.ended(first)
    await server.ended(second)

    again = await server.ask("The first again", path_of(first) + "/messages", **QUICK)
    await server.ended(again)

    page = (await server.get("/conversations?limit=2")).json()
    assert [c["id"] for c in page["conversations"]] == [first["conversation"]["id"], second["conversation"]["id"]]
    assert page["conversations"][0] == (await server.get(path_of(first))).json()["conversation"]


async def test_pages_hold_every_conversation_once(server: WatchedServer):
    for number in range(7):
        await server.ended(await server.ask(f"Number {number}", **QUICK))
    everything = await server.state()  # by the hundred: others have left theirs here, too

    paged, place, sizes = [], "", []
    while place is not None:
        page = (await server.get(f"/conversations?limit=3&before={place}")).json()
        paged += page["conversations"]
        sizes.append(len(page["conversations"]))
        place = page["next"]

    assert paged == everything
    assert set(sizes[:-1]) == {3}
    assert 1 <= sizes[-1] <= 3


async def test_a_new_title_is_told_to_subscribers(server: WatchedServer):
    asked = await server.ask("Rename me", **QUICK)
    await server.ended(asked)
    async with await server.listen(asked["events"]) as stream:
        await stream.until("snapshot")

        answer = await server.client.patch(server.url + path_of(asked), json={"title": "Renamed"})

        event = await stream.next()
        assert answer.status_code == 200
        assert answer.json()["conversation"]["title"] == "Renamed"
        assert (event.event, event.json["conversation"]) == ("conversation.updated", answer.json()["conversation"])
        assert (await server.get(path_of(asked))).json()["conversation"] == answer.json()["conversation"]


async def test_the_same_title_again_is_no_event(server: WatchedServer):
    asked = await server.ask("Rename me twice", title="Steady", **QUICK)
    await server.ended(asked)
    before = (await server.get(path_of(asked))).json()

    answer = await server.client.patch(server.url + path_of(asked), json={"title": "Steady"})

    assert answer.status_code == 200
    assert (await server.get(path_of(asked))).json() == before


@pytest.mark.parametrize("title", ["x", "x" * 500, "鯨" * 500])
async def test_a_title_may_have_500_characters(server: WatchedServer, title: str):
    asked = await server.ask("Any title", title=title, **QUICK)

    assert asked["conversation"]["title"] == title


@pytest.mark.parametrize("title", ["", " \n\t", "x" * 501], ids=["empty", "blank", "501"])
async def test_a_bad_title_is_refused_and_changes_nothing(server: WatchedServer, title: str):
    asked = await server.ask("Keep my title", title="Kept", **QUICK)

    renamed = await server.client.patch(server.url + path_of(asked), json={"title": title})
    created = await server.post("/conversations", {"prompt": "Another one", "title": title})

    detail = "A title has 1 to 500 characters, not all of them white space."
    check_problem(renamed, 422, detail, path="title")
    check_problem(created, 422, detail, path="title")
    assert (await server.get(path_of(asked))).json()["conversation"]["title"] == "Kept"


async def test_deleting_stops_what_runs_and_ends_the_streams(server: WatchedServer):
    asked = await server.ask("Never mind", **SILENT)
    queued = await server.ask("And this?", path_of(asked) + "/messages", if_running="queue", **SILENT)
    async with await server.listen(asked["events"]) as stream:
        await stream.until("snapshot")

        answer = await server.client.delete(server.url + path_of(asked))

        frames = [frame for frame in await stream.rest() if frame.event != "reply.started"]
    assert (answer.status_code, answer.content) == (204, b"")
    assert [frame.event for frame in frames] == ["reply.ended", "reply.ended", "conversation.deleted", "bye"]
    assert {frame.json["reply_id"] for frame in frames[:2]} == {asked["reply"]["id"], queued["reply"]["id"]}
    assert {frame.json["status"] for frame in frames[:2]} == {"cancelled"}
    assert frames[2].json == {"type": "conversation.deleted"}
    assert frames[3].json["reason"] == "deleted"
    assert frames[3].id == ""


async def test_a_deleted_conversation_is_as_unknown_as_any_other(server: WatchedServer):
    asked = await server.ask("Forget this", **QUICK)
    await server.ended(asked)
    await server.client.delete(server.url + path_of(asked))

    answers = [
        await server.get(path_of(asked)),
        await server.get(reply_path(asked)),
        await server.get(path_of(asked) + "/events"),
        await server.client.delete(server.url + path_of(asked)),
    ]

    for answer in answers:
        check_problem(answer, 404, "There is no such conversation.")
    assert asked["conversation"]["id"] not in await server.conversations()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/conversations", {"GET", "POST", "OPTIONS"}),
        ("POST", "/conversations/x", {"GET", "PATCH", "DELETE", "OPTIONS"}),
        ("GET", "/send-message", {"POST", "OPTIONS"}),
        ("POST", "/events", {"GET", "OPTIONS"}),
    ],
)
async def test_another_method_is_405_and_names_those_that_work(server, method: str, path: str, allowed: set[str]):
    answer = await server.client.request(method, server.url + path)

    check_problem(answer, 405, "This path does not take that method.")
    assert set(answer.headers["allow"].split(", ")) == allowed
