"""Sends one delivery: over a connection to an address that was just checked, and nowhere else."""

import asyncio
import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import httpcore

from regesta_mlflow.delivery.results import Blame
from regesta_mlflow.delivery.targets import Busy, Forbidden, Target, Targets, UnusableUrl

SECONDS = 30.0  # for all of it
CONNECT_SECONDS = 5.0  # of them, for each address
MOST_ADDRESSES = 3  # of a host that are tried
LARGEST_ANSWER = 64 * 1024  # bytes that are read
LOWEST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status and the beginning of a text, or why nothing did.

    There is no text if the answer came from the operator's own network: what is said there is for no client.
    """

    status: int = 0
    text: str | None = None
    error: str = ""
    retry_after: str = ""
    blame: Blame = Blame.NOTHING

    @property
    def success(self) -> bool:
        """Whether it was taken."""
        return 0 < self.status < LOWEST_ERROR


async def post(targets: Targets, url: str, body: bytes, headers: Mapping[str, str], *, tenant: str) -> Answer:
    """Send it and wait, 30 seconds at most. No redirect is followed and no proxy asked.

    Who is cancelled leaves no connection behind.
    """
    try:
        target = targets.target(url)
    except UnusableUrl as error:
        return Answer(error=f"unusable URL: {error}", blame=Blame.LANE)
    exchange = _Exchange(targets, target, tenant)
    try:
        async with asyncio.timeout(SECONDS):
            return await exchange.run(body, headers)
    except TimeoutError:
        said = f"TimeoutError: no answer within {SECONDS:g} seconds"
        return exchange.answer or Answer(error=said, blame=Blame.LANE)


class _Exchange:
    """A request and its answer."""

    def __init__(self, targets: Targets, target: Target, tenant: str) -> None:
        self.answer: Answer | None = None  # as far as it has come
        self._target = target
        self._network = _Checked(targets, target, tenant)

    async def run(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send, and read the beginning of the answer."""
        try:
            return await self._run(body, headers)
        except Forbidden as error:
            return Answer(error=str(error), blame=Blame.HOST)
        except Busy:
            return Answer(error="too many names are being looked up", blame=Blame.LANE)
        except _Nameless:
            return Answer(error=f"the name {self._target.host} cannot be looked up", blame=Blame.HOST)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            return Answer(error=_why(error), blame=Blame.HOST)
        except httpcore.ProtocolError:
            # It would repeat what a service said that may be no web server.
            return self.answer or Answer(error="the answer is not HTTP", blame=Blame.LANE)
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            return self.answer or Answer(error=f"{type(error).__name__}: the connection broke", blame=Blame.LANE)

    async def _run(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        target, text = self._target, bytearray()
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        sent = [("Host", target.host_header), ("Content-Length", str(len(body))), *headers.items()]
        wait = {"connect": CONNECT_SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}
        async with (
            httpcore.AsyncConnectionPool(_tls(), network_backend=self._network) as pool,
            pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": wait}) as response,
        ):
            retry_after = next((value for name, value in response.headers if name.lower() == b"retry-after"), b"")
            self.answer = Answer(response.status, retry_after=retry_after.decode("latin-1"))
            if self._network.internal:
                return self.answer
            async for piece in response.aiter_stream():
                text += piece
                if len(text) >= LARGEST_ANSWER:
                    break
        return replace(self.answer, text=text[:LARGEST_ANSWER].decode("utf-8", "replace"))


class _Nameless(Exception):
    """The name of a host leads nowhere, or not in time."""


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that are checked here: a name that is looked up again may lead elsewhere by then."""

    def __init__(self, targets: Targets, target: Target, tenant: str) -> None:
        self.internal = False  # whether the connection leads into the operator's own network
        self._targets, self._target, self._tenant = targets, target, tenant
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name has done its part
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of the target that takes one. Raises what httpcore's own backend raises."""
        try:
            addresses = await self._targets.addresses(self._target, self._tenant)
        except (OSError, TimeoutError):
            raise _Nameless from None
        failed: Exception = _Nameless()
        for address in addresses[:MOST_ADDRESSES]:
            self.internal = self._targets.is_internal(address)
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        """Between tries to connect, which are not made again."""
        await self._network.sleep(seconds)


@cache
def _tls() -> ssl.SSLContext:
    """Reading the certificates of the machine takes tens of milliseconds: once."""
    return ssl.create_default_context()


def _why(error: Exception) -> str:
    """Why there is no connection, without the address: a name may lead into the operator's network."""
    if isinstance(error, httpcore.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} seconds"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {getattr(cause, 'verify_message', '') or cause.reason or 'the handshake failed'}"
        if isinstance(cause, OSError) and cause.errno:
            return f"no connection: {os.strerror(cause.errno)}"
        cause = cause.__cause__ or cause.__context__
    return "no connection"
