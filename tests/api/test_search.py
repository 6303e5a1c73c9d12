"""`GET /conversations?q=`: what is found, what is shown of it, and what hostile searches are answered."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from app.search import MAX_QUERY_CHARACTERS
from tests.api.answers import check_problem
from tests.api.watched import HALTING, QUICK, WatchedServer, path_of

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def search(server: WatchedServer, q: str, **more: Any) -> dict[str, Any]:
    """Return the page of a search, once the index is as far as the store: a slow disk may keep it behind."""
    while (answer := await server.get("/conversations", params={"q": q, **more})).status_code == 503:
        pass
    assert answer.status_code == 200, answer.text
    return answer.json()


async def found(server: WatchedServer, q: str) -> list[str]:
    """Return the ids of the conversations that are found."""
    return [hit["id"] for hit in (await search(server, q))["conversations"]]


def id_of(asked: dict[str, Any]) -> str:
    return asked["conversation"]["id"]


def marked(hit: dict[str, Any]) -> list[str]:
    """Return what a hit's ranges hold, cut as a browser would cut it."""
    units = hit["match"]["text"].encode("utf-16-le")
    return [units[2 * a : 2 * b].decode("utf-16-le") for a, b in hit["match"]["ranges"]]


# What is found


async def test_a_prompt_is_found_as_soon_as_it_is_accepted(server: WatchedServer) -> None:
    asked = await server.ask("Where do narwhals winter, and why?", **HALTING)

    (hit,) = (await search(server, "WHERE narwhals wint"))["conversations"]

    match = hit.pop("match")
    assert hit == (await server.get(path_of(asked))).json()["conversation"]
    assert match == {
        "message_id": asked["message"]["id"],
        "text": "Where do narwhals winter, and why?",
        "ranges": [[0, 5], [9, 17], [18, 22]],
    }
    await server.stop_reply(asked)


async def test_a_reply_is_found_when_it_has_ended_however_it_ended(server: WatchedServer) -> None:
    asked = await server.ask("Say something", **HALTING | {"options": HALTING["options"] | {"seed": 5}})
    async with await server.listen(asked["events"], asked["cursor"]) as stream:
        word = (await stream.until("reply.delta")).json["text"].split()[0]
    assert asked["reply"]["id"] not in [
        hit["match"]["message_id"] for hit in (await search(server, word, limit=100))["conversations"]
    ]

    await server.stop_reply(asked)

    assert asked["reply"]["id"] in [
        hit["match"]["message_id"] for hit in (await search(server, word, limit=100))["conversations"]
    ]


@pytest.mark.parametrize(
    ("prompt", "q", "places"),
    [
        ("昨日、上野動物園でパンダを見た", "動物園", ["動物園"]),
        ("昨日、上野動物園でパンダを見た", "パン", ["パン"]),
        ("我想学习量子计算机的原理", "量子计算", ["量子计算"]),
        ("서울에서 비빔밥을 먹었다", "비빔밥", ["비빔밥"]),
        ("Der Bär fraß Hörnchen", "BAR hornch", ["Bär", "Hörnch"]),
        ("A Zoe\u0301 in decomposed form", "zoé decomp", ["Zoe\u0301", "decomp"]),
        ("😀😀 gibbon 👨\u200d👩\u200d👧 gibbons", "gibbon", ["gibbon", "gibbon"]),
        ("A kraken 🐙 emerges", "🐙", ["🐙"]),
        ("We write C++20 and don't_stop", "c++ don't", ["C++", "don't"]),
    ],
)
async def test_words_of_any_script_are_found_and_shown_where_they_are(
    server: WatchedServer, prompt: str, q: str, places: list[str]
) -> None:
    asked = await server.ask(prompt, **HALTING)

    hits = [hit for hit in (await search(server, q))["conversations"] if hit["id"] == id_of(asked)]

    assert [hit["match"]["text"] for hit in hits] == [prompt]
    assert marked(hits[0]) == places
    await server.stop_reply(asked)


async def test_a_title_is_found_and_an_old_one_is_not(server: WatchedServer) -> None:
    asked = await server.ask("Anything", title="Axolotl care", **QUICK)
    (hit,) = (await search(server, "axolotl"))["conversations"]
    assert hit["match"] == {"message_id": None, "text": "Axolotl care", "ranges": [[0, 7]]}

    await server.client.patch(server.url + path_of(asked), json={"title": "Salamander care"})

    assert await found(server, "axolotl") == []
    assert await found(server, "salamander") == [id_of(asked)]


