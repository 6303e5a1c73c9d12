"""`tickertape serve` that kills itself with SIGKILL at the n-th passage of a seam: `failpoint_server.py POINT N`.

Each point wraps one named seam of the app from outside; the app itself knows nothing of it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from app import cli, log, runner, running, writer
from app.api import conversations as conversations_api
from app.api import messages as messages_api
from app.engine import rows

_countdown = 0


def _passed() -> None:
    global _countdown  # noqa: PLW0603 - one point per process
    _countdown -= 1
    if _countdown == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    wrapped = getattr(owner, name)

    def call(*args: Any, **more: Any) -> Any:
        _passed()
        return wrapped(*args, **more)

    setattr(owner, name, call)


def _after(owner: Any, name: str) -> None:
    wrapped = getattr(owner, name)

    def call(*args: Any, **more: Any) -> Any:
        result = wrapped(*args, **more)
        _passed()
        return result

    setattr(owner, name, call)


def _answers() -> None:
    _before(conversations_api, "answer_asked")
    _before(messages_api, "answer_asked")


POINTS: dict[str, Callable[[], None]] = {
    "within-a-commit": lambda: _after(rows, "apply"),
    "between-commit-and-wire": lambda: _before(log.Log, "_publish"),
    "between-commit-and-201": _answers,
    "between-accept-and-start": lambda: _before(runner.Runner, "_start"),
    "between-start-and-first-token": lambda: _before(runner.Runner, "_write_pieces"),
    "within-the-ending": lambda: _before(writer.Writer, "end"),
    "within-a-settle": lambda: _after(rows, "settle"),
    "within-recovery": lambda: _after(running.Running, "_run"),
}


if __name__ == "__main__":
    POINTS[sys.argv[1]]()
    _countdown = int(sys.argv[2])
    sys.argv = ["tickertape", "serve"]
    cli.main()
