"""A connection that was taken over by a WebSocket: our own way to its transport."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from app.api.wire import SLOWEST_BODY, TransportWire
from app.codecs.websocket import make_messages

AT_ONCE = 4096
"""How many bytes are parsed at a time: a flood of tiny frames must not hold up everybody."""
_LONGEST_PING = 125

_logger = logging.getLogger(__name__)
_logger.setLevel(logging.WARNING)  # or each connection would be told of


class TransportSocket(TransportWire):
    """A connection that was taken over by a WebSocket.

    Its bytes are parsed up to the end of a message and hardly beyond it, until that message is answered, and only while
    the client takes what is sent to it; meanwhile nothing more is read. So a client has one request under way, neither
    its messages nor the answers to its pings gather here, and what was asked before a close is done.
    """

    CLOSE_SECONDS = 5.0
    """How long the client may take to close its side, too."""
    MESSAGE_SECONDS = 10.0
    """How long a message may take to arrive whole, beside what its length allows."""

    __slots__ = (
        "_ahead",
        "_arrived",
        "_began",
        "_busy",
        "_came",
        "_ended",
        "_max_bytes",
        "_message",
        "_messages",
        "_open",
        "_parser",
        "_paused",
        "_soon",
        "_timer",
        "code",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        self.code: int = CloseCode.INTERNAL_ERROR
        self._parser: ServerProtocol | None = None
        self._open = False
        """Whether neither side has begun to close it."""
        self._ahead = bytearray()
        """What has come in and is not parsed yet."""
        self._message = bytearray()
        self._messages: deque[bytes] = deque()
        """Those that are whole; never more than a few bytes of them, but for the first one."""
        self._arrived = asyncio.Event()
        self._busy = False
        """Whether a message was taken, and its answer is on the way."""
        self._ended = False
        """Whether the client sends no more."""
        self._max_bytes = 0
        self._paused = self._soon = False
        self._began = 0.0
        """When the message began to come in that is not whole yet."""
        self._came = 0
        self._timer: asyncio.TimerHandle | None = None
        super().__init__(*args, **options)

    # The sending side

    async def accept(self, key: str, max_bytes: int) -> None:
        """Answer the handshake."""
        # The parser counts a ping between the pieces of a message, too; so the message is measured here.
        self._max_bytes = max_bytes
        self._parser = ServerProtocol(state=OPEN, max_size=max_bytes + _LONGEST_PING, logger=_logger)
        self._open = True
        given = [*self._server.default_headers, (b"sec-websocket-accept", accept_key(key).encode())]
        lines = b"".join(b"%b: %b\r\n" % header for header in given)
        await self._send(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n%b\r\n" % lines
        )
        self._read()

    async def write(self, body: bytes) -> None:
        """Send lines, and wait until there is room for the next ones."""
        if body and self._open:
            await self._send(make_messages(body))

    async def end(self) -> None:
        """Close the socket, and wait for the client to do so."""
        await self._close(self.code)

    async def abort(self) -> None:
        """Close the socket with what says that this was no proper end."""
        await self._close(CloseCode.INTERNAL_ERROR)

    @property
    def has_room(self) -> bool:
        """Whether a ready-made message can be written at once."""
        return self._open and self._room is None and not self._transport.is_closing()

    async def _close(self, code: int) -> None:
        if self._open and self._parser:
            if self._parser.state is OPEN:  # or the client has closed it behind what it asked
                self._parser.send_close(code)
            self._finish()
        await asyncio.get_running_loop().create_future()  # until `connection_lost` cancels us

    # The receiving side

    async def receive(self) -> bytes:
        """Return the next message."""
        self._busy = False
        if self._messages or self._ahead:
            await asyncio.sleep(0)  # or who asks without end would leave nobody a turn
        while not self._messages:
            self._arrived.clear()
            self._read()
            await self._arrived.wait()
        self._busy = True
        return self._messages.popleft()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and parse them as far as may be."""
        self._ahead += data
        self._read()

    def eof_received(self) -> bool:
        """Note that the client sends no more; what it has asked is done before the connection ends."""
        self._ended = True
        self._read()
        return not self._transport.is_closing()

    def resume_writing(self) -> None:
        """Note that the transport takes more, and read on."""
        super().resume_writing()
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        super().connection_lost(exc)
        self._open = False
        self._disarm()

    def _read(self) -> None:
        """Parse some of what has come in, and the rest as soon as others had their turn."""
        if self._transport.is_closing():
            return
        if self._parser and not self._busy and not self._messages and self._room is None:
            self._finish()  # what came with the last message, which may be a close
            piece = bytes(self._ahead[:AT_ONCE])
            del self._ahead[:AT_ONCE]
            if piece:
                self._parse(self._parser, piece)
            if self._ahead and not self._soon:
                self._soon = True
                asyncio.get_running_loop().call_soon(self._read_on_soon)
        if self._paused != bool(self._ahead) and not self._transport.is_closing():
            self._paused = bool(self._ahead)
            (self._transport.pause_reading if self._paused else self._transport.resume_reading)()
        if self._ended and not (self._ahead or self._messages or self._busy):
            self._transport.close()

    def _read_on_soon(self) -> None:
        self._soon = False
        self._read()

    def _parse(self, parser: ServerProtocol, piece: bytes) -> None:
        parser.receive_data(piece)
        self._came += len(piece)
        for event in parser.events_received():
            if not (self._open and isinstance(event, Frame) and self._take(parser, event)):
                break
        if not self._messages:
            self._finish()
        if not self._open:
            return
        if parser.current_size is None and not parser.reader.buffer:
            self._disarm()
            self._came = 0
        elif not self._timer:
            self._began = asyncio.get_running_loop().time()
            self._arm(self.MESSAGE_SECONDS, self._hurry)

    def _take(self, parser: ServerProtocol, frame: Frame) -> bool:
        """Take a frame; says whether the next one counts."""
        if frame.opcode is Opcode.BINARY:
            parser.fail(CloseCode.UNSUPPORTED_DATA, "messages are text")
            return False
        if frame.opcode in (Opcode.TEXT, Opcode.CONT):
            self._message += frame.data
            if len(self._message) > self._max_bytes:
                parser.fail(CloseCode.MESSAGE_TOO_BIG, f"messages have at most {self._max_bytes} bytes")
                return False
            if frame.fin:
                return self._take_message(parser)
        return True

    def _take_message(self, parser: ServerProtocol) -> bool:
        message, self._message = bytes(self._message), bytearray()
        self._came, self._began = 0, asyncio.get_running_loop().time()
        try:
            message.decode()
        except UnicodeDecodeError as error:
            parser.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
            return False
        self._messages.append(message)
        self._arrived.set()
        return True

    def _finish(self) -> None:
        """Send what the parser wants sent; where that closes the socket, the stream is over."""
        assert self._parser  # noqa: S101 - nothing is parsed before it is there
        for data in self._parser.data_to_send():
            if self._transport.is_closing():
                return
            if data:
                self._transport.write(data)
            else:
                self._transport.write_eof()
        if self._open and self._parser.state is not OPEN:
            self._open = self._busy = False
            self._messages.clear()
            self._message.clear()
            self._arm(self.CLOSE_SECONDS, self._transport.abort)
            if self._parser.eof_sent and self._task:
                self._task.cancel()  # the client has closed it, or has to be closed out

    # Deadlines

    def _hurry(self) -> None:
        """Close out a client whose message comes in too slowly, or look again later."""
        assert self._parser  # noqa: S101 - nothing comes in before it is there
        now = asyncio.get_running_loop().time()
        due = self._began + self.MESSAGE_SECONDS + self._came / SLOWEST_BODY - now
        if self._paused:
            self._began, due = now, 1.0  # it waits for us, which does not count
        if due > 0:
            self._arm(due, self._hurry)
        else:
            self._parser.fail(CloseCode.POLICY_VIOLATION, "the message did not arrive in time")
            self._finish()

    def _arm(self, seconds: float, callback: Callable[[], object]) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, callback)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
