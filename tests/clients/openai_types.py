"""What two independent sets of types say of a response and its events: OpenAI's own, and Open Responses'."""

from __future__ import annotations

from typing import Any

import openresponses_types.types as open_responses
from openai.types.responses import Response, ResponseItem, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
_APART = {"response.reasoning_summary_text.delta": "ResponseReasoningSummaryDeltaStreamingEvent"}
_APART["response.reasoning_summary_text.done"] = "ResponseReasoningSummaryDoneStreamingEvent"


def check_event(event: dict[str, Any]) -> None:
    """Assert that an event is one by both; a failure is nested in Open Responses, and would break OpenAI's clients."""
    _EVENT.validate_python(event)
    if event["type"] != "error":
        name = "".join(word.title() for word in event["type"].replace("_", ".").split("."))
        _open(_APART.get(event["type"], f"{name}StreamingEvent")).model_validate(event)
    if "response" in event:
        check_response(event["response"])


def check_response(response: dict[str, Any]) -> None:
    """Assert that a response is one by both, and lacks none of the fields that Open Responses names."""
    Response.model_validate(response)
    resource = _open("ResponseResource")
    resource.model_validate(response)
    assert resource.model_fields.keys() <= response.keys()


def check_item(item: dict[str, Any]) -> None:
    """Assert that an input item is one of OpenAI's."""
    _ITEM.validate_python(item)


def _open(name: str) -> type[BaseModel]:
    found: type[BaseModel] = getattr(open_responses, name)
    return found
