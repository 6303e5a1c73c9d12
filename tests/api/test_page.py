"""The pages as files: what may load what, what may be kept, and that nothing else on the disk can be had."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from app.api import page
from tests.api.watched import WatchedServer

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="package")]

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def loaded_by(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', html)


@pytest.mark.parametrize("path", ["/", "/schema"])
async def test_a_page_may_load_from_its_own_origin_only(server: WatchedServer, path: str):
    answer = await server.get(path, headers=BROWSER)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith(CSP)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"
    assert loaded_by(answer.text)
    assert all(url.startswith("/assets/") for url in loaded_by(answer.text))
    assert not re.search(r"<style|style=|<script>|\son[a-z]+=", answer.text), "the policy would refuse it"


async def test_on_the_chat_page_only_its_templates_and_what_was_cleaned_become_markup(server: WatchedServer):
    policy = (await server.get("/", headers=BROWSER)).headers["content-security-policy"]

    assert policy == f"{CSP}; require-trusted-types-for 'script'; trusted-types svelte-trusted-html dompurify"


async def test_the_files_of_a_page_are_kept_for_ever_since_their_names_change_with_them(server: WatchedServer):
    html = (await server.get("/", headers=BROWSER)).text

    for url in loaded_by(html):
        answer = await server.get(url)
        assert answer.status_code == 200
        assert re.search(r"-[\w-]{8}\.(js|css|svg)$", url)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].split(";")[0] in ("text/javascript", "text/css", "image/svg+xml")


async def test_the_client_has_a_name_that_stays_and_is_asked_for_anew(server: WatchedServer):
    answer = await server.get("/client.js")
    again = await server.get("/client.js", headers={"If-None-Match": answer.headers["etag"]})

    assert answer.headers["content-type"].split(";")[0] == "text/javascript"
    assert answer.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")


async def test_the_client_loads_from_its_own_origin_only_and_is_small(server: WatchedServer):
    waiting, seen, size = ["/client.js"], set(), 0
    while waiting:
        answer = await server.get(path := waiting.pop())
        assert answer.status_code == 200
        size += len(gzip.compress(answer.content))
        found = {urljoin(path, name) for name in re.findall(r'(?:from|import)\(?"([^"]+)"', answer.text)}
        waiting += found - seen
        seen |= found

    assert all(path.startswith("/assets/") for path in seen)
    assert "svelte" not in answer.text
    assert size < 12_000


@pytest.mark.parametrize("path", ["/client.js", "/assets"])
async def test_what_a_page_has_loaded_for_itself_is_not_taken_for_another_origin(server: WatchedServer, path: str):
    if path == "/assets":
        [path] = loaded_by((await server.get("/", headers=BROWSER)).text)[:1]

    assert (await server.get(path)).headers["vary"] == "Origin"


async def test_who_has_the_page_is_not_sent_it_again(server: WatchedServer):
    answer = await server.get("/", headers=BROWSER)

    again = await server.get("/", headers=BROWSER | {"If-None-Match": answer.headers["etag"]})
    other = await server.get("/", headers=BROWSER | {"If-None-Match": '"another"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert other.status_code == 200


async def test_head_tells_the_size_and_sends_nothing(server: WatchedServer):
    answer = await server.get("/", headers=BROWSER)

    head = await server.client.head(server.url + "/", headers=BROWSER)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize("accept", ["*/*", "text/plain", "application/json"])
async def test_who_is_no_browser_is_told_how_to_begin(server: WatchedServer, accept: str):
    answer = await server.get("/", headers={"Accept": accept})

    assert answer.headers["content-type"].startswith("text/plain")
    assert f"{server.url}/conversations" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/assets/made-from",
        "/assets/",
        "/assets/index.html",
        "/assets/../made-from",
        "/assets/..%2fmade-from",
        "/assets/%2e%2e/made-from",
        "/assets/%2e%2e%2f%2e%2e%2fmain.py",
        "/assets/..%5c..%5cmain.py",
        "/assets/%00",
        "/assets/%ff",
        "/assets//etc/passwd",
        "/static/index.html",
        "/index.html",
    ],
)
async def test_there_are_no_other_files(server: WatchedServer, path: str):
    status, body = await raw_get(server, path)

    assert status == 404
    assert b'"title":"Not Found"' in body


@pytest.mark.parametrize("path", ["/schema/anything", "/schema/x.json", "/schema/a/b", "/schema/..%2f"])
async def test_below_the_schema_there_is_nothing_else(server: WatchedServer, path: str):
    answer = await server.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_link_out_of_the_folder_is_fixed_at_start(tmp_path: Path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a.js").write_text("1")
    async with AsyncTestClient(Litestar(page.page_routes(tmp_path))) as client:
        (tmp_path / "assets" / "b.js").symlink_to("/etc/passwd")
        (tmp_path / "assets" / "a.js").unlink()

        assert (await client.get("/assets/a.js")).text == "1"
        assert (await client.get("/assets/b.js")).status_code == 404


async def test_without_a_build_the_server_starts_and_says_how_to_build(tmp_path: Path):
    app = Litestar(page.page_routes(tmp_path / "none"), openapi_config=page.openapi_config(tmp_path / "none"))
    async with AsyncTestClient(app) as client:
        for path in ("/", "/schema"):
            answer = await client.get(path, headers=BROWSER)

            assert answer.status_code == 200
            assert "`make install` builds it" in answer.text


async def raw_get(server: WatchedServer, path: str) -> tuple[int, bytes]:
    """GET a path as it stands: clients would tidy it up."""
    async with await server.listen(path) as answer:
        await answer.rest()
        return answer.status, answer.raw
