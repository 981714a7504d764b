"""Where webhooks may lead: to public addresses, unless an operator says otherwise."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple
from urllib.parse import SplitResult, urlsplit

from regesta_mlflow.errors import Refusal

NAT64 = ipaddress.ip_network("64:ff9b::/96")
PORTS = {"https": 443, "http": 80}
LOW_BITS = 0xFFFF_FFFF

# Clients say where webhooks lead, and so for how long somebody waits there: not for what the rest waits for.
THREADS = ThreadPoolExecutor(16, "regesta-webhooks")

Address = tuple[str, int]
R = TypeVar("R")
A = TypeVarTuple("A")
IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class Forbidden(Exception):
    """An address that nothing is sent to."""


async def in_thread(work: Callable[[*A], R], *arguments: *A) -> R:
    """What waits for an endpoint of a webhook, or for its name."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, work, *arguments)


def parsed(url: str, *, private: bool) -> SplitResult:
    """The parts of a webhook's URL. `private` allows plain http. Raises Refusal."""
    if not url.strip():
        raise Refusal(f"Webhook URL cannot be empty or just whitespace: {url!r}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Refusal(f"Invalid webhook URL: {url!r}") from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme not in schemes:
        raise Refusal(f"Invalid webhook URL scheme: {parts.scheme!r}: use {' or '.join(schemes)}")
    if not parts.hostname or any(character.isspace() or character < " " for character in url):
        raise Refusal(f"Invalid webhook URL: {url!r} has no host, or spaces")
    return parts


def resolved(parts: SplitResult, *, private: bool) -> list[Address]:
    """The addresses of a URL's host. Raises Forbidden where one is not public, OSError where there are none."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys((str(one[4][0]), int(one[4][1])) for one in found))
    if not private:
        for address, _ in addresses:
            if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                raise Forbidden(f"{host} is not a public address")
    return addresses


def is_public(address: IP) -> bool:
    """Whether anybody may reach it: not where it embeds an IPv4 address that is not."""
    if not address.is_global or address.is_multicast or address.is_unspecified or address.is_reserved:
        return isinstance(address, ipaddress.IPv6Address) and address in NAT64 and is_public(_low(address))
    if isinstance(address, ipaddress.IPv6Address):
        embedded = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in NAT64:
            embedded.append(_low(address))
        return all(is_public(one) for one in embedded if one is not None)
    return True


def _low(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & LOW_BITS)
