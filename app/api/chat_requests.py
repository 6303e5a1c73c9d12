"""What OpenAI's clients ask of chat completions: their messages read as turns, their parameters as ours.

Whatever is not named here is passed over, as clients send much that changes nothing. What would be missed where it is
passed over is named, and refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.api.openai_options import read_options
from app.api.requests import OPTIONS_BYTES
from app.errors import Invalid, TooLarge
from app.messages import Parameters
from responders.base import Image, Part, Reasoning, Text, Tool, ToolCall, ToolResult, Turn
from responders.registry import Registry

SAMPLING = (
    "temperature",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
)
"""What reaches a responder that has an option of that name, and is passed over by any other."""
_NOT_HERE = {
    "functions": "Functions are sent as tools.",
    "function_call": "What is to be called is said in tool_choice.",
    "audio": "Nothing is spoken here.",
    "prediction": "No predicted output is taken.",
    "web_search_options": "Nothing is searched for here; give the model a tool.",
}
_CHOICES = ("auto", "none", "required")
Tokens = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class ImageURL(msgspec.Struct):
    """Where an image is; a `data:` URL holds it."""

    url: str


class ContentPart(msgspec.Struct):
    """A part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageURL | None = None


class SentFunction(msgspec.Struct):
    """Which function was called; `arguments` is JSON text."""

    name: str
    arguments: str


class SentCall(msgspec.Struct):
    """A call of a tool that an assistant made."""

    id: str
    function: SentFunction | None = None


class ChatMessage(msgspec.Struct):
    """A message of the history that is sent."""

    role: str
    content: str | list[ContentPart] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[SentCall] | None = None
    tool_call_id: str | None = None


