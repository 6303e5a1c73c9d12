"""Holds answers to what the OpenAPI document says of them, exactly: no status, field or content type beside it."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections import Counter
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from app.main import create_app
from app.settings import Settings

EVERYWHERE = {405, 408, 431}
"""Answers of HTTP itself, which no call has to list."""
LONG = 4096
"""Bodies over that are looked at in the first ten answers of a call: a page of the list takes 40 ms."""


@functools.cache
def document() -> dict[str, Any]:
    """The document as the server would send it."""
    return json.loads(json.dumps(create_app(Settings()).openapi_schema.to_schema()))


class Contract:
    """The document, made strict; `seen` are the answers that were checked, by operation and status."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._long: Counter[str] = Counter()
        self._document = copy.deepcopy(described)
        for schema in self._document["components"]["schemas"].values():
            if "type" in schema.get("properties", {}):
                schema["properties"].setdefault("id", {})  # an event in a log page has it
            schema.setdefault("additionalProperties", False)
        # Paths without an id first: `/conversations/events` is no conversation.
        paths = sorted(described["paths"], key=lambda path: "{" in path)
        self._paths = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in paths]

    def operation(self, request: httpx.Request) -> dict[str, Any] | None:
        """What is said of a request's path and method; None where it is no call of ours."""
        found = next((path for pattern, path in self._paths if pattern.fullmatch(request.url.path)), None)
        return self._document["paths"][found].get(request.method.lower()) if found else None

    async def check(self, answer: httpx.Response) -> None:
        """Assert that an answer is one of those that the document has; a hook of httpx."""
        operation = self.operation(answer.request)
        if operation is None or answer.status_code in EVERYWHERE:
            return
        name, status = operation["operationId"], answer.status_code
        described = operation["responses"].get(str(status))
        assert described, f"{name} answers {status}, which the document does not have"
        self.seen.add((name, status))
        if answer.is_success:
            self._check_request(operation, answer.request)
        content = described.get("content", {})
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        assert media_type in content if content else not media_type, f"{name} answers {status} as {media_type!r}"
        if media_type.endswith("json") and self._is_worth_a_look(name, await answer.aread()):
            self.validate(answer.json(), content[media_type]["schema"])
        for header in set(answer.headers) & {"location", "idempotency-replayed", "retry-after", "x-reply-id"}:
            assert header in {name.lower() for name in described.get("headers", {})}, f"{name} {status} has {header}"

    def _is_worth_a_look(self, name: str, body: bytes) -> bool:
        self._long[name] += len(body) > LONG
        return len(body) <= LONG or self._long[name] <= 10

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        """Assert that a value is what a schema of the document says."""
        Draft202012Validator({**schema, "components": self._document["components"]}).validate(value)

    def _check_request(self, operation: dict[str, Any], request: httpx.Request) -> None:
        parameters = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
        for name, text in request.url.params.multi_items():
            assert name in parameters, f"{operation['operationId']} takes {name}, which the document does not have"
            schema = parameters[name]["schema"]
            if text:
                self.validate(_read(text, schema["type"]), schema)
        if request.content:
            self.validate(
                json.loads(request.content), operation["requestBody"]["content"]["application/json"]["schema"]
            )


def _read(text: str, type: str) -> Any:
    return [text] if type == "array" else json.loads(text) if type in ("integer", "number") else text


@functools.cache
def contract() -> Contract:
    """The one that all tests share."""
    return Contract(document())
