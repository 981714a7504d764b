"""Sends one delivery: over a connection to an address that was just judged, with a signature, and nowhere else."""

import base64
import hashlib
import hmac
import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlunsplit

from regesta_mlflow.addresses import Address, Forbidden, parsed, resolved
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


def post(url: str, body: bytes, identity: str, *, secret: str | None, private: bool) -> Answer:
    """Send it and wait, 30 seconds at most. No redirect is followed and no proxy asked."""
    try:
        parts = parsed(url, private=private)
        addresses = resolved(parts, private=private)
        moment = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "regesta",
            "X-MLflow-Delivery-Id": identity,
            "X-MLflow-Timestamp": moment,
        }
        if secret:
            headers["X-MLflow-Signature"] = signature(secret, identity, moment, body)
        return _exchange(parts, addresses[0], body, headers)
    except (Forbidden, Refusal) as refused:
        return Answer(error=str(refused))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(error=f"{type(error).__name__}: {error}"[:500])


def _exchange(parts: SplitResult, address: Address, body: bytes, headers: dict[str, str]) -> Answer:
    deadline = time.monotonic() + SECONDS
    connection = _Pinned(parts, address)
    try:
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request("POST", target, body, headers)
        response = connection.getresponse()
        read = bytearray()
        while len(read) < LARGEST_ANSWER and time.monotonic() < deadline:
            if not (chunk := response.read1(LARGEST_ANSWER - len(read))):
                break
            read += chunk
        return Answer(
            response.status, read.decode("utf-8", "replace"), retry_after=response.headers.get("Retry-After", "")
        )
    finally:
        connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to the address that was judged: a name that is looked up again may lead elsewhere by then."""

    def __init__(self, parts: SplitResult, address: Address) -> None:
        super().__init__(parts.hostname or "", address[1], timeout=SECONDS)
        self._address = address
        self._name = parts.hostname if parts.scheme == "https" else None
        self.default_port = 443 if parts.scheme == "https" else 80

    def connect(self) -> None:
        self.sock = socket.create_connection(self._address, SECONDS)
        if self._name is not None:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self._name)
