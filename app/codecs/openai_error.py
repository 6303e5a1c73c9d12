"""What goes wrong, as OpenAI's clients read it: the object that is a whole answer, or a frame of a stream. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from app.messages import Failure

ErrorType = Literal["invalid_request_error", "rate_limit_error", "server_error"]


class ErrorFacts(msgspec.Struct, frozen=True):
    """What went wrong, for people and for programs."""

    message: str
    type: ErrorType
    param: Annotated[str | None, Meta(description="the field or parameter that is wrong")] = None
    code: str | None = None


class OpenAIError(msgspec.Struct, frozen=True):
    """Why a request was refused, or its reply failed, in OpenAI's words."""

    error: ErrorFacts


def server_error(code: str, message: str) -> OpenAIError:
    """Return an error that no other request would have avoided."""
    return OpenAIError(ErrorFacts(message, "server_error", code=code))


def reply_error(error: Failure | msgspec.UnsetType | None) -> OpenAIError:
    """Return why a reply failed; one that was interrupted has no error of its own."""
    if not error:
        return server_error("interrupted", "The server ended, or could not store, in the middle of the reply.")
    return server_error(error.code, error.message)