async def test_a_deleted_conversation_is_not_found(server: WatchedServer) -> None:
    asked = await server.ask("Thylacine", **QUICK)
    await server.ended(asked)
    assert await found(server, "thylacine") == [id_of(asked)]

    assert (await server.client.delete(server.url + path_of(asked))).status_code == 204

    assert await found(server, "thylacine") == []


async def test_pages_hold_every_hit_once_newest_activity_first(server: WatchedServer) -> None:
    asked = [await server.ask(f"Pangolin {n}", **QUICK) for n in range(7)]
    for one in asked:
        await server.ended(one)
    again = await server.ask("One more", path_of(asked[2]) + "/messages", **QUICK)
    await server.ended(again)

    pages, place = [], ""
    while place is not None:
        page = await search(server, "pangolin", limit=3, before=place)
        pages.append([hit["id"] for hit in page["conversations"]])
        place = page["next"]

    assert [len(page) for page in pages] == [3, 3, 1]
    newest = [asked[2], *reversed([one for one in asked if one is not asked[2]])]
    assert [id for page in pages for id in page] == [id_of(one) for one in newest]


async def test_a_long_message_is_shown_in_a_short_piece(server: WatchedServer) -> None:
    asked = await server.ask("filler " * 20_000 + "okapi" + " filler" * 15_000, **HALTING)

    (hit,) = (await search(server, "okapi filler"))["conversations"]

    assert hit["id"] == id_of(asked)
    assert len(hit["match"]["text"]) <= 200
    assert "okapi" in marked(hit)
    await server.stop_reply(asked)


async def test_a_search_without_words_finds_nothing_and_without_text_lists(server: WatchedServer) -> None:
    await server.ended(await server.ask("Anything", **QUICK))  # its end would be a change under the next test

    assert await search(server, " !? ") == {"conversations": [], "next": None}
    listed = await search(server, "")
    assert listed["conversations"]
    assert "match" not in listed["conversations"][0]


# Hostile searches


@pytest.mark.parametrize(
    "q",
    [
        '"', '""" OR 1', "*", "a*b*", 'NEAR("a" "b", 10)', "AND OR NOT", "-quetzal", "^quetzal", "text:quetzal",
        "{text} : quetzal", "((((", "))))", "'; DROP TABLE texts; --", "\\", "%", "\0", "quetzal\0", "\ufffd", "\u202e",
        "e" + "\u0301" * 499, "\u0f71\u0f72" * 250, "東" * 500, "a " * 250,
        " ".join(chr(0x4E00 + n) for n in range(250)),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("untouched")
async def test_whatever_is_searched_for_is_text(server: WatchedServer, q: str) -> None:
    page = await search(server, q, limit=1)

    assert page.keys() == {"conversations", "next"}
    if "quetzal" in q or "DROP" in q:
        assert page == {"conversations": [], "next": None}


@pytest.mark.parametrize("raw", ["%ED%A0%80", "%FF%FE", "%C0%80", "%00", "%zz%", "%"])
@pytest.mark.usefixtures("untouched")
async def test_bytes_that_are_no_text_hold_no_word_of_ours(server: WatchedServer, raw: str) -> None:
    answer = await server.get(f"/conversations?q=quetzal{raw}")

    assert (answer.status_code, answer.json()) == (200, {"conversations": [], "next": None})


@pytest.mark.parametrize(
    ("query", "path"),
    [
        (f"q={'x' * (MAX_QUERY_CHARACTERS + 1)}", "q"),
        (f"q={'x' * 10_000}", "q"),
        (f"q={quote('é ' * 300)}", "q"),
        ("q=" + "+".join(f"w{n}" for n in range(1000)), "q"),
        ("q=a&q=b", "q"),
        ("q=a&q=", "q"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=101", "limit"),
        ("q=a&before=x", "before"),
        ("q=a&before=" + "A" * 10_000, "before"),
    ],
)
@pytest.mark.usefixtures("untouched")
async def test_a_wrong_search_names_what_is_wrong(server: WatchedServer, query: str, path: str) -> None:
    answer = await server.get(f"/conversations?{query}")

    check_problem(answer, 422, path=path)


@pytest.mark.usefixtures("untouched")
async def test_a_crowd_of_searches_is_answered_or_told_to_wait(server: WatchedServer) -> None:
    answers = await asyncio.gather(*(server.get("/conversations?q=a") for _ in range(60)))

    assert {200} <= {answer.status_code for answer in answers} <= {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            check_problem(answer, 429)
            assert answer.headers["retry-after"]
    assert (await server.get("/conversations?q=a")).status_code == 200
