"""Which Chromium: `$CHROMIUM`, else one on PATH, else one that is installed now. Run as a module, it names it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
INSTALL_WITHIN = 600.0
NONE = "no Chromium runs here (name one with CHROMIUM=path)"
PLAYWRIGHTS_OWN = (
    "from playwright.sync_api import sync_playwright as s; p = s().start(); print(p.chromium.executable_path); p.stop()"
)


def find() -> str | None:
    """Return a Chromium that runs, installed once where there is none; None where that does not work either."""
    with (Path(tempfile.gettempdir()) / "tickertape-chromium.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run tests, and one of them installs
        return next((path for path in _candidates() if _runs([path, "--version"], 30)), None)


def _candidates() -> Iterator[str]:
    if "CHROMIUM" in os.environ:
        yield os.environ["CHROMIUM"]
    yield from filter(None, map(shutil.which, NAMES))
    if shutil.which("apt-get") and os.geteuid() == 0:
        _runs(["apt-get", "update"], INSTALL_WITHIN)
        _runs(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], INSTALL_WITHIN)
        yield from filter(None, map(shutil.which, NAMES[:1]))
    _runs([sys.executable, "-m", "playwright", "install", "chromium"], INSTALL_WITHIN)
    named = subprocess.run([sys.executable, "-c", PLAYWRIGHTS_OWN], capture_output=True, text=True, check=False)
    yield named.stdout.strip()


def _runs(command: Sequence[str], seconds: float) -> bool:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        return subprocess.run(command, timeout=seconds, env=environment, check=False, **quiet).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


if __name__ == "__main__":
    found = find()
    sys.exit(print(found) if found else "No Chromium runs here, and none could be installed. Name one: CHROMIUM=path")
