"""What can go wrong, in the domain's words; `app.api.problems` turns each into an HTTP answer."""

from __future__ import annotations


class TickertapeError(Exception):
    """The root of all errors that a caller may meet; `str()` is a sentence for people."""


RESTORE = "Put a copy of the data folder back, or move it away to begin anew."
"""What people can do about a store that cannot be read."""


class StartError(TickertapeError):
    """The server cannot start: a setting, the data folder, the database or the port is not as it must be."""


class Malformed(TickertapeError):
    """A request that cannot be read at all: broken JSON, a broken Idempotency-Key."""


class Unsupported(TickertapeError):
    """A body in another form than JSON in UTF-8."""


class Invalid(TickertapeError):
    """A request that can be read but says something wrong; `path` names the field or parameter."""

    def __init__(self, detail: str, path: str = "") -> None:
        super().__init__(detail)
        self.path = path


class NotFound(TickertapeError):
    """No such thing, or it belongs to somebody else: the two look the same from outside."""


class StillRunning(TickertapeError):
    """The call conflicts with replies that have not ended."""

    def __init__(self, detail: str, running: tuple[str, ...]) -> None:
        super().__init__(detail)
        self.running = running


class TooLarge(TickertapeError):
    """A body, a prompt or a conversation over its limit."""


class Full(TooLarge):
    """A conversation that takes no more messages; another one does."""


class TooMany(TickertapeError):
    """A count over its limit; it may succeed later."""


class Draining(TickertapeError):
    """The server is about to end and takes nothing new."""


class NotReady(TickertapeError):
    """What the call needs is still being made; it will succeed later."""


class NotStoring(TickertapeError):
    """The store did not take the write, so nothing has happened."""
