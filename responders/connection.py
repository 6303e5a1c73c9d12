"""The connection to an OpenAI-compatible upstream: where it is, how it is opened, read and closed, how it may fail."""

from __future__ import annotations

import asyncio
import io
import math
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from responders.base import ResponderError
from responders.refusals import Complaint, Upstream, complaint, is_final, refusal

OPENAI = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0
SILENT_SECONDS = 600.0
"""How long an upstream may say nothing, as OpenAI's libraries have it; the runner is stricter, unless it is told not to
be. Without it a connection that breaks unseen by aiohttp, as behind a malformed chunk size, would stay for ever."""
REFUSAL_SECONDS = 5.0
"""How long the words of a refusal are waited for."""
MAX_REFUSAL_BYTES = 64 * 1024

NEVER = math.inf


class Unanswered(Exception):
    """No reply came, or not all of it; the message is the sentence for the user.

    `pause` is how many seconds to wait before another try; None where the upstream does not say.
    """

    def __init__(self, sentence: str, pause: float | None = None) -> None:
        super().__init__(sentence)
        self.pause = pause


class Place:
    """Where the upstream is, and the key to it, which is in no `repr` and in no message.

    Raises `ResponderError` where the environment names no upstream that can be asked.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        base = environment.get("OPENAI_BASE_URL", "").strip()
        self._key = environment.get("OPENAI_API_KEY", "").strip()
        if not (base or self._key):
            raise ResponderError(
                "No model is set up: set OPENAI_API_KEY, or OPENAI_BASE_URL where no key is needed, and start again."
            )
        if not (self._key.isascii() and self._key.isprintable()):
            raise ResponderError("OPENAI_API_KEY holds characters that no key has: set it anew, and start again.")
        url = _address(base or OPENAI)
        self.url = url / "chat" / "completions"
        self.host = f"{url.host}:{url.explicit_port}" if url.explicit_port else f"{url.host}"
        self.model = environment.get("OPENAI_MODEL", "").strip()
        self.limit = "max_completion_tokens" if url.host == "api.openai.com" else "max_tokens"
        """The limit's name: newer models of OpenAI refuse the one that everybody else knows."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request."""
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": "tickertape",
        }
        return headers | ({"Authorization": f"Bearer {self._key}"} if self._key else {})

    def upstream(self, model: str) -> Upstream:
        """Return what may be told of it."""
        return Upstream(self.host, model, bool(self._key))

    def complaint(self, body: bytes) -> Complaint:
        """Return what an error's body says, without the key."""
        return complaint(body, self._key)


def _address(base: str) -> URL:
    with suppress(ValueError):
        url = URL(base)
        more = url.user or url.password or url.raw_query_string or url.raw_fragment
        if url.scheme in ("http", "https") and url.host and not more:
            return url
    # The address is not shown, since it may hold a password.
    raise ResponderError("OPENAI_BASE_URL is no address of a server: it has to be like http://127.0.0.1:8080/v1.")


@asynccontextmanager
async def opened(place: Place, upstream: Upstream, body: bytes) -> AsyncGenerator[aiohttp.ClientResponse, None]:
    """Yield an answer with status 200; behind it the connection is closed, whatever is still on its way.

    Redirects are not followed, and TLS is verified. Raises `Unanswered` for anything else.
    """
    sockets: list[socket.socket] = []
    connector = aiohttp.TCPConnector(force_close=True, socket_factory=_kept(sockets))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    session = aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
    # Bytes of a MiB and more bring a warning; what can be read in pieces does not.
    request = {"data": io.BytesIO(body), "headers": place.headers, "proxy": _proxy(place.url)}
    answer = None
    try:
        with _failures(upstream):
            async with asyncio.timeout(SILENT_SECONDS):
                answer = await session.post(place.url, allow_redirects=False, **request)  # type: ignore[arg-type]
        if answer.status != 200:
            raise await _refused(place, upstream, answer)
        yield answer
    finally:
        # Closing waits until all that was sent is taken, and an upstream may have stopped taking.
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        if answer is not None:
            answer.close()
        await session.close()


async def read(answer: aiohttp.ClientResponse, upstream: Upstream, deadline: float) -> bytes:
    """Return what has come, in any length; nothing at the end. The deadline is in the loop's time.

    Raises `Unanswered`.
    """
    with _failures(upstream):
        async with asyncio.timeout_at(deadline):
            return await answer.content.readany()


async def read_whole(answer: aiohttp.ClientResponse, upstream: Upstream, most: int, seconds: float) -> bytes:
    """Return a whole body, or its beginning where it is longer than `most` bytes. Raises `Unanswered`."""
    deadline = asyncio.get_running_loop().time() + seconds
    body = bytearray()
    while len(body) <= most and (chunk := await read(answer, upstream, deadline)):
        body += chunk
    return bytes(body)


def _kept(sockets: list[socket.socket]) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Return what makes sockets, and puts them on the list."""

    def make(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        sockets.append(socket.socket(family, kind, protocol))
        return sockets[-1]

    return make


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names, as OpenAI's libraries do; for this machine there is none.

    aiohttp's own way would read .netrc as well, and send other credentials than the key.
    """
    host = url.host or ""
    if _is_here(host) or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


# What may fail


@contextmanager
def _failures(upstream: Upstream) -> Iterator[None]:
    """Turn what aiohttp raises into `Unanswered`. What it raises holds the request, and with it the key."""
    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        sentence, again = _failure(upstream.host, error)
        raise Unanswered(sentence, None if again else NEVER) from None


def _failure(host: str, error: Exception) -> tuple[str, bool]:
    """Return the sentence for a failure, and whether another try may help."""
    match error:
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return f"The proxy on the way to {host} does not let through: check HTTPS_PROXY and HTTP_PROXY.", False
        case aiohttp.ClientSSLError():
            return f"{host} cannot prove over TLS who it is: check its certificate, and OPENAI_BASE_URL.", False
        case aiohttp.ClientConnectorDNSError():
            return f"There is no host {host}: check OPENAI_BASE_URL, and the network.", True
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
            return (
                f"Nothing answers at {host}: see whether a model's server runs there, and check OPENAI_BASE_URL.",
                True,
            )
        case TimeoutError():
            return f"{host} has fallen silent.", False
        case aiohttp.ClientPayloadError() | OSError() | aiohttp.ClientConnectionError():
            return f"{host} broke the connection off.", True
    return f"{host} does not answer as a web server does: check OPENAI_BASE_URL.", False


async def _refused(place: Place, upstream: Upstream, answer: aiohttp.ClientResponse) -> Unanswered:
    said = Complaint()
    with suppress(Unanswered):
        said = place.complaint(await read_whole(answer, upstream, MAX_REFUSAL_BYTES, REFUSAL_SECONDS))
    final = is_final(answer.status, said)
    match answer.headers.get("x-should-retry"):  # OpenAI's libraries heed it, and so we do
        case "true":
            final = False
        case "false":
            final = True
    return Unanswered(refusal(upstream, answer.status, said), NEVER if final else _retry_after(answer.headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return for how many seconds an upstream wants to be left alone, if it says so in any of the three ways."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) * unit
            return seconds if seconds >= 0 else None
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    return None
