"""What OpenAI's parameters are to a responder: an option where it has one of that name, and otherwise nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import Invalid
from responders.registry import Registry, UnknownResponder
from responders.responder import LoadError

FORMAT = "response_format"
"""The option of a responder that can answer in a form that is asked for."""


def read_options(
    registry: Registry,
    name: str | None,
    given: Mapping[str, Any] | None,
    *,
    sampling: Mapping[str, Any],
    form: Mapping[str, Any] | None,
    path: str,
) -> dict[str, Any]:
    """Return the options for a responder: those that are `given` as such, and what it takes of the others.

    How a text is sampled is a wish that a responder may not know. A `form` is none: who asked for JSON would take any
    other answer for it, so that is refused, naming `path`. Raises `Invalid`.
    """
    try:
        responder = registry.get(registry.default if name is None else name)
    except (UnknownResponder, LoadError):
        return dict(given or {})  # whoever is to answer is looked for once more, and then missed
    has = responder.option_names
    if form is not None and FORMAT not in has:
        raise Invalid(f"{responder.name} answers in plain text only.", path)
    wanted = {**sampling, FORMAT: form} if form is not None else sampling
    return {**{name: value for name, value in wanted.items() if name in has}, **(given or {})}
