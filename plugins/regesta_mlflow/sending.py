"""Sends one delivery: over a connection to an address that was just judged, with a signature, and nowhere else."""

import asyncio
import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlunsplit

from regesta_mlflow.addresses import PORTS, Forbidden, in_thread, parsed, resolved
from regesta_mlflow.errors import Refusal

SECONDS = 30.0
LARGEST_ANSWER = 64 * 1024  # bytes that are read
LOWEST_ERROR = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status and the beginning of a text, or why nothing did."""

    status: int = 0
    text: str = ""
    error: str = ""
    retry_after: str = ""

    @property
    def success(self) -> bool:
        """Whether it was taken."""
        return 0 < self.status < LOWEST_ERROR


def signature(secret: str, identity: str, moment: str, body: bytes) -> str:
    """`v1,` and the base64 of an HMAC-SHA256 over id, time and body."""
    signed = hmac.new(secret.encode(), f"{identity}.{moment}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


async def post(url: str, body: bytes, identity: str, *, secret: str | None, private: bool) -> Answer:
    """Send it and wait, 30 seconds at most. No redirect is followed and no proxy asked.

    Who is cancelled leaves no connection behind.
    """
    try:
        parts = parsed(url, private=private)
    except Refusal as refused:
        return Answer(error=str(refused))
    moment = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "regesta",
        "X-MLflow-Delivery-Id": identity,
        "X-MLflow-Timestamp": moment,
    }
    if secret:
        headers["X-MLflow-Signature"] = signature(secret, identity, moment, body)
    exchange = _Exchange(parts, private=private)
    try:
        async with asyncio.timeout(SECONDS):
            return await in_thread(exchange.run, body, headers)
    except TimeoutError:
        return exchange.answer or Answer(error=f"TimeoutError: no answer within {SECONDS:g} seconds")
    finally:
        exchange.cut()


class _Exchange(http.client.HTTPConnection):
    """A request and its answer, in a thread; any other may `cut` it, whatever it waits for.

    A timeout of the socket would be for each of its calls: who sends a byte now and then would hold the thread.
    """

    def __init__(self, parts: SplitResult, *, private: bool) -> None:
        super().__init__(parts.hostname or "", parts.port or PORTS[parts.scheme])
        self.default_port = PORTS[parts.scheme]
        self.answer: Answer | None = None  # as far as it has come
        self._parts, self._private = parts, private
        self._lock = threading.Lock()
        self._open: socket.socket | None = None
        self._cut = False

    def run(self, body: bytes, headers: dict[str, str]) -> Answer:
        """Send, and read the beginning of the answer."""
        try:
            self.request("POST", urlunsplit(("", "", self._parts.path or "/", self._parts.query, "")), body, headers)
            with self.getresponse() as response:
                self.answer = Answer(response.status, retry_after=response.headers.get("Retry-After", ""))
                text = response.read(LARGEST_ANSWER).decode("utf-8", "replace")
            return replace(self.answer, text=text)
        except Forbidden as refused:
            return Answer(error=str(refused))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return self.answer or Answer(error=f"{type(error).__name__}: {error}"[:500])
        finally:
            with self._lock:
                self._open = None
            self.close()

    def connect(self) -> None:
        """To the address that is judged here: a name that is looked up again may lead elsewhere by then."""
        address = resolved(self._parts, private=self._private)[0]
        self._hold(socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET))
        self.sock.settimeout(SECONDS)
        self.sock.connect(address)
        if self._parts.scheme == "https":
            secured = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self._parts.hostname, do_handshake_on_connect=False
            )
            self._hold(secured)
            secured.do_handshake()

    def _hold(self, opened: socket.socket) -> None:
        with self._lock:
            self.sock = self._open = opened
            if self._cut:
                raise TimeoutError("nobody waits for it any more")

    def cut(self) -> None:
        """End it: whoever waits for the connection finds it closed by the other side."""
        with self._lock:
            self._cut = True
            if self._open is not None:
                with suppress(OSError):
                    # Not that of an SSLSocket, which takes away what another thread reads with.
                    socket.socket.shutdown(self._open, socket.SHUT_RDWR)
