"""Serves the page with a small real model: `make demo-llm`, with the arguments of `tickertape serve`.

It is `tickertape serve --responder openai`, and the settings that somebody would use for a provider; the upstream is a
program of its own on this machine (`demo/model.py`), which is started before and ends with the server.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli import main as tickertape

PYTHON = Path(sys.prefix) / "demo" / "bin" / "python"
MODEL = Path(__file__).with_name("model.py")
NAME = "SmolLM2-135M-Instruct"

ABOUT = """
{name} answers at {url}

It is a real language model, on this processor, and a toy: 135 million parameters write fluently, and make up most of
what they say. Ctrl+C ends it.
"""


class Announcement(logging.Handler):
    """Says where the server is and what answers there, once it serves."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it when the server logs that it serves."""
        if isinstance(record.msg, dict) and record.msg.get("event") == "serving":
            print(ABOUT.format(name=NAME, url=record.msg["url"]), flush=True)


def main() -> None:
    """Serve until a signal comes or the model is gone."""
    with model() as settings:
        os.environ.update(settings)
        logging.getLogger("app.server").addHandler(Announcement())
        tickertape(["serve", "--responder", "openai", *sys.argv[1:]], prog_name="make demo-llm")


@contextmanager
def model() -> Iterator[dict[str, str]]:
    """Run the model's server, and yield the settings that lead to it; the server ends when the model does.

    It is in a process group of its own, so that Ctrl+C leaves it to the replies that run on for a while.
    """
    if not PYTHON.exists():
        sys.exit("The model is not installed: run `make demo-llm`, which does that first.")
    settings = {"OPENAI_API_KEY": secrets.token_urlsafe(), "OPENAI_MODEL": NAME}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([PYTHON, MODEL], env=os.environ | settings, text=True, process_group=0, **pipes) as process:
        ending = threading.Event()
        try:
            if not (address := process.stdout.readline().strip()):
                sys.exit(f"The model's server did not start; its status is {process.wait()}.")
            threading.Thread(target=_follow, args=(process, ending), daemon=True).start()
            yield settings | {"OPENAI_BASE_URL": f"{address}/v1"}
        finally:
            ending.set()
            process.kill()


def _follow(process: subprocess.Popen[str], ending: threading.Event) -> None:
    status = process.wait()
    if not ending.is_set():
        print(f"The model's server has ended, with the status {status}, and so does this one.", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
