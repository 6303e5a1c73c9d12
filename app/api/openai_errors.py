"""Errors as OpenAI's clients read them: what every path under `/v1/` answers in place of a problem."""

from __future__ import annotations

from http import HTTPStatus

from app.codecs.openai_error import ErrorFacts, ErrorType, OpenAIError
from app.ids import new_id

PREFIX = "/v1/"
_CODES = {"previous_response_id": "previous_response_not_found"}
"""What programs look for, by what is wrong."""


def is_openai(path: str) -> bool:
    """Whether a path is one of those that OpenAI's clients ask."""
    return path.startswith(PREFIX)


def restate(status: HTTPStatus, detail: str, path: str = "") -> tuple[HTTPStatus, OpenAIError]:
    """Return the status and the body of a problem as OpenAI has them; `path` names what is wrong in the request."""
    if path == "responder":
        facts = ErrorFacts(detail, "invalid_request_error", "model", "model_not_found")
        return HTTPStatus.NOT_FOUND, OpenAIError(facts)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        status = HTTPStatus.BAD_REQUEST
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return status, OpenAIError(ErrorFacts(detail, "rate_limit_error", code="rate_limit_exceeded"))
    whose: ErrorType = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    return status, OpenAIError(ErrorFacts(detail, whose, path or None, _CODES.get(path)))


def request_id() -> dict[str, str]:
    """Return the header by which OpenAI's clients name a request in what they log."""
    return {"x-request-id": f"req_{new_id()}"}
