"""Bodies that are not JSON, not the right JSON, or not sent as JSON: each has one exact answer."""

from __future__ import annotations

import gzip
import json

import pytest
import pytest_asyncio

from tests.api.answers import check_problem
from tests.api.bodies import CALLS, TEXT_CALLS, Call, place, send_to_all, taking, valid, with_text
from tests.api.watched import QUICK, WatchedServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.usefixtures("untouched"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def asked(server: WatchedServer) -> dict:
    """An idle conversation for the bad requests to aim at."""
    asked = await server.ask("Aim at this", **QUICK)
    await server.ended(asked)
    return asked


NOT_JSON = {
    "empty": (b"", "The body is not JSON: "),
    "white space": (b" \n", "The body is not JSON: "),
    "nul": (b"\x00", "The body is not JSON: "),
    "a word": (b"quetzal", "The body is not JSON: "),
    "a form": (b"prompt=quetzal&message=quetzal", "The body is not JSON: "),
    "cut off": (b'{"prompt": "quetz', "The body is not JSON: "),
    "two values": (b"{}{}", "The body is not JSON: "),
    "trailing comma": (b'{"prompt": "quetzal",}', "The body is not JSON: "),
    "comment": (b'{"prompt": "quetzal" /* x */}', "The body is not JSON: "),
    "line comment": (b'// x\n{"prompt": "quetzal"}', "The body is not JSON: "),
    "single quotes": (b"{'prompt': 'quetzal'}", "The body is not JSON: "),
    "raw newline": (b'{"prompt": "quet\nzal"}', "The body is not JSON: "),
    "raw NUL": (b'{"prompt": "quet\x00zal"}', "The body is not JSON: "),
    "NaN": (b'{"prompt": NaN}', "The body is not JSON: NaN is no JSON value."),
    "Infinity": (b'{"prompt": Infinity}', "The body is not JSON: Infinity is no JSON value."),
    "-Infinity": (b'{"prompt": -Infinity}', "The body is not JSON: -Infinity is no JSON value."),
    "leading zero": (b'{"prompt": 01}', "The body is not JSON: "),
    "plus": (b'{"prompt": +1}', "The body is not JSON: "),
    "hex": (b'{"prompt": 0x10}', "The body is not JSON: "),
    "bad escape": (b'{"prompt": "\\x41"}', "The body is not JSON: "),
    "short escape": (b'{"prompt": "\\u12"}', "The body is not JSON: "),
    "BOM": (b'\xef\xbb\xbf{"prompt": "quetzal"}', "The body is not JSON: it begins with a byte order mark."),
    "UTF-16": ('{"prompt": "quetzal"}'.encode("utf-16"), "The body is not UTF-8: byte 0 is wrong."),
    "UTF-16 without BOM": ('{"prompt": "quetzal"}'.encode("utf-16-le"), "The body is not JSON: "),
    "UTF-32": ('{"prompt": "quetzal"}'.encode("utf-32"), "The body is not UTF-8: byte 0 is wrong."),
    "Latin-1": ('{"prompt": "é"}'.encode("latin-1"), "The body is not UTF-8: byte 12 is wrong."),
    "overlong": (b'{"prompt": "\xc0\xaf"}', "The body is not UTF-8: byte 12 is wrong."),
    "surrogate in UTF-8": (b'{"prompt": "\xed\xa0\x80"}', "The body is not UTF-8: byte 12 is wrong."),
    "cut in a character": (b'{"prompt": "\xf0\x9f\xa7', "The body is not UTF-8: byte 12 is wrong."),
    "beyond Unicode": (b'{"prompt": "\xf4\x90\x80\x80"}', "The body is not UTF-8: byte 12 is wrong."),
    "nested arrays": (b"[" * 100_000, "The body is nested too deeply."),
    "nested objects": (b'{"a":' * 100_000, "The body is nested too deeply."),
    "closed nested arrays": (b"[" * 100_000 + b"]" * 100_000, "The body is nested too deeply."),
    "nested options": (b'{"options": {"a": ' + b"[" * 50_000, "The body is nested too deeply."),
}


@pytest.mark.parametrize("name", NOT_JSON)
async def test_what_is_not_json_is_400(server: WatchedServer, asked: dict, name: str):
    body, detail = NOT_JSON[name]
    calls = {name: call for name, call in taking(len(body)).items() if body or not call.optional}

    answers = await send_to_all(server, asked, body, calls=calls)

    for answer in answers:
        check_problem(answer, 400, detail if detail.endswith(".") else None)
        assert answer.json()["detail"].startswith(detail)


LONE = {
    "high": rb"quet\ud800zal",
    "low": rb"quet\udfffzal",
    "swapped": rb"\udc00\ud800",
    "high at the end": rb"quetzal\uD83E",
    "high twice": rb"\ud83e\ud83e\uddea",
}


@pytest.mark.parametrize("name", LONE)
async def test_a_lone_surrogate_is_400(server: WatchedServer, asked: dict, name: str):
    in_value = await send_to_all(server, asked, lambda call: with_text(call, LONE[name]))
    in_key = await send_to_all(server, asked, b'{"%b": 1}' % LONE[name])
    deep = await send_to_all(server, asked, b'{"options": [{"a": ["%b"]}]}' % LONE[name])

    for answer in [*in_value, *in_key, *deep]:
        check_problem(answer, 400, "The body holds half a character: a lone surrogate.")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"null", "null"), (b"[]", "array"), (b'"quetzal"', "str"), (b"1", "int"), (b"1.5", "float"), (b"true", "bool")],
)
async def test_another_value_than_an_object_is_422(server: WatchedServer, asked: dict, body: bytes, kind: str):
    answers = await send_to_all(server, asked, body)

    for answer in answers:
        check_problem(answer, 422, f"Expected `object`, got `{kind}`.")


