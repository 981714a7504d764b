"""URLs that deliveries may go to, and the addresses behind them."""

import asyncio
import re
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, quote, urlsplit

import idna

from regesta_mlflow.delivery.networks import METADATA, Network, destination, is_public, is_within
from regesta_mlflow.delivery.shares import Shares

LONGEST_URL, LONGEST_HOST = 2048, 253
PORTS = {"https": 443, "http": 80}
LOOKUPS = 16  # at once
LOOKUP_SECONDS = 5.0

_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\\]")
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
# What a path and a query may have without encoding, and the "%" of what is encoded already.
_AS_IT_IS = "%/:@!$&'()*+,;=~?[]"


class UnusableUrl(ValueError):
    """A URL that nothing can be sent to, whatever its host is."""


class UnusableScheme(UnusableUrl):
    """A URL of another scheme."""

    def __init__(self, scheme: str, usable: Sequence[str]) -> None:
        super().__init__(f"{scheme[:50]!r}: use {' or '.join(usable)}")


class Forbidden(Exception):
    """A host whose address nothing is sent to."""


class Busy(Exception):
    """So many names are being looked up that this one has to wait."""


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL. `host` is ASCII in lower case, without the brackets of IPv6."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port: what is up or down as one."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The authority, without a port that goes without saying."""
        return self.authority.removesuffix(f":{PORTS[self.scheme]}")


class Targets:
    """What may be reached: public addresses over https, and `networks` of the operator's own, also over plain http."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._lookups = Shares(LOOKUPS)

    def target(self, url: str) -> Target:
        """The parts of a URL that may lead somewhere here. Raises UnusableUrl."""
        target = parsed(url)
        if target.scheme != "https" and not self._networks:
            raise UnusableScheme(target.scheme, ["https"])
        return target

    def check(self, target: Target, address: str) -> None:
        """Raises Forbidden if nothing may be sent to an address of this target."""
        reached = destination(ip_address(address.partition("%")[0]))
        if reached in METADATA:
            raise Forbidden(f"{target.host} is an address of a cloud's metadata")
        if is_within(reached, self._networks):
            return
        if not is_public(reached):
            raise Forbidden(f"{target.host} is not a public address")
        if target.scheme != "https":
            raise Forbidden(f"{target.host} is a public address: use https")

    def is_internal(self, address: str) -> bool:
        """Whether only the operator's own networks have the address."""
        return not is_public(ip_address(address.partition("%")[0]))

    async def addresses(self, target: Target, tenant: str) -> list[str]:
        """The addresses of a target, all of them checked.

        Names are looked up in threads of their own: 16 at once, of one tenant at most as many as others can have, too.

        Raises Forbidden, Busy, TimeoutError after 5 seconds, OSError if there are none.
        """
        with suppress(ValueError):
            found = [str(ip_address(target.host))]
            self.check(target, found[0])
            return found
        if not self._lookups.allows(tenant):
            raise Busy
        self._lookups.take(tenant)
        looked_up = _in_thread(target.host, target.port)
        # A name server that does not answer holds the thread for longer than anybody waits for it here.
        looked_up.add_done_callback(lambda _: self._lookups.leave(tenant))
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await asyncio.shield(looked_up)
        for address in found:
            self.check(target, address)
        return found


def parsed(url: str) -> Target:
    """The parts of a URL. Raises UnusableUrl, which does not repeat the URL: it may have a password."""
    if len(url) > LONGEST_URL:
        raise UnusableUrl(f"it has more than {LONGEST_URL} characters")
    if _NOT_IN_URLS.search(url):
        raise UnusableUrl("it has spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UnusableUrl("it cannot be read") from None
    if parts.scheme not in PORTS:
        raise UnusableScheme(parts.scheme, list(PORTS))
    if "@" in parts.netloc:
        raise UnusableUrl("it has a user or a password, which are not sent: sign deliveries with a secret")
    if port == 0:
        raise UnusableUrl("its port is 0")
    return Target(parts.scheme, _host(parts.hostname or ""), port or PORTS[parts.scheme], _path(parts))


def authority_of(url: str) -> str:
    """The host and the port of a URL; "" if nothing can be sent to it."""
    try:
        return parsed(url).authority
    except UnusableUrl:
        return ""


def _host(host: str) -> str:
    """A host in ASCII. Raises UnusableUrl."""
    if not host:
        raise UnusableUrl("it has no host")
    if len(host) > LONGEST_HOST:
        raise UnusableUrl(f"its host has more than {LONGEST_HOST} characters")
    if ":" in host:  # urlsplit has checked what stands in brackets
        return host
    try:
        named = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise UnusableUrl("its host is no internationalised domain name") from None
    if len(named) > LONGEST_HOST or not _HOST.fullmatch(named):
        raise UnusableUrl("its host is no domain name: labels have 1 to 63 letters, digits, '-' or '_'")
    return named


def _path(parts: SplitResult) -> str:
    query = f"?{parts.query}" if parts.query else ""
    return quote((parts.path or "/") + query, safe=_AS_IT_IS)


def _in_thread(host: str, port: int) -> "asyncio.Future[list[str]]":
    """Look a name up in a daemon thread: the end of the process does not wait for name servers."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may come too late for anybody

    def tell(found: list[str], error: Exception | None) -> None:
        if not future.done():
            future.set_result(found) if error is None else future.set_exception(error)

    def run() -> None:
        found, error = list[str](), None
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        except (OSError, UnicodeError) as raised:
            error = raised if isinstance(raised, OSError) else OSError("no name that can be looked up")
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, found, error)

    threading.Thread(target=run, name="webhook-lookup", daemon=True).start()
    return future
