"""Why an upstream gave no reply: its answer in, a sentence out that a person can act on. No I/O."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

MAX_SAID = 300
"""How many characters of an upstream's own words are passed on."""

AGAIN = frozenset({408, 409, 429})
"""The statuses below 500 after which the same request may succeed."""

_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_STATUS = re.compile(r"[45][0-9][0-9]")
_TOO_LONG = re.compile(
    r"context.?(length|size|window)|maximum context|too many (input )?tokens|prompt is too long", re.IGNORECASE
)


class Upstream(msgspec.Struct, frozen=True):
    """Who was asked, as far as it may be told: `host` with its port, the model's name, and whether a key was sent."""

    host: str
    model: str = ""
    keyed: bool = False


class Complaint(msgspec.Struct, frozen=True):
    """An upstream's own words: a code or type of error, lower case, and a message; either may be empty."""

    code: str = ""
    message: str = ""


def complaint(body: bytes, secret: str = "") -> Complaint:
    """Return what an error's body says, in any of the forms that upstreams use; a web page says nothing.

    Some say the key aloud that they refuse: a secret is taken out, before anything is cut.
    """
    try:
        said: Any = json.loads(body.decode(errors="replace"))
    except (ValueError, RecursionError):
        return Complaint()
    if isinstance(said, list) and said:
        said = said[0]
    if isinstance(said, dict):
        said = said.get("error") or said.get("message") or said.get("detail") or ""
    if not isinstance(said, dict):
        return Complaint(message=_plain(said, secret))
    code, message = said.get("code") or said.get("type"), said.get("message")
    return Complaint(_plain(code, secret).lower(), _plain(message, secret))


def is_final(status: int, said: Complaint) -> bool:
    """Whether the same request would be refused again."""
    return (status < 500 and status not in AGAIN) or said.code in _QUOTA or _lacks(said)


def refusal(upstream: Upstream, status: int, said: Complaint) -> str:
    """Return the sentence for an answer that is an error."""
    host = upstream.host
    match status:
        case 401 if upstream.keyed:
            return f"{host} does not accept the API key: check OPENAI_API_KEY."
        case 401:
            return f"{host} wants an API key: set OPENAI_API_KEY, and start the server again."
        case 403:
            return _with(f"{host} does not allow this with this API key", said)
        case 413:
            return _too_long(upstream)
    if status == 402 or said.code in _QUOTA:
        return f"The account at {host} has nothing left to spend: check its plan and its billing."
    if said.code == "context_length_exceeded" or (400 <= status < 500 and _TOO_LONG.search(said.message)):
        return _too_long(upstream)
    if said.code == "model_not_found" or (status == 404 and "model" in said.message.lower()):
        model = upstream.model or "of its own choice"
        return f"{host} has no model {model}: name another one, with OPENAI_MODEL or the option `model`."
    if 300 <= status < 400:
        return f"{host} sends on to another address (status {status}), to which no key is sent: check OPENAI_BASE_URL."
    if status in (404, 405):
        return f"{host} has no chat completions here (status {status}): check OPENAI_BASE_URL, which often ends in /v1."
    if status == 429:
        return f"{host} takes no more requests just now: try again in a minute."
    if (status >= 500 or status in AGAIN) and not _lacks(said):
        return _with(f"{host} is not able to answer just now (status {status}): try again later", said)
    return _with(f"{host} refuses the request (status {status})", said)


def report(upstream: Upstream, said: Complaint) -> str:
    """Return the sentence for an error in mid-reply."""
    if _STATUS.fullmatch(said.code):
        return refusal(upstream, int(said.code), said)
    if said.code in _QUOTA or said.code == "context_length_exceeded" or _TOO_LONG.search(said.message):
        return refusal(upstream, 400, said)
    return _with(f"{upstream.host} broke the reply off", said)


def _lacks(said: Complaint) -> bool:
    """Whether it says that it cannot do this at all: some tell it with a 500, of images for one."""
    return "not supported" in said.message


def _too_long(upstream: Upstream) -> str:
    model = f"the model {upstream.model}" if upstream.model else "the model"
    return f"The conversation is too long for {model}: begin a new one, or name a model with more room."


def _with(sentence: str, said: Complaint) -> str:
    return f"{sentence}. It says: {said.message}" if said.message else f"{sentence}."


def _plain(said: object, secret: str) -> str:
    """Return what may be shown in a line of its own: no control or direction characters, and not too much."""
    text = said if isinstance(said, str) else "" if said is None else json.dumps(said)
    if secret:
        text = text.replace(secret, "(the key)")
    words = " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * MAX_SAID]).split())
    return words if len(words) <= MAX_SAID else f"{words[: MAX_SAID - 3]}..."
