"""The application under uvicorn alone: what `create_app` promises without our own server."""

from __future__ import annotations

import json
import os
import socket
import sys

import uvicorn

from app import create_app

if __name__ == "__main__":
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(os.environ["TICKERTAPE_PORT"])))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(json.dumps({"event": "serving", "url": url}), file=sys.stderr, flush=True)
        config = uvicorn.Config(create_app(), log_level="warning")
        uvicorn.Server(config).run(sockets=[listener])
