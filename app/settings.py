"""The settings: one frozen struct, read once from environment variables with the prefix `TICKERTAPE_`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import inspect

from app.errors import StartError

PREFIX = "TICKERTAPE_"

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Size = Annotated[int, msgspec.Meta(ge=1, le=2**30)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]

_HOST = r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_ORIGIN = rf"https?://{_HOST}(:[0-9]{{1,5}})?"


def _listed(item: str) -> str:
    return rf"^\s*({item}(\s*,\s*{item})*)?\s*$"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set; sizes in bytes, times in seconds."""

    host: Annotated[str, msgspec.Meta(min_length=1, description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="The port to listen on; 0 takes a free one.")] = 8000
    data: Annotated[str, msgspec.Meta(min_length=1, description="The folder that everything is stored in.")] = "./data"
    responder: Annotated[
        str, msgspec.Meta(min_length=1, description="The default responder: a name, `module:attr` or `file.py:attr`.")
    ] = "mock"
    reload: Annotated[bool, msgspec.Meta(description="Load a changed responder file again for the next prompt.")] = (
        False
    )
    drain_seconds: Annotated[Seconds, msgspec.Meta(description="How long running replies may go on at the end.")] = 25.0
    allow_remote: Annotated[bool, msgspec.Meta(description="Listen on other addresses than loopback.")] = False
    allowed_hosts: Annotated[
        str,
        msgspec.Meta(
            pattern=_listed(_HOST),
            description="Names that the server goes by, beside localhost, 127.0.0.1, [::1] and where it listens.",
            extra={
                "form": "names or addresses without ports and separated by commas, such as `tape.example, [fd00::1]`"
            },
        ),
    ] = ""
    allowed_origins: Annotated[
        str,
        msgspec.Meta(
            pattern=_listed(_ORIGIN),
            description="The origins whose pages may use the server, beside its own.",
            extra={
                "form": "origins separated by commas, each a scheme, a host and maybe a port, without a path, such as `https://tape.example`"
            },
        ),
    ] = ""
    max_prompt_bytes: Annotated[Size, msgspec.Meta(description="The longest prompt.")] = 262_144
    max_reply_bytes: Annotated[Size, msgspec.Meta(description="The longest reply.")] = 1_048_576
    max_messages: Annotated[Count, msgspec.Meta(description="The most messages in a conversation.")] = 1000
    max_running: Annotated[Count, msgspec.Meta(description="The most replies that run at a time.")] = 64
    max_streams: Annotated[Count, msgspec.Meta(description="The most open streams.")] = 1000
    max_broadcast_bytes: Annotated[Size, msgspec.Meta(description="The longest broadcast message.")] = 65_536
    reply_idle_seconds: Annotated[
        float, msgspec.Meta(gt=0, le=86_400, description="How long a reply may go without a part before it fails.")
    ] = 120.0

    @property
    def folder(self) -> Path:
        """The data folder."""
        return Path(self.data).expanduser()

    @classmethod
    def read(cls, environment: Mapping[str, str], options: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings of an environment; `options` go before it. Raises `StartError`, naming the variable."""
        names = {name: PREFIX + name.upper() for name in cls.__struct_fields__}
        _check_names(environment, [name.upper() for name in names])
        given: dict[str, Any] = {name: environment[key] for name, key in names.items() if environment.get(key)}
        given |= {name: value for name, value in (options or {}).items() if value is not None}
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            name = str(error).partition(" - at `$.")[2].rstrip("`")
            form = _form(next(field.type for field in msgspec.structs.fields(cls) if field.name == name))
            raise StartError(f"The setting {names[name]} is not valid: it has to be {form}.") from error


def _check_names(environment: Mapping[str, str], known: list[str]) -> None:
    """Refuse a variable that is spelled as if it were ours: whoever set it believes that it is in force."""
    given = (key.removeprefix(PREFIX) for key, value in environment.items() if key.startswith(PREFIX) and value)
    for name in sorted(set(given) - set(known)):
        near = get_close_matches(name, known, 1)
        hint = f"did you mean {PREFIX}{near[0]}?" if near else "`tickertape config` lists all that there are."
        raise StartError(f"There is no setting {PREFIX}{name}; {hint}")


def _form(annotation: Any) -> str:
    """Say what a setting has to be."""
    kind = inspect.type_info(annotation)
    extra: dict[str, str] = {}
    if isinstance(kind, inspect.Metadata):
        extra = kind.extra or {}
        kind = kind.type
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number from {kind.ge} to {kind.le}"
        case inspect.FloatType():
            return f"a number {f'from {kind.ge:g}' if kind.gt is None else f'above {kind.gt:g}'} to {kind.le:g}"
    return extra.get("form", "a text that is not empty")
