"""A responder as the server holds it: a name, options, and `open`, which turns a prompt into pieces."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Coroutine, Generator, Iterator, Mapping
from typing import Any, cast

import msgspec

from responders.base import Piece, Prompt
from responders.threaded import in_thread

_REFUSED = re.compile(r"(?P<message>.*?)(?: - at (?:key in )?`\$\.?(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.+)`")


class LoadError(Exception):
    """Something is not a responder, or could not be loaded; the message is a sentence that a person can act on."""


class OptionError(Exception):
    """An option is refused: `path` names it (empty where it is the options as a whole), `message` says why."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(path, message)
        self.path = path
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Responder:
    """A name and an async generator: what the server asks for replies.

    `source` is what an author writes: an async generator function, a plain one, a class or an object whose `__call__`
    is one of these, or a callable that returns an async iterator. A class is created here, once, without arguments.
    Raises `LoadError` for anything else.
    """

    name: str
    description: str
    """The first line of the author's docstring, or an empty string."""
    options: type[msgspec.Struct] | None
    option_names: tuple[str, ...]
    """What the options are called, looked up once: msgspec takes its time for it."""

    def __init__(self, name: str, source: object) -> None:
        target = _created(name, source) if isinstance(source, type) else source
        if not callable(target):
            raise LoadError(f"{name} cannot be called; a responder is an async generator function or a class of one.")
        inner = _unwrapped(target)
        self._call: Callable[[Prompt], object] = target
        self._code = inner if inspect.isroutine(inner) else type(inner).__call__
        """The function that runs when the target is called."""
        if inspect.iscoroutinefunction(self._code):
            raise LoadError(f"{name} is a coroutine function without a `yield`; a responder yields its reply.")
        if not _takes_a_prompt(target):
            raise LoadError(f"{name} cannot be called with one argument, the prompt.")
        self.name = name
        self.description = _first_line(inner if inspect.isroutine(inner) else type(inner))
        self.options = _options_of(name, inner)
        fields = msgspec.structs.fields(self.options) if self.options else ()
        self.option_names = tuple(field.encode_name for field in fields)

    def __repr__(self) -> str:
        return f"<Responder {self.name}>"

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the options: an object that allows no other names."""
        if self.options is None:
            return {"type": "object", "properties": {}, "additionalProperties": False}
        return _schema(self.options)

    def parse_options(self, raw: Mapping[str, Any] | None) -> msgspec.Struct | None:
        """Return the options of one prompt, or None where the responder has none.

        Unknown names and numbers that are not finite are refused, whatever the author's struct allows. Raises
        `OptionError`.
        """
        given = dict(raw or {})
        known = self.option_names
        for name in given:
            if name not in known:
                which = f"it has {', '.join(known)}" if known else "it has none"
                raise OptionError(name, f"{self.name} has no option of this name; {which}")
        for path, number in _floats(given):
            if not math.isfinite(number):
                raise OptionError(path, "This number must be finite")
        return _converted(given, self.options) if self.options else None

    def open(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Return the reply's generator, not yet started; the reader closes it (`aclosing`)."""
        if inspect.isasyncgenfunction(self._code):
            return cast(AsyncGenerator[Piece, None], self._call(prompt))
        return self._read(prompt)

    async def _read(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        result = self._call(prompt)
        if isinstance(result, Generator):
            result = in_thread(self.name, result)
        if isinstance(result, Coroutine):
            result.close()
        if not isinstance(result, AsyncIterable):
            raise TypeError(f"the responder {self.name} returned {type(result).__name__}, not an async generator")
        try:
            async for piece in result:
                yield piece
        finally:
            if close := getattr(result, "aclose", None):
                await close()


# What an author wrote


def _created(name: str, source: type) -> object:
    try:
        return source()
    except Exception as error:
        raise LoadError(f"The class {name} cannot be created without arguments: {describe(error)}.") from error


def _unwrapped(target: object) -> object:
    while isinstance(target, functools.partial):
        target = target.func
    return target


def _takes_a_prompt(target: Callable[..., object]) -> bool:
    try:
        inspect.signature(target).bind(None)
    except TypeError:
        return False
    except ValueError:  # a callable written in C may have no signature; the first call will tell
        return True
    return True


def _first_line(author: object) -> str:
    return (inspect.getdoc(author) or "").partition("\n")[0].strip()


def _options_of(name: str, inner: object) -> type[msgspec.Struct] | None:
    options = getattr(inner, "Options", None)
    if options is None:
        return None
    if not (isinstance(options, type) and issubclass(options, msgspec.Struct)) or options.__struct_config__.array_like:
        raise LoadError(f"{name}.Options is not a msgspec.Struct with named fields.")
    try:
        _schema(options)
    except Exception as error:
        raise LoadError(f"{name}.Options cannot be described as JSON Schema: {describe(error)}.") from error
    return options


def describe(error: BaseException) -> str:
    """Return an exception as a clause of one line, without a full stop."""
    message = " ".join(str(error).split()).removesuffix(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


# Options


def _schema(options: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the struct's schema with the struct itself at the root; what it refers to stays in `$defs`."""
    (root,), definitions = msgspec.json.schema_components([options], ref_template="#/$defs/{name}")
    own = root["$ref"].rpartition("/")[2]
    refers_to_itself = root["$ref"] in _references(definitions)
    others = {name: schema for name, schema in definitions.items() if name != own or refers_to_itself}
    schema = {**definitions[own], "additionalProperties": False}
    return {**schema, "$defs": others} if others else schema


def _references(schema: object) -> set[str]:
    if isinstance(schema, dict):
        here = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set[str]()
        return here.union(*map(_references, schema.values()))
    if isinstance(schema, list | tuple):
        return set[str]().union(*map(_references, schema))
    return set()


def _floats(given: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every float in a JSON object, at any depth, with its path."""
    rest: list[tuple[str, object]] = list(given.items())
    while rest:
        path, value = rest.pop()
        if isinstance(value, float):
            yield path, value
        elif isinstance(value, Mapping):
            rest += [(f"{path}.{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list | tuple):
            rest += [(f"{path}[{index}]", inner) for index, inner in enumerate(value)]


def _converted(given: dict[str, Any], options: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.convert(given, options)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except Exception as error:  # from the author's `__post_init__`: a refusal as well
        raise OptionError("", describe(error)) from error


def _refusal(text: str) -> OptionError:
    """Return msgspec's message, such as "Expected `int`, got `str` - at `$.seed`", with its path taken out."""
    refused = _REFUSED.fullmatch(text)
    message, path = (refused["message"], refused["path"] or "") if refused else (text, "")
    missing = _MISSING.fullmatch(message)
    if missing:
        return OptionError(f"{path}.{missing['name']}".removeprefix("."), "This option is required")
    return OptionError(path, message)
