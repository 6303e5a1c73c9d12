"""One HTTP connection: what may come in on it, how much, how slowly, and what is answered to what is no HTTP."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.wire import SLOWEST_BODY, TransportWire
from app.heads import MAX_HEAD_BYTES, NO_PATH, TOO_LARGE, Refused, check_head, find_end, is_handshake, write_problem
from app.outgoing import OutgoingProtocol

MAX_AHEAD_BYTES = 64 * 1024
"""How much of the requests behind the one that is being answered is read ahead."""
MAX_REFUSING = 100
"""How many connections over the limit are told so; more are cut without a word."""
MAX_PIECES = 1000
"""How many pieces are fed at a time, so that nobody waits for a body that looks like an end all over."""
_EMPTY_LINES = re.compile(rb"[\r\n]*")
_LATE = "The request did not arrive in time."


class Protocol(OutgoingProtocol):
    """uvicorn's protocol, with limits on what it reads; requests are read one at a time.

    The parser is fed up to the end of a message and not beyond it, so that the bytes behind it wait, as bytes, until
    it is answered. Whatever is refused here is answered with a problem, and the connection ends.
    """

    HEAD_SECONDS = 10.0
    BODY_SECONDS = 10.0
    LINGER_SECONDS = 5.0
    """How long is read on past an answer that came before the request was whole: closing would take it back."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_connections, self.limit_concurrency = self.limit_concurrency, None
        self._head = 0
        """How much of the next head has come in; 0 between messages."""
        self._in_body = False
        self._left: int | None = 0
        """How much of the body is to come; None where it is chunked."""
        self._came = 0
        """How much of the body has come in."""
        self._between = 0
        """How much came in since the last byte of a chunked body, to bound chunk extensions and trailers."""
        self._began = 0.0
        """When the body began to come in."""
        self._last_bytes = b""
        """The last three that were fed, where the end of a message may have begun."""
        self._ahead = bytearray()
        self.refused = False
        self._ended = False
        """Whether the client sends no more."""

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, or say that there are too many connections."""
        super().connection_made(transport)
        over = len(self.connections) - (self._max_connections or len(self.connections))
        if over > MAX_REFUSING:
            transport.abort()
        elif over > 0 and over > sum(isinstance(c, Protocol) and c.refused for c in self.connections):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.")
        else:
            self._arm(self.HEAD_SECONDS, transport.close)  # nothing was asked, so nothing is answered

    def data_received(self, data: bytes) -> None:
        """Read a request, or put by what comes behind one."""
        if self.refused:
            return
        if self._ahead or self._answering():
            self._ahead += data
            if len(self._ahead) > MAX_AHEAD_BYTES:
                self.flow.pause_reading()
        else:
            self._read(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Note that the client sends no more; says whether it still gets an answer."""
        self._ended = True
        if self._ahead and not self._answering():
            return True  # it is read in a moment, and we are asked again
        if not self.refused and (self._head or (self._in_body and self.asked())):
            self._refuse(HTTPStatus.BAD_REQUEST, "The request ended before it was whole.")
            return True
        if self._answering():
            self.cycle.message_event.set()  # a call that waits need not wait any longer: most who do this are gone
        return self._answering()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        super().connection_lost(exc)
        self._ahead.clear()

    # Reading

    def _read(self, data: bytes) -> None:
        view, start, pieces = memoryview(data), 0, 0
        while start < len(data) and not self.refused and not self.transport.is_closing():
            if not self._head and not self._in_body:
                start = cast("re.Match[bytes]", _EMPTY_LINES.match(data, start)).end()  # they are nothing
                if start == len(data):
                    break
                self._disarm()
            end = self._find_end(data, start)
            self._feed(view[start:end])
            start, pieces = end, pieces + 1
            if self._answering() or pieces == MAX_PIECES:
                self._ahead += view[start:]
                break
        if pieces == MAX_PIECES and not self._answering():
            self.flow.pause_reading()
            self.loop.call_soon(self._read_ahead)
        if self._head and not self._timer:
            self._arm(self.HEAD_SECONDS, partial(self._refuse, HTTPStatus.REQUEST_TIMEOUT, _LATE))

    def _find_end(self, data: bytes, start: int) -> int:
        """Return the first place where the message may end; it ends nowhere else."""
        if self._in_body and self._left is not None:
            end = min(start + self._left, len(data))
        else:
            end = find_end(self._last_bytes, data, start)
        self._last_bytes = (self._last_bytes + data[max(start, end - 3) : end])[-3:]
        return end

    def _feed(self, piece: memoryview) -> None:
        if not self._in_body:
            self._head += len(piece)
            if self._head > MAX_HEAD_BYTES:
                self._refuse(*TOO_LARGE)
                return
        self._between += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._read_without_upgrade()
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "The request is not proper HTTP/1.1.")
        if self._in_body and self._between > MAX_HEAD_BYTES:
            self._refuse(*TOO_LARGE)

    def _read_without_upgrade(self) -> None:
        """Read a head again without its `Upgrade`: the parser would take what follows for another protocol."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(*NO_PATH)
            return
        self.handshake = is_handshake(method, version, self.headers)
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines)))

    # What the parser calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self.asked():
            raise ValueError("the parser ends a message where we do not")
        super().on_message_begin()
        self._left = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. A trailer is dropped: what reads the headers has begun."""
        if self._in_body:
            return
        name = name.lower()
        if name == b"content-length":
            self._left = int(value)
        elif name == b"transfer-encoding":
            self._left = None
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Answer a request, or refuse it."""
        if self.parser.should_upgrade():
            return  # it will be read again
        self._head = self._between = 0
        try:
            self.url = check_head(self.parser.get_http_version(), self.url, self.headers)
        except Refused as refused:
            self._refuse(*refused.args)
            return
        super().on_headers_complete()
        if self._left != 0:
            self._in_body, self._came, self._began = True, 0, self.loop.time()
            # Or the connection would be closed, and the answer lost, where that comes before the body.
            self._last, self.cycle.keep_alive = not self.cycle.keep_alive, True
            self._arm(self.BODY_SECONDS, self._hurry)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; behind an answer, drop it."""
        self._between = 0
        self._came += len(body)
        if self._left is not None:
            self._left -= len(body)
        if not self.refused and not self.cycle.response_started:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        if self.refused or self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._last_bytes = b""
        self._disarm()
        if not self._in_body:
            return
        self._in_body = False
        if self._last:
            self.cycle.keep_alive = False
        if self.cycle.response_complete:
            self._rest()

    # Answering

    def on_response_complete(self) -> None:
        """Go on with the next request; what the application calls when it has answered one."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self._in_body:
            self.flow.resume_reading()
            self._arm(self.LINGER_SECONDS, self.transport.abort)
        elif not self.flow.write_paused:
            self._rest()
            self._read_ahead()

    def resume_writing(self) -> None:
        """Go on with the next request where it waited for the client to take an answer."""
        super().resume_writing()
        if self._in_body or self.refused or self.transport.is_closing():
            return  # the connection's time is counted already
        self._disarm()
        if not self.asked():
            self._rest()
            self._read_ahead()

    def _read_ahead(self) -> None:
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        ahead = bytes(self._ahead)
        self._ahead.clear()
        self._read(ahead)
        if self._ended and not self.eof_received():
            self.transport.close()

    def _hand_over(self, cycle: RequestResponseCycle) -> TransportWire | None:
        if self._ended:
            self.transport.close()  # who is gone and who reads on look the same, and a stream is for who is there
        wire = super()._hand_over(cycle)
        cycle.disconnected = True
        if wire:
            self._disarm()
            if self._ahead:
                wire.data_received(bytes(self._ahead))
                self._ahead.clear()
        return wire

    def _answering(self) -> bool:
        """Whether a request is whole and waits for its answer, or that for the client to take it."""
        return not (self._in_body or self._head) and (self.asked() is not None or self.flow.write_paused)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer with a problem and end the connection; what still comes in is read past meanwhile."""
        if self.refused or self.transport.is_closing():
            return
        self.refused = True
        if self._in_body and self.cycle.response_started:
            self.transport.abort()
            return
        if cycle := self.asked():
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(write_problem(status, detail, self.server_state.default_headers))
        self.transport.write_eof()
        self._arm(self.LINGER_SECONDS, self.transport.abort)

    # Deadlines

    def _hurry(self) -> None:
        """Refuse a body that comes in too slowly, or look again later."""
        due = self._began + self.BODY_SECONDS + self._came / SLOWEST_BODY - self.loop.time()
        if self.flow.read_paused:
            due = max(due, 1.0)  # it waits for us
        if due > 0:
            self._arm(due, self._hurry)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, _LATE)
