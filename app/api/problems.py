"""Problem answers (RFC 9457): what each error looks like over HTTP; under `/v1/` it is told as OpenAI does."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.plugins.problem_details import ProblemDetailsConfig, ProblemDetailsException, ProblemDetailsPlugin

from app.api.openai_errors import is_openai, request_id, restate
from app.errors import (
    Draining,
    Full,
    Invalid,
    Malformed,
    NotFound,
    NotReady,
    NotStoring,
    StillRunning,
    TickertapeError,
    TooLarge,
    TooMany,
    Unsupported,
)

logger = logging.getLogger(__name__)

_STATUS: dict[type[TickertapeError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    StillRunning: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Full: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Unsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    Draining: HTTPStatus.SERVICE_UNAVAILABLE,
    NotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    NotStoring: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER = {HTTPStatus.TOO_MANY_REQUESTS: "1", HTTPStatus.SERVICE_UNAVAILABLE: "2"}
_DETAILS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take that method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UPGRADE_REQUIRED: "This path takes the handshake of a WebSocket, of version 13 and without a body.",
}


class _Problem(ProblemDetailsException):
    def to_response(self, request: Request[Any, Any, Any]) -> Response[Any]:
        if not is_openai(request.scope["path"]):
            return super().to_response(request)
        path = self.extra.get("path", "") if isinstance(self.extra, dict) else ""
        status, body = restate(HTTPStatus(self.status_code), self.detail, path)
        headers = {**(self.headers or {}), **request_id()}
        return Response(msgspec.json.encode(body), status_code=status, headers=headers, media_type=MediaType.JSON)


def _problem(status: HTTPStatus, detail: str, headers: dict[str, str], **more: Any) -> ProblemDetailsException:
    if (retry_after := RETRY_AFTER.get(status)) and "x-should-retry" not in headers:
        headers = {**headers, "Retry-After": retry_after}
    return _Problem(
        status_code=status, type_="about:blank", title=status.phrase, detail=detail, headers=headers, extra=more or None
    )


def _from_domain(error: TickertapeError) -> ProblemDetailsException:
    more: dict[str, Any] = {}
    if isinstance(error, Invalid) and error.path:
        more["path"] = error.path
    if isinstance(error, StillRunning):
        more["running"] = error.running
    # The text of a storage error may name files; people who call the API get a sentence of ours.
    detail = "The server cannot store or read at the moment." if isinstance(error, NotStoring) else str(error)
    return _problem(_STATUS[type(error)], detail, _headers(error), **more)


def _from_http(error: HTTPException) -> ProblemDetailsException:
    status = HTTPStatus(error.status_code)
    return _problem(status, _DETAILS.get(status, status.description or status.phrase), _headers(error))


def _from_anything(error: Exception) -> ProblemDetailsException:
    logger.error("a request failed unexpectedly", exc_info=error)
    return _problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "The server has made a mistake; its log says which.", _headers(error)
    )


def _headers(error: Exception) -> dict[str, str]:
    """Return what the answer is to say beside the error: of HTTP itself, or that a reply was accepted before it."""
    return dict(getattr(error, "headers", None) or {})


def tell(error: Exception) -> dict[str, Any]:
    """Return what is told of an error where it is no answer of HTTP: `problem`, and `retry_after` in seconds."""
    problem = _from_domain(error) if isinstance(error, TickertapeError) else _from_anything(error)
    told = {"type": problem.type_, "title": problem.title, "status": problem.status_code, "detail": problem.detail}
    more = problem.extra if isinstance(problem.extra, dict) else {}
    after = (problem.headers or {}).get("Retry-After")
    return {"problem": {**told, **more}, **({"retry_after": int(after)} if after else {})}


def encode_problem(status: HTTPStatus, detail: str) -> bytes:
    """Return the body of a problem, for what answers outside of the application."""
    return msgspec.json.encode({"type": "about:blank", "title": status.phrase, "status": status, "detail": detail})


def problem_details() -> ProblemDetailsPlugin:
    """Return the plugin that answers every error with a problem."""
    return ProblemDetailsPlugin(
        ProblemDetailsConfig(
            exception_to_problem_detail_map={
                TickertapeError: _from_domain,
                HTTPException: _from_http,
                Exception: _from_anything,
            }
        )
    )
