"""A piece of a reply's text, as it is stored, for codecs that put it into frames of their own. Pure."""

from __future__ import annotations

import msgspec


class Delta(msgspec.Struct):
    """A `reply.delta` whose text is left as the JSON that it is: whoever sends it on need not read it."""

    reply_id: str
    part: int
    text: msgspec.Raw
    kind: str | None = None


read_delta = msgspec.json.Decoder(Delta).decode
