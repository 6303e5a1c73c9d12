"""Who may call: the check of Host and Origin on every path, and the headers for pages of listed origins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.api.origins import allowed_hosts
from app.settings import Settings
from tests.api.answers import check_problem
from tests.api.bystanders import Control
from tests.api.raw import Raw
from tests.api.watched import QUICK, WatchedServer, reply_path

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

OTHER_HOST = "The Host header names another server than this one."
FOREIGN = "Pages of this origin may not call this server."
FROM_ELSEWHERE = "Pages of other sites may not load this."
LISTED = "https://app.example"

PATHS = ["/", "/health/live", "/conversations", "/events", "/schema", "/nothing"]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def named(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WatchedServer]:
    """A server that goes by more names, and that pages of another origin may use."""
    settings = {"allowed_hosts": "Tape.Example, [fd00::1]", "allowed_origins": f"http://localhost:5173, {LISTED}"}
    async with WatchedServer(tmp_path_factory.mktemp("named"), **settings) as server:
        yield server
        await server.kill()
    server.check_log()


@pytest_asyncio.fixture(loop_scope="package")
async def beside(named: WatchedServer) -> AsyncIterator[None]:
    """A control stream, which does not notice what is refused beside it."""
    control = await Control.begin(named)
    while (await named.get(reply_path(control.asked))).json()["reply"]["status"] != "running":
        pass
    before = await named.state()
    yield
    assert await named.state() == before
    await control.flows()
    await control.end()


async def ask(server: WatchedServer, *headers: str, line: str = "GET /health/live"):
    async with await Raw.open(server) as raw:
        lines = "".join(f"{header}\r\n" for header in headers)
        await raw.send(f"{line} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        return await raw.answer(line.split(maxsplit=1)[0])


ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "LocalHost:8000", "127.0.0.1:1", "[::1]:65535"]


@pytest.mark.parametrize("host", ALLOWED_HOSTS)
async def test_the_server_goes_by_the_names_of_loopback(named: WatchedServer, host: str):
    assert (await ask(named, f"Host: {host}")).status_code == 200


@pytest.mark.parametrize("host", ["tape.example", "TAPE.EXAMPLE:443", "[FD00::1]"])
async def test_it_goes_by_the_names_that_are_listed(server: WatchedServer, named: WatchedServer, host: str):
    assert (await ask(named, f"Host: {host}")).status_code == 200
    check_problem(await ask(server, f"Host: {host}"), 400, OTHER_HOST)


REFUSED_HOSTS = {
    "none": [],
    "twice": ["Host: localhost", "Host: localhost"],
    "two": ["Host: localhost", "Host: evil.com"],
    "empty": ["Host:"],
    "foreign": ["Host: evil.com"],
    "below ours": ["Host: localhost.evil.com"],
    "below our address": ["Host: 127.0.0.1.evil.com"],
    "below a listed one": ["Host: tape.example.evil.com"],
    "above a listed one": ["Host: example"],
    "ends like ours": ["Host: evillocalhost"],
    "trailing dot": ["Host: localhost."],
    "userinfo": ["Host: localhost@evil.com"],
    "userinfo before": ["Host: evil.com@localhost"],
    "path": ["Host: localhost/evil.com"],
    "list": ["Host: localhost, evil.com"],
    "space": ["Host: localhost evil.com"],
    "scheme": ["Host: http://localhost"],
    "no port": ["Host: localhost:"],
    "port that is no number": ["Host: localhost:x"],
    "another spelling of the address": ["Host: 127.1"],
    "the address as a number": ["Host: 2130706433"],
    "everywhere": ["Host: 0.0.0.0"],
    "address without brackets": ["Host: ::1"],
    "latin-1": ["Host: localhost\xe9"],
    "10 kB": ["Host: " + "localhost" * 1000],
    "forwarded": ["Host: evil.com", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"],
}


@pytest.mark.usefixtures("beside")
async def test_another_host_is_400_on_every_path(named: WatchedServer):
    for headers in REFUSED_HOSTS.values():
        for line in (*(f"GET {path}" for path in PATHS), "POST /send-message", "OPTIONS /events"):
            check_problem(await ask(named, *headers, line=line), 400, OTHER_HOST)


async def test_a_forwarded_host_is_not_looked_at(named: WatchedServer):
    assert (await ask(named, "Host: localhost", "X-Forwarded-Host: evil.com")).status_code == 200


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("127.0.0.1", set()),
        ("0.0.0.0", set()),
        ("::", set()),
        ("192.168.1.7", {b"192.168.1.7"}),
        ("FD00::7", {b"[fd00::7]"}),
        ("Tape.lan", {b"tape.lan"}),
    ],
)
async def test_the_server_goes_by_the_address_that_it_listens_on(host: str, names: set):
    assert allowed_hosts(Settings(host=host)) - {b"localhost", b"127.0.0.1", b"[::1]"} == names


FOREIGN_ORIGINS = {
    "null": ["Origin: null"],
    "empty": ["Origin:"],
    "foreign": ["Origin: http://evil.com"],
    "another port": ["Origin: http://127.0.0.1:1"],
    "another scheme": ["Origin: https://127.0.0.1"],
    "another name of ours": ["Origin: http://localhost"],
    "a listed one with a port": [f"Origin: {LISTED}:8443"],
    "a listed one without its port": ["Origin: http://localhost"],
    "a listed one with a path": [f"Origin: {LISTED}/"],
    "below a listed one": ["Origin: https://evil.app.example"],
    "a listed one and another": [f"Origin: {LISTED}", "Origin: http://evil.com"],
    "a listed one twice": [f"Origin: {LISTED}", f"Origin: {LISTED}"],
    "list": [f"Origin: {LISTED} http://evil.com"],
    "a scheme that says it": ["Origin: https://127.0.0.1", "X-Forwarded-Proto: https"],
}


@pytest.mark.usefixtures("beside")
async def test_a_foreign_origin_is_403_on_every_path_and_gets_no_headers(named: WatchedServer):
    for headers in FOREIGN_ORIGINS.values():
        for line in (*(f"GET {path}" for path in PATHS), "POST /send-message", "OPTIONS /events"):
            asked = ["Access-Control-Request-Method: POST"] if line.startswith("OPTIONS") else []
            answer = await ask(named, "Host: 127.0.0.1", *headers, *asked, line=line)

            check_problem(answer, 403, FOREIGN)
            assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.usefixtures("beside")
async def test_what_other_sites_load_without_an_origin_is_403(named: WatchedServer):
    for site in ("cross-site", "same-site"):
        for more in ([], ["Sec-Fetch-Mode: no-cors"], ["Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"]):
            for path in PATHS:
                headers = ["Host: localhost", f"Sec-Fetch-Site: {site}", *more]

                check_problem(await ask(named, *headers, line=f"GET {path}"), 403, FROM_ELSEWHERE)


@pytest.mark.parametrize(
    "headers",
    [
        ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"],
        ["Origin: http://localhost", "Sec-Fetch-Site: same-origin"],
        ["Origin: http://localhost"],
    ],
    ids=["typed", "link", "own page", "own POST", "own POST of an older browser"],
)
async def test_our_own_pages_and_links_to_them_pass(named: WatchedServer, headers: list[str]):
    answer = await ask(named, "Host: localhost", *headers)

    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_form_of_another_site_changes_nothing(named: WatchedServer):
    form = ["Content-Type: text/plain", "Content-Length: 0", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]
    line = "POST /conversations"

    with_origin = await ask(named, "Host: localhost", "Origin: http://evil.com", *form, line=line)
    without = await ask(named, "Host: localhost", "Sec-Fetch-Site: cross-site", *form, line=line)

    check_problem(with_origin, 403, FOREIGN)
    check_problem(without, 403, FROM_ELSEWHERE)


def shared(answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


SHARED = {
    "access-control-allow-origin": LISTED,
    "access-control-expose-headers": (
        "Location, Retry-After, Idempotency-Replayed, x-conversation-id, x-reply-id, x-request-id"
    ),
}


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /health/live", 200),
        ("GET /nothing", 404),
        ("DELETE /limits", 405),
        ("POST /conversations", 415),
        ("GET /conversations?limit=x", 422),
    ],
)
async def test_a_listed_origin_can_read_every_answer(named: WatchedServer, line: str, status: int):
    answer = await ask(named, "Host: localhost", f"Origin: {LISTED}", line=line)

    assert (answer.status_code, shared(answer), answer.headers["vary"]) == (status, SHARED, "Origin")


async def test_a_listed_origin_can_read_streams(named: WatchedServer):
    asked = await named.ask("Who reads this?", **QUICK)
    headers = {"Origin": LISTED}

    for path in ("/events", asked["events"]):
        async with await named.listen(path, headers=headers) as stream:
            assert (await stream.next()).event == "hello"
            assert stream.headers["access-control-allow-origin"] == LISTED
            assert stream.headers["vary"] == "Origin"
    async with await named.pour({"prompt": "And this?", **QUICK}, headers=headers) as stream:
        assert stream.headers["access-control-allow-origin"] == LISTED
        assert stream.headers["x-reply-id"]


@pytest.mark.parametrize("path", ["/send-message", "/conversations/x/messages", "/nothing"])
async def test_a_listed_origin_is_told_beforehand_what_it_may_send(named: WatchedServer, path: str):
    asked = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,x-stainless-os"]

    answer = await ask(named, "Host: localhost", f"Origin: {LISTED}", *asked, line=f"OPTIONS {path}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert shared(answer) == SHARED | {
        "access-control-allow-methods": "GET, POST, PATCH, DELETE",
        "access-control-allow-headers": "authorization,x-stainless-os",
        "access-control-max-age": "600",
    }


async def test_nobody_else_gets_headers_for_other_origins(server: WatchedServer):
    plain = await ask(server, "Host: localhost")
    options = await ask(server, "Host: localhost", "Access-Control-Request-Method: POST", line="OPTIONS /events")

    assert shared(plain) == shared(options) == {}
    assert "vary" not in plain.headers
