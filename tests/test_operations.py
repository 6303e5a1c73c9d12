"""docs/operations.md says what is so: its table, its commands, its units and its proxies, tried on real servers."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.client import Client
from app.settings import Settings
from docs import settings_table
from tests.support.server import Server, hold
from tests.support.sse import Parser

PAGE = settings_table.PAGE.read_text("utf-8")
NAME = "tape.example"
FreePort = Callable[[], int]


@pytest.fixture
def free_port() -> Iterator[FreePort]:
    """Find ports that nobody else finds before the test is over."""
    with ExitStack() as held:
        yield lambda: int(held.enter_context(hold()).getsockname()[1])


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_the_table_of_settings_is_the_codes_own():
    assert settings_table.written(PAGE) == PAGE, "run: python docs/settings_table.py --write"


def test_a_page_without_a_place_for_the_table_is_an_error():
    with pytest.raises(ValueError, match="no place"):
        settings_table.written("# A page\n")


def test_every_setting_that_is_named_is_one():
    named = set(re.findall(r"TICKERTAPE_([A-Z_]+)", PAGE)) | set(
        re.findall(r"`((?:MAX|DRAIN|REPLY|ALLOW)[A-Z_]+)`", PAGE)
    )

    assert named - {name.upper() for name in Settings.__struct_fields__} == set()


def test_systemd_waits_for_the_drain():
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block("ini systemd"))
    service = unit["Service"]
    environment = dict(item.split("=") for item in service["Environment"].split())

    settings = Settings.read(environment)

    assert float(service["TimeoutStopSec"]) >= settings.drain_seconds + 3
    assert service["KillSignal"] == "SIGTERM"


@pytest.mark.slow
async def test_a_backup_of_a_running_server_is_restored_as_another_generation(server: Server, tmp_path: Path):
    if not shutil.which("sqlite3"):
        pytest.skip("sqlite3 is not installed")
    done = await server.ask("before", responder="echo")
    await server.ended(done)
    cursor = (await server.get(f"/conversations/{done['conversation']['id']}")).json()["cursor"]
    running = await server.ask("on and on", options={"tokens": 10_000})
    stream = await server.listen(running["events"], running["cursor"])
    await stream.until("reply.delta")
    places = {"DATA": str(server.data), "BACKUP": str(tmp_path)}

    run(block("sh backup"), places)
    later = await server.ask("after", responder="echo")
    await server.kill()
    run(block("sh restore"), places)
    await server.start()
    resumed = await server.listen(done["events"], cursor)
    hello = await resumed.next()

    assert (await server.ended(done))["text"] == "before"
    assert (await server.ended(running))["status"] == "interrupted"
    assert (await server.get(f"/conversations/{later['conversation']['id']}")).status_code == 404
    assert (hello.json["resumed"], hello.json["reason"]) == (False, "epoch")
    stream.cut()
    resumed.cut()


def run(script: str, places: dict[str, str]) -> None:
    subprocess.run(["bash", "-eu", "-c", script], env=os.environ | places, check=True, timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["uvicorn", "--factory", "app:create_app", "--port"], ["litestar", "--app", "app:create_app", "run", "--port"]],
    ids=["uvicorn", "litestar"],
)
async def test_other_servers_serve_the_application(tmp_path: Path, command: list[str], free_port: FreePort):
    assert f"{' '.join(command[:-1])}`" in PAGE
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name(command[0])),
        *command[1:],
        str(port),
        env=os.environ | {"TICKERTAPE_DATA": str(tmp_path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with Client(f"http://127.0.0.1:{port}", again_soon) as client:
            asked = await client.ask("Hello there", responder="echo")
            events = [event async for event in client.events(asked["events"] + "?until=idle", asked["cursor"])]
    finally:
        process.kill()
        await process.wait()

    assert [event.type for event in events[:2]] == ["hello", "message.created"]
    assert events[-1].type == "reply.ended"


async def again_soon(seconds: float, why: Exception) -> None:
    await asyncio.sleep(0.05)


# Proxies


class Proxied:
    """A proxy as a browser sees it: by its name and origin, over TLS where it speaks that here."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.client = httpx.AsyncClient(
            base_url=f"{'https' if context else 'http'}://127.0.0.1:{port}",
            headers={"Host": NAME, "Origin": f"https://{NAME}"},
            verify=context or False,
            timeout=30,
            trust_env=False,
        )

    @asynccontextmanager
    async def listen(self, path: str, cursor: str = "") -> AsyncIterator[Events]:
        async with self.client.stream("GET", path, headers={"Last-Event-ID": cursor}) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Events(answer)


