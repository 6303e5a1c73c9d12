"""Fixtures of the tests that load code, and of those that ask an upstream."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from responders import connection, upstream
from tests.responders.asking import KEY
from tests.responders.upstream import Upstream


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, and an interpreter that forgets what was loaded from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = dict(sys.modules)
    yield tmp_path
    for name in sys.modules.keys() - modules.keys():
        del sys.modules[name]


@pytest.fixture
def environment(monkeypatch):
    """A model and a key, no pauses, and little patience."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MODEL", "m")
    monkeypatch.setattr(upstream, "FIRST_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(upstream, "ENDING_SECONDS", 0.2)
    monkeypatch.setattr(upstream, "MAX_EVENT_BYTES", 100_000)
    monkeypatch.setattr(connection, "SILENT_SECONDS", 5.0)
    monkeypatch.setattr(connection, "REFUSAL_SECONDS", 0.2)


@pytest.fixture
def impatient(environment, monkeypatch):
    monkeypatch.setattr(connection, "SILENT_SECONDS", 0.3)


@pytest.fixture
def serving(environment, monkeypatch):
    """Return an upstream with these scripts, to which the environment points once it is entered."""

    class Named(Upstream):
        async def __aenter__(self):
            await super().__aenter__()
            monkeypatch.setenv("OPENAI_BASE_URL", self.url)
            return self

    return Named
