"""Keep a list of URLs from reaching into the user's own network.

The address is checked where it is final: as a name is resolved, and again as the socket is made.  So neither a name
that changes its address between two look-ups, nor a redirect, nor an odd spelling (`http://2130706433/`, `0x7f.1`,
`[::ffff:10.0.0.1]`), which aiohttp takes for an address and doesn't resolve, gets past.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

# IANA's special-purpose registries, read 2026-11; `ipaddress` changed its mind on some between Python 3.10 and 3.13.
REFUSED_V4 = tuple(
    IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # Azure's host agent: a public number, answered by the machine's own cloud
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
REFUSED_V6 = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "3fff::/20")  # protocols such as Teredo; examples
)
MAPPED_V6 = IPv6Network("::ffff:0:0/96")
NAT64 = IPv6Network("64:ff9b::/96")
SIX_TO_FOUR = IPv6Network("2002::/16")


class ForbiddenAddressError(Exception):
    """An address outside the public internet.  No OSError: aiohttp would try on and hide it among others."""


def is_public(address: str) -> bool:
    """Whether a resolved IPv4 or IPv6 address is on the public internet; one that embeds an IPv4 is judged by that."""
    try:
        number = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(number, IPv6Address):
        inner = _find_inner(number)
        if inner is None:
            return number in GLOBAL_V6 and not any(number in network for network in REFUSED_V6)
        number = inner
    return not any(number in network for network in REFUSED_V4)


def _find_inner(number: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to this one end at: mapped, NAT64 (RFC 6052) or 6to4 (RFC 3056)."""
    if number in MAPPED_V6 or number in NAT64:
        return IPv4Address(int(number) & 0xFFFFFFFF)
    if number in SIX_TO_FOUR:
        return IPv4Address(int(number) >> 80 & 0xFFFFFFFF)
    return None


class GuardedResolver(AbstractResolver):
    """Resolve names to their public addresses only.  Raises ForbiddenAddressError for a name that has none."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve one name."""
        results = await self._resolver.resolve(host, port, family)
        public = [result for result in results if is_public(result["host"])]
        if results and not public:
            raise ForbiddenAddressError(f"{host} is {results[0]['host']}")
        return public

    async def close(self) -> None:
        """Release the resolver."""
        await self._resolver.close()


def open_public_socket(addr_info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    """Make the socket that is about to connect to `addr_info`.  Raises ForbiddenAddressError."""
    family, kind, protocol, _, address = addr_info
    if not is_public(str(address[0])):
        raise ForbiddenAddressError(str(address[0]))
    return socket.socket(family, kind, protocol)


def make_connector(limit: int, *, allow_private: bool, resolver: AbstractResolver | None = None) -> TCPConnector:
    """Make the connector through which all requests go; call it inside the event loop."""
    if allow_private:
        return TCPConnector(limit=limit, ttl_dns_cache=300, resolver=resolver or ThreadedResolver())
    return TCPConnector(
        limit=limit, ttl_dns_cache=300, resolver=GuardedResolver(resolver), socket_factory=open_public_socket
    )
