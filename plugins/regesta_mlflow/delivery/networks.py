"""Which IP addresses are public.

By IANA's registries of special-purpose addresses. The tables of `ipaddress` differ from one Python to the next.
https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

IP = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


SPECIAL = _networks(
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",
    "100.64.0.0/10",  # shared by the customers of a carrier
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation, as are 198.51.100 and 203.0.113
    "192.88.99.0/24",  # relays of 6to4, which are no more
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "2001::/23",  # protocol assignments, Teredo among them
    "2001:db8::/32",  # documentation, as is 3fff::/20
    "3fff::/20",
)
REACHABLE = _networks(  # although they are within a special network
    "192.0.0.9/32",
    "192.0.0.10/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:20::/28",
    "2001:30::/28",
)
# All of IPv6 that is given out to be reached. Loopback, ULA, link-local, site-local, multicast, 100::/64,
# 64:ff9b:1::/48 and 5f00::/16 are outside.
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")

# Where clouds hand out the credentials of the machine that asks. Nothing is ever sent there.
METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # containers on ECS
        "169.254.170.23",  # pods on EKS
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure; it looks like a public one
        "192.0.0.192",  # Oracle
    )
)


def destination(address: IP) -> IP:
    """Where packets to an address end: at the IPv4 address that it embeds, if it is a mapped, 6to4 or NAT64 one."""
    if isinstance(address, IPv4Address):
        return address
    if (inner := address.ipv4_mapped or address.sixtofour) is not None:
        return inner
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(address: IP) -> bool:
    """Whether anybody can reach it."""
    address = destination(address)
    if address in METADATA or (isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST):
        return False
    return not is_within(address, SPECIAL) or is_within(address, REACHABLE)


def is_within(address: IP, networks: Iterable[Network]) -> bool:
    """Whether one of the networks has the address."""
    return any(address in network for network in networks)


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks that a text lists, separated by commas; a single address is a network too. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
