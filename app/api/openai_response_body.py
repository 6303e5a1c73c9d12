"""What is posted to `/v1/responses`, read as a question; what would mislead where it was ignored is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from app.codecs.openai_response import Echo
from app.errors import Invalid
from responders.base import Tool

_PARAMETERS = {"reasoning_effort": "reasoning.effort", "verbosity": "text.verbosity"}
"""What is an option by one name and a parameter by another."""
_CHOICES = ("auto", "none", "required")

Penalty = Annotated[float, Meta(ge=-2, le=2)]
Key = Annotated[str, Meta(max_length=512)]


class ConversationName(msgspec.Struct):
    """A conversation by its id."""

    id: str


class TextConfig(msgspec.Struct):
    """How the text is to be."""

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningConfig(msgspec.Struct):
    """How much is to be thought; that is told as a summary, whichever is asked for."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class NewResponse(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/responses`; null is the same as absent."""

    input: str | list[Any]
    model: str | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | ConversationName | None = None
    stream: bool | None = None
    background: bool | None = None
    store: bool | None = None
    tools: Annotated[list[Any], Meta(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Annotated[dict[str, str], Meta(max_length=16)] | None = None
    safety_identifier: Key | None = None
    prompt_cache_key: Key | None = None
    options: dict[str, Any] | None = None
    """The responder's own."""
    # What follows changes nothing in an answer, so it is taken and passed over.
    include: list[str] | None = None
    stream_options: dict[str, Any] | None = None
    service_tier: str | None = None
    user: str | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Any = None
    access_programs: Any = None
    # What nobody here does.
    prompt: Any = None
    max_tool_calls: Any = None
    moderation: Any = None
    context_management: Any = None
    background_options: Any = None
    image: Any = None

    def check(self) -> None:
        """Refuse what cannot be done, or not together. Raises `Invalid`."""
        for name in ("prompt", "max_tool_calls", "moderation", "context_management", "background_options", "image"):
            if getattr(self, name) is not None:
                raise Invalid("This is not done here.", name)
        if self.background and self.store is False:
            raise Invalid("A response in the background has to be stored.", "background")
        if self.conversation is not None and self.previous_response_id is not None:
            raise Invalid("It goes with no previous_response_id: that names a conversation already.", "conversation")
        if self.top_logprobs or "message.output_text.logprobs" in (self.include or ()):
            raise Invalid(
                "No probabilities of tokens are known here.", "top_logprobs" if self.top_logprobs else "include"
            )
        for name, value in (self.metadata or {}).items():
            if len(name) > 64 or len(value) > 512:
                raise Invalid("Its names have at most 64 characters, and its values 512.", "metadata")

    @property
    def conversation_id(self) -> str | None:
        """The conversation that is named."""
        return self.conversation.id if isinstance(self.conversation, ConversationName) else self.conversation

    def echo(self) -> Echo:
        """Return what the response is to say again."""
        given: dict[str, Any] = {}
        for name in Echo.__struct_fields__:
            if (value := getattr(self, name, None)) is not None:
                given[name] = msgspec.to_builtins(value) if isinstance(value, msgspec.Struct) else value
        for name in ("text", "reasoning"):
            given[name] = {key: value for key, value in given.get(name, {}).items() if value is not None}
        return Echo(**given, strict=tuple(tool.get("strict") for tool in self.tools or ()))

    def sampling(self) -> dict[str, Any]:
        """Return what is asked of a responder that has options of these names, and of no other."""
        wanted = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
            "parallel_tool_calls": self.parallel_tool_calls,
            "reasoning_effort": self.reasoning.effort if self.reasoning else None,
            "verbosity": self.text.verbosity if self.text else None,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def name_of(self, path: str) -> str:
        """Return the path of what is wrong as the request has it: an option may have been sent as a parameter."""
        name = path.removeprefix("options.")
        return _PARAMETERS.get(name, name) if name in self.sampling() and name not in (self.options or {}) else path

    def response_format(self) -> dict[str, Any] | None:
        """Return the form that the text has to have, as chat completions name it; None for any. Raises `Invalid`."""
        given = self.text.format if self.text else None
        match given:
            case None | {"type": "text"}:
                return None
            case {"type": "json_object"}:
                return {"type": "json_object"}
            case {"type": "json_schema"}:
                return {"type": "json_schema", "json_schema": {k: v for k, v in given.items() if k != "type"}}
        raise Invalid("Its type is text, json_object or json_schema.", "text.format")


def read_tools(given: Sequence[Any]) -> Iterator[Tool]:
    """Yield the tools that a request offers. Raises `Invalid`: for built-in ones, too, since no model has them here."""
    for place, tool in enumerate(given):
        at = f"tools[{place}]"
        if not isinstance(tool, dict) or tool.get("type") != "function":
            raise Invalid("A tool is a function that you run yourself: none is built in here.", f"{at}.type")
        name, parameters = tool.get("name"), tool.get("parameters")
        if not isinstance(name, str) or not 1 <= len(name) <= 200:
            raise Invalid("A function has a name of at most 200 characters.", f"{at}.name")
        for key, value, type in (
            ("description", tool.get("description"), str),
            ("parameters", parameters, dict),
            ("strict", tool.get("strict"), bool),
        ):
            if value is not None and not isinstance(value, type):
                raise Invalid(f"It is a {_TYPES[type]}.", f"{at}.{key}")
        yield Tool(name, tool.get("description") or "", parameters or {})


_TYPES: Mapping[type, str] = {str: "text", dict: "JSON Schema, an object", bool: "boolean"}


def read_tool_choice(given: str | Mapping[str, Any] | None, tools: Sequence[Tool]) -> str:
    """Return which tool is to be called: `auto`, `none`, `required`, or a name. Raises `Invalid`."""
    if given is None:
        return "auto"
    if isinstance(given, str) and given in _CHOICES:
        if given == "required" and not tools:
            raise Invalid("There are no tools to call.", "tool_choice")
        return given
    if isinstance(given, Mapping) and given.get("type") == "function":
        name = given.get("name")
        if name in [tool.name for tool in tools] and name not in _CHOICES:
            return str(name)
        raise Invalid("There is no such tool in this request.", "tool_choice.name")
    raise Invalid("It is auto, none, required, or one function as {type, name}.", "tool_choice")
