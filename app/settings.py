"""The settings: one frozen struct, read once from environment variables with the prefix `TICKERTAPE_`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from app.errors import StartError

PREFIX = "TICKERTAPE_"

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Size = Annotated[int, msgspec.Meta(ge=1, le=2**30)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set; sizes in bytes, times in seconds."""

    host: Annotated[str, msgspec.Meta(min_length=1, description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535, description="The port to listen on; 0 takes a free one.")] = 8000
    data: Annotated[str, msgspec.Meta(min_length=1, description="The folder that everything is stored in.")] = "./data"
    responder: Annotated[
        str, msgspec.Meta(min_length=1, description="The default responder: a name, `module:attr` or `file.py:attr`.")
    ] = "mock"
    drain_seconds: Annotated[Seconds, msgspec.Meta(description="How long running replies may go on at the end.")] = 25.0
    allow_remote: Annotated[bool, msgspec.Meta(description="Listen on other addresses than loopback.")] = False
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
        given: dict[str, Any] = {name: environment[key] for name, key in names.items() if environment.get(key)}
        given |= {name: value for name, value in (options or {}).items() if value is not None}
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            reason, _, place = str(error).partition(" - at `$.")
            name = place.rstrip("`")
            raise StartError(f"The setting {names.get(name, name)} is not valid: {reason}.") from error