class Events:
    """What an EventSource gets of one connection; the state that it keeps for the next one."""

    def __init__(self, answer: httpx.Response) -> None:
        self.parser = Parser()
        self.types: list[str] = []
        self._chunks = answer.aiter_raw()

    async def until(self, type: str) -> None:
        """Read until an event of that type has come."""
        async with asyncio.timeout(20):
            while type not in self.types:
                self.types += [frame.event for frame in self.parser.feed(await anext(self._chunks))]

    async def rest(self) -> None:
        """Read to the end, or to the cut."""
        async with asyncio.timeout(20):
            try:
                async for chunk in self._chunks:
                    self.types += [frame.event for frame in self.parser.feed(chunk)]
            except httpx.RemoteProtocolError:
                pass


async def wait_for(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            assert process.returncode is None, "the proxy has ended"
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@asynccontextmanager
async def running(port: int, *command: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await wait_for(process, port)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of its own, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", f"/CN={NAME}", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run([*make, "-keyout", key, "-out", certificate, *subject], check=True, capture_output=True)
    return certificate, key


@asynccontextmanager
async def nginx(server: Server, folder: Path, port: int) -> AsyncIterator[Proxied]:
    certificate, key = await asyncio.to_thread(make_certificate, folder)
    config = block("nginx").replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    config = config.replace("listen 443", f"listen 127.0.0.1:{port}")
    config = config.replace(f"/etc/ssl/{NAME}.pem", str(certificate)).replace(f"/etc/ssl/{NAME}.key", str(key))
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{config}}}\n"
    )
    async with running(port, "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")):
        yield Proxied(port, ssl.create_default_context(cafile=certificate))


@asynccontextmanager
async def caddy(server: Server, folder: Path, port: int) -> AsyncIterator[Proxied]:
    config = block("caddyfile").replace(f"{NAME} {{", f"http://:{port} {{")
    config = config.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{config}")
    async with running(port, "caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")):
        yield Proxied(port, None)


PROXIES = (nginx, caddy)


@pytest.fixture
async def server_of_a_name(start_server: Callable[..., Awaitable[Server]]) -> Server:
    names = {"allowed_hosts": NAME, "allowed_origins": f"https://{NAME}"}
    assert f"TICKERTAPE_ALLOWED_HOSTS={NAME}`" in PAGE
    assert f"TICKERTAPE_ALLOWED_ORIGINS=https://{NAME}`" in PAGE
    return await start_server(**names)


@pytest.fixture
async def proxies(server_of_a_name: Server, tmp_path: Path, free_port: FreePort) -> AsyncIterator[list[Proxied]]:
    """All proxies that are installed, in front of one server."""
    installed = [proxy for proxy in PROXIES if shutil.which(proxy.__name__)]
    if not installed:
        pytest.skip("neither nginx nor caddy is installed")
    async with AsyncExitStack() as stack:
        started = []
        for proxy in installed:
            started.append(await stack.enter_async_context(proxy(server_of_a_name, tmp_path, free_port())))
            await stack.enter_async_context(started[-1].client)
        yield started


@pytest.mark.slow
async def test_a_stream_comes_through_a_proxy_as_it_is_written_and_goes_on_after_the_server_was_away(
    server_of_a_name: Server, proxies: list[Proxied]
):
    asked = (await proxies[0].client.post("/conversations", json={"prompt": "?", "options": {"tokens": 10_000}})).json()

    async with AsyncExitStack() as stack:
        cut = [await stack.enter_async_context(proxy.listen(asked["events"], asked["cursor"])) for proxy in proxies]
        for stream in cut:
            await stream.until("reply.delta")
        await server_of_a_name.kill()
        for stream in cut:
            await stream.rest()
    away, refused = [], []
    for proxy in proxies:
        for path in (asked["events"], "/events", "/conversations/events", "/streams?watch=broadcast@"):
            async with proxy.listen(path) as stream:
                await stream.rest()
                away.append((stream.types, stream.parser.retry))
        refused.append((await proxy.client.get("/conversations")).status_code)
    await server_of_a_name.start()
    back = []
    for proxy, stream in zip(proxies, cut, strict=True):
        async with proxy.listen(asked["events"], stream.parser.last_event_id) as again:
            await again.until("reply.ended")
            back.append(again.types)

    assert all("reply.ended" not in stream.types for stream in cut)
    assert away == [([], 2000)] * 4 * len(proxies)
    assert refused == [502] * len(proxies)
    assert all("snapshot" not in types for types in back)


@pytest.mark.slow
async def test_a_proxy_lets_pings_through_and_the_largest_prompt_with_its_answer(proxies: list[Proxied]):
    largest = {"prompt": "\u0001" * 262_144, "responder": "echo"}  # spelled in six bytes each

    async with AsyncExitStack() as stack:
        quiet = [await stack.enter_async_context(proxy.listen("/events")) for proxy in proxies]
        answers = [
            await proxy.client.post("/conversations", json=largest, headers={"Accept": "text/plain"})
            for proxy in proxies
        ]
        for stream in quiet:
            await stream.until("ping")

    assert [answer.status_code for answer in answers] == [201] * len(proxies)
    assert all(answer.text == largest["prompt"] for answer in answers)