class ToolFunction(msgspec.Struct):
    """A function that may be called; `parameters` is a JSON Schema."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ChatTool(msgspec.Struct):
    """A tool that is offered; the only type is `function`."""

    type: str
    function: ToolFunction | None = None


class StreamOptions(msgspec.Struct):
    """What a stream has beside the reply."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct):
    """The body of `POST /v1/chat/completions`; `model` is a responder, `options` are its own."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    model: str | None = None
    options: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    tools: list[ChatTool] | None = None
    tool_choice: str | dict[str, Any] | None = None
    temperature: Any = None
    top_p: Any = None
    seed: Any = None
    stop: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None
    logit_bias: Any = None
    reasoning_effort: Any = None
    verbosity: Any = None
    parallel_tool_calls: Any = None
    response_format: Any = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: list[str] | None = None
    functions: Any = None
    function_call: Any = None
    audio: Any = None
    prediction: Any = None
    web_search_options: Any = None


def read_chat(sent: ChatRequest, max_messages: int) -> tuple[ChatRequest, list[Turn]]:
    """Return a request and its messages as turns. Raises `Invalid`, and `TooLarge` for too many."""
    _check(sent)
    if len(sent.messages) > max_messages:
        raise TooLarge(f"A conversation holds {max_messages} messages at most.")
    turns = list(_turns(sent.messages))
    if not any(turn.role == "user" for turn in turns):
        raise Invalid("One of the messages has to be a user's.", "messages")
    if turns[-1].role == "assistant":
        raise Invalid("The last message is the assistant's already: there is nothing to answer.", "messages")
    return sent, turns


def parameters_of(sent: ChatRequest, registry: Registry) -> tuple[Parameters, set[str]]:
    """Return what a reply is asked for with, and which of its options were sent as parameters. Raises `Invalid`."""
    given = sent.options or {}
    if given and len(msgspec.json.encode(given)) > OPTIONS_BYTES:
        raise TooLarge(f"The options are longer than {OPTIONS_BYTES} bytes.")
    sampling = {name: value for name in SAMPLING if (value := getattr(sent, name)) is not None}
    if isinstance(stop := sampling.get("stop"), str):
        sampling["stop"] = [stop]
    options = read_options(
        registry=registry,
        name=sent.model,
        given=given,
        sampling=sampling,
        form=_form(sent.response_format),
        path="response_format",
    )
    tools = tuple(_tools(sent.tools or ()))
    parameters = Parameters(
        options=options,
        tools=tools,
        tool_choice=_tool_choice(sent.tool_choice, tools),
        max_tokens=sent.max_completion_tokens or sent.max_tokens,
    )
    return parameters, options.keys() - given.keys()


def _check(sent: ChatRequest) -> None:
    """Refuse what would be missed. Raises `Invalid`."""
    if sent.n not in (None, 1):
        raise Invalid("There is one answer to a prompt: n can only be 1.", "n")
    for name in ("logprobs", "top_logprobs"):
        if getattr(sent, name):
            raise Invalid("No probabilities of tokens are known here.", name)
    if any(modality != "text" for modality in sent.modalities or ()):
        raise Invalid("The only modality is text.", "modalities")
    for name, why in _NOT_HERE.items():
        if getattr(sent, name) is not None:
            raise Invalid(why, name)


def _form(asked: Any) -> dict[str, Any] | None:
    """Return the form that an answer is to have; None for text, which is what there is anyway. Raises `Invalid`."""
    if asked is None:
        return None
    if not isinstance(asked, dict):
        raise Invalid("It is an object that has a type.", "response_format")
    return None if asked.get("type") == "text" else asked


# Tools


def _tools(sent: Sequence[ChatTool]) -> Iterator[Tool]:
    for place, tool in enumerate(sent):
        if tool.type != "function" or tool.function is None:
            raise Invalid("A tool is of type function, and says which.", f"tools[{place}]")
        function = tool.function
        yield Tool(function.name, function.description or "", function.parameters or {})


def _tool_choice(choice: str | Mapping[str, Any] | None, tools: Sequence[Tool]) -> str:
    if isinstance(choice, str | None):
        if choice not in (None, *_CHOICES):
            raise Invalid("It is auto, none, required, or an object that names a function.", "tool_choice")
        return choice or "auto"
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if choice.get("type") != "function" or name not in [tool.name for tool in tools] or name in _CHOICES:
        raise Invalid("It names none of the functions among the tools.", "tool_choice")
    return str(name)


# Messages


def _turns(messages: Sequence[ChatMessage]) -> Iterator[Turn]:
    called: set[str] = set()
    for place, message in enumerate(messages):
        path = f"messages[{place}]"
        match message.role:
            case "system" | "developer":
                yield _turn("system", _texts(message, path))
            case "user":
                yield _turn("user", list(_said(message, path)))
            case "assistant":
                turn = _answer(message, path)
                called |= {part.call_id for part in turn.parts if isinstance(part, ToolCall)}
                yield turn
            case "tool":
                if message.tool_call_id not in called or message.tool_call_id is None:
                    raise Invalid("No call of a tool before this message has this id.", f"{path}.tool_call_id")
                result = "".join(part.text for part in _texts(message, path))
                yield Turn("tool", (ToolResult(message.tool_call_id, result),), "")
            case _:
                raise Invalid("A role is one of system, developer, user, assistant and tool.", f"{path}.role")


def _turn(role: Any, parts: Sequence[Part]) -> Turn:
    return Turn(role, tuple(parts), "".join(part.text for part in parts if isinstance(part, Text)))


def _answer(message: ChatMessage, path: str) -> Turn:
    """Return what an assistant said; one that said nothing and called nothing is an empty turn, as such a reply is."""
    parts: list[Part] = [Reasoning(message.reasoning_content)] if message.reasoning_content else []
    if message.content is not None:
        parts += [part for part in _texts(message, path) if part.text]
    if message.refusal:
        parts.append(Text(message.refusal))
    for place, call in enumerate(message.tool_calls or ()):
        if call.function is None:
            raise Invalid("Only calls of functions are known here.", f"{path}.tool_calls[{place}]")
        parts.append(ToolCall(call.id, call.function.name, call.function.arguments))
    return _turn("assistant", parts)


def _texts(message: ChatMessage, path: str) -> list[Text]:
    texts = [part for part in _said(message, path) if isinstance(part, Text)]
    if isinstance(message.content, list) and len(texts) < len(message.content):
        raise Invalid("Only a user sends images.", f"{path}.content")
    return texts


def _said(message: ChatMessage, path: str) -> Iterator[Text | Image]:
    if isinstance(message.content, str):
        yield Text(message.content)
        return
    if not message.content:
        raise Invalid("The message has no content.", f"{path}.content")
    for place, part in enumerate(message.content):
        match part:
            case ContentPart(type="text", text=str(text)):
                yield Text(text)
            case ContentPart(type="refusal", refusal=str(text)):
                yield Text(text)
            case ContentPart(type="image_url", image_url=ImageURL(url=url)):
                yield Image(url)
            case _:
                known = "A part is a text, with its text, or an image_url, with its url"
                raise Invalid(f"{known}; audio and files are not read here.", f"{path}.content[{place}]")
