"""Who sent a request, where proxies stand in between."""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address

from regesta.service.settings import Network

PEER = "regesta_peer"  # in the scope of a request: the address that it came from, be it a proxy's

_REMEMBERED = 1024  # addresses of proxies; there are few, each is asked about at every request


class Proxies:
    """The proxies whose `X-Forwarded-For` and `X-Forwarded-Host` are believed; everybody can send them."""

    def __init__(self, trusted: Collection[Network]) -> None:
        self._networks = tuple(trusted)
        self._trusts = lru_cache(_REMEMBERED)(self._lies_within)

    def client_of(self, peer: str, forwarded: str) -> str:
        """The address of the client: the last in `forwarded` that is no trusted proxy, else the peer.

        Each proxy appends the address it was called from, so that what a client sent itself stands further
        left and is never reached.
        """
        client = peer
        for part in reversed(forwarded.split(",")):
            if not self._trusts(client):
                break
            address = _address(part.strip())
            if not address:
                break
            client = address
        return client

    def trust(self, peer: str) -> bool:
        """Whether this address is a trusted proxy's."""
        return bool(self._networks) and self._trusts(peer)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def _lies_within(self, address: str) -> bool:
        known = _address(address)
        return bool(known) and any(ip_address(known) in network for network in self._networks)


def _address(text: str) -> str:
    """The address in its usual form; "" where the text is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
