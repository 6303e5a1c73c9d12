"""A disk that is full for a while, under a server that runs."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.server import Server


@contextmanager
def no_file_grows(server: Server, limit: int = 0) -> Iterator[None]:
    """Let every write of the server fail that reaches beyond `limit` bytes of a file."""
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have been ended meanwhile
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def no_commit_fits(server: Server) -> Iterator[None]:
    """Let the next write to the write-ahead log be cut in its middle, and all after it fail."""
    with no_file_grows(server, (server.data / "tickertape.db-wal").stat().st_size + 1000):
        yield


@contextmanager
def nothing_left(server: Server) -> Iterator[None]:
    """Fill the server's file system, which must be a small one of its own."""
    filler = server.data / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[bool]:
    """Mount a small file system at a folder; says whether that is possible here."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
