"""What a refusal must look like."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import httpx

INTERNALS = re.compile(
    r"Traceback|msgspec|litestar|sqlite|uvicorn|utf-8-sig|\.py\b|\bsys\.|/app/|0x[0-9a-f]{6}|Error\b"
)
"""What only somebody who has read the source should know."""


def check_problem(
    answer: httpx.Response, status: int, detail: str | None = None, *, path: str | None = None, **more: Any
) -> None:
    """Assert that an answer is a problem (RFC 9457) with exactly these members, and a sentence for people."""
    assert answer.status_code == status, (answer.request.method, answer.request.url.path, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert re.fullmatch(r"\S.*\.", problem["detail"], re.DOTALL), problem
    assert not INTERNALS.search(problem["detail"]), problem
    assert problem == {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail or problem["detail"],
        **({"path": path} if path is not None else {}),
        **more,
    }
