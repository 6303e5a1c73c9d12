"""The OpenAPI document: begun by Litestar, completed from the table of calls and the structs that write the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import OpenAPI
from msgspec import UNSET, Struct

from app.api.calls import CALLS, OPENAI_FRAMES, Call
from app.api.objects import FRAMES, LIST_FRAMES, REF, Problem
from app.api.openai_errors import is_openai
from app.codecs.openai_error import OpenAIError
from app.codecs.openai_input import FunctionCallOutput, InputMessage
from app.messages import Message, Outline, Reply

_PROBLEM = "application/problem+json"
_REFUSALS = {
    400: "The request cannot be read, or its Host is not one of ours.",
    403: "Its Origin may not do this.",
    404: "There is no such thing, or it is not yours.",
    409: "A reply has not ended.",
    413: "Too large, or the conversation is full.",
    415: "The body is not JSON in UTF-8.",
    422: "A field, a parameter or its value is wrong; `path` names it.",
    429: "A count is over its limit.",
    502: "The reply has failed.",
    503: "The server is about to end, or cannot store.",
}
_HEADERS = {
    "Location": "The conversation.",
    "Idempotency-Replayed": "`true` where this is the answer to an earlier request.",
    "Retry-After": "Seconds.",
    "x-conversation-id": "The conversation, where the answer is a stream or text.",
    "x-reply-id": "The reply, where the answer is a stream or text.",
    "x-vercel-ai-ui-message-stream": "`v1`",
    "x-request-id": "What names the request in a client's log.",
    "x-should-retry": "`false` where a reply was accepted, which `x-reply-id` names.",
}


@dataclass
class ApiConfig(OpenAPIConfig):
    """Litestar's configuration, with a document that is completed."""

    operation_id_creator: Any = field(default=lambda handler, method, path: handler.handler_name)  # noqa: ARG005
    use_handler_docstrings: bool = True

    def to_openapi_schema(self) -> OpenAPI:
        """Return the document that Litestar is to fill."""
        begun = super().to_openapi_schema()
        return _Document(**{name: getattr(begun, name) for name in begun.__dataclass_fields__})


class _Document(OpenAPI):
    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                call = CALLS[operation["operationId"]]
                operation.update(_described(call, path, operation.get("parameters", [])))
        document["components"] = {"schemas": schemas()}
        return document


def schemas() -> dict[str, Any]:
    """Return all objects by their names."""
    bodies = [call.body for call in CALLS.values() if call.body]
    types = [*_answers(), Outline, Problem, InputMessage, FunctionCallOutput]
    found: dict[str, Any] = msgspec.json.schema_components([*bodies, *types], ref_template=REF)[1]
    sent = _structs([*types, Reply, Message])
    lenient = _structs(bodies).keys() - sent.keys()
    for name, schema in found.items():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        for key, value in schema.get("properties", {}).items():
            if key == "at" or key.endswith("_at"):  # all that end so are times
                for either in value.get("anyOf", [value]):
                    if either["type"] == "string":
                        either["format"] = "date-time"
        if name in sent:
            schema["required"] = list(_always(sent[name]))
        if name in lenient:
            schema["additionalProperties"] = True
    return found


def _described(call: Call, path: str, path_parameters: list[Any]) -> dict[str, Any]:
    refused = {400, 403, *call.refused}
    if "{" in path:
        refused.add(404)
    if call.body:
        refused |= {413, 415, 422}
    if any(parameter["in"] == "query" for parameter in call.parameters):
        refused.add(422)
    answers = {str(status): _answer(status, content, call.headers) for status, content in call.answers.items()}
    refusal = _openai_refusal if is_openai(path) else _refusal
    answers |= {str(status): refusal(status) for status in sorted(refused)}
    if is_openai(path):
        answers.pop("422", None)  # such errors are 400 there
    described: dict[str, Any] = {"responses": answers, "parameters": [*path_parameters, *call.parameters]}
    if call.body:
        example = {"example": call.example} if call.example else {}
        content = {"application/json": {"schema": _schema(call.body), **example}}
        described["requestBody"] = {"content": content, "required": not call.body_optional}
    return described


def _answer(status: int, content: dict[str, Any], headers: Sequence[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if content:
        answer["content"] = {media_type: {"schema": _schema(type)} for media_type, type in content.items()}
    return answer | _with_headers(headers)


def _refusal(status: int) -> dict[str, Any]:
    headers = ["Retry-After"] if status in (429, 503) else []
    content = {_PROBLEM: {"schema": _schema(Problem)}}
    return {"description": _REFUSALS[status], "content": content} | _with_headers(headers)


def _openai_refusal(status: int) -> dict[str, Any]:
    headers = ["x-request-id", "x-should-retry", "x-conversation-id", "x-reply-id"]
    if status in (429, 503):
        headers.append("Retry-After")
    content = {"application/json": {"schema": _schema(OpenAIError)}}
    return {"description": _REFUSALS[status], "content": content} | _with_headers(headers)


def _with_headers(names: Sequence[str]) -> dict[str, Any]:
    headers = {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}
    return {"headers": headers} if headers else {}


def _schema(type: Any) -> dict[str, Any]:
    if isinstance(type, dict):
        return type
    if get_origin(type) is None:
        return {"$ref": REF.format(name=type.__name__)}
    (schema,), _ = msgspec.json.schema_components([type], ref_template=REF)
    return schema


def _answers() -> Iterator[Any]:
    """Yield all that the table has for answers."""
    for call in CALLS.values():
        yield from (
            type for content in call.answers.values() for type in content.values() if not isinstance(type, dict)
        )
    yield from dict.fromkeys([*FRAMES, *LIST_FRAMES, *OPENAI_FRAMES])


def _structs(types: Iterable[Any]) -> dict[str, type[Struct]]:
    """Return the structs among types and within them that may hold more than they name: those that we write do not."""
    found: dict[str, type[Struct]] = {}
    rest = list(types)
    while rest:
        type_ = rest.pop()
        if not (isinstance(type_, type) and issubclass(type_, Struct)):
            rest += get_args(type_)
        elif type_.__name__ not in found and not type_.__struct_config__.forbid_unknown_fields:
            found[type_.__name__] = type_
            rest += get_type_hints(type_).values()
    return found


def _always(struct: type[Struct]) -> Iterator[str]:
    """Yield the names of what the JSON of a struct always holds."""
    if struct.__struct_config__.tag_field:
        yield struct.__struct_config__.tag_field
    for part in msgspec.structs.fields(struct):
        if part.default is not UNSET and (part.required or not struct.__struct_config__.omit_defaults):
            yield part.encode_name
