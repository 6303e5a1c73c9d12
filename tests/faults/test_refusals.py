"""What a server needs and does not find at its start: a sentence on standard error, and no traceback (G15)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.faults.filled import fill
from tests.support.server import Server

pytestmark = pytest.mark.slow


class Said:
    """What a server said; where its lines were broken does not matter."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __contains__(self, words: object) -> bool:
        return _unbroken(str(words)) in _unbroken(self.text)


def _unbroken(text: str) -> str:
    return "".join(text.replace("│", " ").split())


@asynccontextmanager
async def refused(data: Path, **settings: object) -> AsyncIterator[Said]:
    """Start a server that is to refuse, and give what it said."""
    server = Server(data, **settings)
    await server.launch()
    try:
        status = await server.wait()
        assert status not in (0, None)
        assert status > 0
        said = "".join(entry if isinstance(entry, str) else repr(entry) for entry in server.log)
        assert "Traceback" not in said
        yield Said(said)
    finally:
        await server.__aexit__()


def no_database(path: Path) -> None:
    path.write_bytes(b"This is no database at all. " * 1000)


def garbled_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        content[page : page + 64] = bytes(64)
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize("damage", [no_database, garbled_pages, cut_short], ids=lambda damage: damage.__name__)
async def test_a_damaged_database_is_refused_and_left_as_it_is(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    await fill(tmp_path, 50)
    database = tmp_path / "tickertape.db"
    damage(database)
    before = database.read_bytes()

    async with refused(tmp_path) as said:
        assert f"The database {database}" in said
        assert "damaged" in said
        assert database.read_bytes() == before


async def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]

        async with refused(tmp_path, port=port) as said:
            assert f"The address 127.0.0.1:{port} is in use" in said


async def test_a_folder_of_another_server_is_refused_and_that_server_does_not_notice(server: Server) -> None:
    async with refused(server.data) as said:
        assert "in use by another process" in said

    assert (await server.ended(await server.ask(responder="echo")))["status"] == "completed"


async def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("A file")

    async with refused(tmp_path / "file" / "data") as said:
        assert "The data folder" in said
        assert "cannot be written" in said


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"host": "0.0.0.0"}, "The host 0.0.0.0 is not a loopback address"),
        ({"max_running": "many"}, "The setting TICKERTAPE_MAX_RUNNING is not valid"),
        ({"responder": "nobody"}, "There is no responder named"),
        ({"responder": "no.such.module:shout"}, "There is no module named"),
    ],
    ids=["remote", "setting", "responder", "module"],
)
async def test_a_setting_that_cannot_be_is_refused(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    async with refused(tmp_path / "data", **settings) as said:
        assert sentence in said
        assert not (tmp_path / "data").exists()