@pytest.mark.parametrize("key", ["__proto__", "constructor", "Prompt", "id", "", "a.b", "ключ", "\0", "x` - at `$.y"])
async def test_an_unknown_field_is_422_and_named(server: WatchedServer, asked: dict, key: str):
    answers = await send_to_all(server, asked, lambda call: json.dumps(json.loads(valid(call)) | {key: {}}).encode())

    for answer in answers:
        check_problem(answer, 422, "There is no such field here.", path=key or None)


async def test_a_long_unknown_field_is_not_sent_back_whole(server: WatchedServer, asked: dict):
    body = b'"%b": 1}' % (b"x" * 100_000)

    answers = await send_to_all(
        server,
        asked,
        lambda call: b"%b, %b" % (valid(call)[:-1], body) if call.text else b"{" + body,
        calls=taking(len(body) + 100),
    )

    for answer in answers:
        check_problem(answer, 422, "There is no such field here.", path="x" * 100)


async def test_a_missing_field_is_422_and_named(server: WatchedServer, asked: dict):
    answers = await send_to_all(server, asked, b"{}", calls=TEXT_CALLS)

    for call, answer in zip(TEXT_CALLS.values(), answers, strict=True):
        check_problem(answer, 422, "The field is missing.", path=call.text)


@pytest.mark.parametrize("spelling", [b"%b", b"\\u%04x%b"], ids=["plain", "escaped"])
async def test_a_field_given_twice_is_422_and_named(server: WatchedServer, asked: dict, spelling: bytes):
    def twice(call: Call) -> bytes:
        name = (call.text or "responder").encode()
        again = spelling % name if spelling == b"%b" else spelling % (name[0], name[1:])
        return b'{"%b": "a", "%b": "a"}' % (name, again)

    answers = await send_to_all(server, asked, twice)

    for call, answer in zip(CALLS.values(), answers, strict=True):
        check_problem(answer, 422, "The field is given more than once.", path=call.text or "responder")


@pytest.mark.parametrize(
    ("value", "kind"), [(b"null", "null"), (b"1", "int"), (b"[]", "array"), (b"{}", "object"), (b"true", "bool")]
)
async def test_a_text_of_another_type_is_422_and_named(server: WatchedServer, asked: dict, value: bytes, kind: str):
    answers = await send_to_all(
        server, asked, lambda call: b'{"%b": %b}' % ((call.text or "").encode(), value), calls=TEXT_CALLS
    )

    for call, answer in zip(TEXT_CALLS.values(), answers, strict=True):
        check_problem(answer, 422, f"Expected `str`, got `{kind}`.", path=call.text)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ('"responder": 1', "responder"),
        ('"responder": []', "responder"),
        ('"responder": "nobody"', "responder"),
        ('"responder": ""', "responder"),
        ('"responder": "../../etc/passwd"', "responder"),
        ('"responder": "os:system"', "responder"),
        ('"responder": "echo", "options": 1', "options"),
        ('"responder": "echo", "options": []', "options"),
        ('"responder": "echo", "options": "tokens"', "options"),
        ('"responder": "echo", "options": {"nothing": 1}', "options.nothing"),
        ('"responder": "echo", "options": {"__proto__": 1}', "options.__proto__"),
        ('"responder": "echo", "options": {"tokens_per_second": "fast"}', "options.tokens_per_second"),
        ('"responder": "echo", "options": {"tokens_per_second": -1}', "options.tokens_per_second"),
        ('"responder": "echo", "options": {"tokens_per_second": 1e308}', "options.tokens_per_second"),
        ('"responder": "echo", "options": {"tokens_per_second": {"a": 1}}', "options.tokens_per_second"),
        ('"responder": "echo", "options": {"tokens_per_second": ' + "9" * 400 + "}", "options.tokens_per_second"),
    ],
    ids=lambda value: value[:60],
)
async def test_a_bad_responder_or_option_is_422_and_named(server: WatchedServer, asked: dict, fields: str, path: str):
    calls = {name: CALLS[name] for name in ("create", "ask", "retry")}

    answers = await send_to_all(
        server,
        asked,
        lambda call: ("{" + fields + (', "prompt": "a quetzal"' if call.text else "") + "}").encode(),
        calls=calls,
    )

    for answer in answers:
        check_problem(answer, 422, path=path)


