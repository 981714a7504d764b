"""Which hosts the service answers for, and what a `Host` or an `Origin` names."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

ANY = "*"

_LONGEST = 261  # characters of a name (253, RFC 1035), a colon and a port, with some to spare
_HOST = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5})?)?\Z")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\Z")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Host:
    """A host as it is compared: a name in lower case or an address in its usual form, and the port if there is one."""

    name: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The names and addresses that a `Host` may have; ports are not compared.

    Loopback names and addresses are always allowed. DNS rebinding needs a name, so a service that listens on all
    addresses, or on those of a name, takes any address for its own.
    """

    names: frozenset[str]
    domains: tuple[str, ...] = ()
    any_address: bool = False
    anything: bool = False

    @classmethod
    def of(cls, served: str, also: Collection[str]) -> "AllowedHosts":
        """What a service that listens on `served` allows, and `also` these: names, addresses, `*.domain` or `*`."""
        listens = _address(served)
        names = {found for found in (served.lower().removesuffix("."), *also) if found and not found.startswith(ANY)}
        return cls(
            frozenset(str(_address(name) or name) for name in names),
            (".localhost", *(found[1:] for found in also if found.startswith("*."))),
            any_address=served.lower() != "localhost" and (listens is None or listens.is_unspecified),
            anything=ANY in also,
        )

    def allow(self, host: Host) -> bool:
        """Whether the service answers for this host."""
        if self.anything or host.name in self.names or host.name == "localhost":
            return True
        address = _address(host.name)
        if address is not None:
            return self.any_address or address.is_loopback
        return host.name.endswith(self.domains)


def host_of(text: str) -> Host | None:
    """What a `Host` header names; None if it is malformed."""
    found = _HOST.match(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    if literal := found["literal"]:
        address = _address(literal)
        if address is None or ":" not in literal:
            return None
        name = str(address)
    else:
        name = found["name"].lower().removesuffix(".")
        name = str(_address(name) or name)
    return Host(name, int(found["port"]) if found["port"] else None) if name else None


def same_origin(origin: str, host: Host) -> bool:
    """Whether an `Origin` header names this host, with the port that its scheme has if none is said.

    Schemes are not compared: a proxy may have ended TLS. `null` and malformed values are not our origin.
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _PORTS.get(parts.scheme)
    found = host_of(parts.netloc) if default and not (parts.path or parts.query or parts.fragment) else None
    return found is not None and (found.name, found.port or default) == (host.name, host.port or default)


def allowed_host(text: str) -> str:
    """An entry of the setting as it is compared. Raises ValueError if it is neither a name nor an address."""
    if text == ANY:
        return text
    prefix, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    address = _address(name.removeprefix("[").removesuffix("]"))
    if address is not None and not prefix:
        return str(address)
    try:
        name = name.removesuffix(".").lower().encode("idna").decode()
    except UnicodeError:
        name = ""
    if not name or not all(map(_LABEL.match, name.split("."))):
        raise ValueError("each is a host name, an address, *.domain or *, without a scheme and without a port")
    return prefix + name


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, of IPv4 if it is one inside IPv6; None if it is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped: IPv4Address | None = getattr(found, "ipv4_mapped", None)
    return mapped or found