@pytest.mark.parametrize(
    "number",
    ["1e400", "-1e400", "1" + "0" * 400 + ".5", "9" * 5000, "-" + "9" * 100_000],
    ids=["1e400", "-1e400", "401 digits", "5000 digits", "100,000 digits"],
)
async def test_a_number_that_is_too_large_is_422(server: WatchedServer, asked: dict, number: str):
    body = f'{{"options": {number}}}'.encode()

    answers = await send_to_all(server, asked, body, calls=taking(len(body)))

    for answer in answers:
        check_problem(answer, 422, f"The number {number[:40]} is too large.")


@pytest.mark.parametrize("field", ["system", "title"])
@pytest.mark.parametrize("value", [1, [], {}, True])
async def test_another_text_of_a_conversation_has_its_type_as_well(server: WatchedServer, field: str, value: object):
    answer = await server.post("/conversations", {"prompt": "a quetzal", field: value})

    check_problem(answer, 422, path=field)


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/problem+json",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/octet-stream",
        "json",
        "",
    ],
)
async def test_another_media_type_than_json_in_utf_8_is_415(server: WatchedServer, asked: dict, media_type: str):
    answers = await send_to_all(server, asked, valid, **{"Content-Type": media_type})

    for answer in answers:
        check_problem(answer, 415, "The body must be application/json in UTF-8.")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity", "x" * 1000])
async def test_an_encoded_body_is_415(server: WatchedServer, asked: dict, encoding: str):
    answers = await send_to_all(
        server, asked, lambda call: gzip.compress(valid(call)), **{"Content-Encoding": encoding}
    )

    for answer in answers:
        check_problem(answer, 415, f"A body is sent as it is, without Content-Encoding: {encoding[:40]!r} is not read.")


async def test_a_body_a_byte_over_the_limit_of_its_call_is_413(server: WatchedServer, asked: dict):
    too_long = await send_to_all(server, asked, lambda call: b"{" + b" " * call.limit)
    at_the_limit = await send_to_all(server, asked, lambda call: b"{" + b" " * (call.limit - 1))

    for answer in too_long:
        check_problem(answer, 413, "The body is too large.")
    for answer in at_the_limit:
        check_problem(answer, 400)


async def test_a_chunked_body_over_the_cap_is_413(server: WatchedServer):
    async def endless():
        for _ in range(100):
            yield b'{"prompt": "' + b"x" * 65_536

    answer = await server.client.post(
        server.url + "/conversations", content=endless(), headers={"Content-Type": "application/json"}
    )

    check_problem(answer, 413, "The body is too large.")


@pytest.mark.parametrize("name", ["create", "ask", "say"])
async def test_a_text_a_byte_over_its_limit_is_413(server: WatchedServer, asked: dict, name: str):
    call = CALLS[name]
    limits = (await server.get("/limits")).json()
    limit = limits["max_broadcast_bytes" if name == "say" else "max_prompt_bytes"]
    body = with_text(call, b"\\u0078" * (limit + 1))

    answer = await server.send(place(call, asked), body)

    detail = "A broadcast message has at most {} bytes." if name == "say" else "The prompt is longer than {} bytes."
    check_problem(answer, 413, detail.format(limit))


async def test_a_key_that_comes_twice_among_very_many_is_found_at_once(server: WatchedServer):
    keys = ",".join(f'"{number:x}":1' for number in range(100_000))

    answer = await server.send("/conversations", f'{{{keys},"1869f":1}}'.encode())

    check_problem(answer, 422, "The field is given more than once.", path="1869f")
