"""No URL reaches an address outside the public internet, however it is spelled."""

from __future__ import annotations

import asyncio
import socket
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from yoga_live.train.gather.ssrf_guard import ForbiddenAddressError, GuardedResolver, is_public, open_public_socket

steady = settings(deadline=None)  # a busy machine is no failure

PRIVATE_V4 = [  # private, loopback, link-local, carrier-grade NAT, multicast, reserved, unspecified, cloud metadata
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "224.0.0.0/4"),
    *("240.0.0.0/4", "0.0.0.0/8", "198.18.0.0/15", "192.0.2.0/24", "192.0.0.0/24", "169.254.169.254/32"),
    *("100.100.100.200/32", "168.63.129.16/32", "255.255.255.255/32"),
]
PRIVATE_V6 = ["::/127", "fe80::/10", "fc00::/7", "ff00::/8", "fec0::/10", "2001:db8::/32", "100::/64", "2001::/32"]
PRIVATE_V6 += ["fd00:ec2::254/128", "64:ff9b:1::/48", "3fff::/20"]
PUBLIC_V4 = ["1.1.1.0/24", "8.8.8.0/24", "93.184.216.0/24", "151.101.0.0/16", "172.32.0.0/16", "100.63.0.0/16"]
PUBLIC_V6 = ["2606:4700::/32", "2a00:1450::/32", "2001:4860::/32", "2400:cb00::/32"]


def draw_v4(networks: list[str]) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.sampled_from(networks).flatmap(lambda n: st.ip_addresses(network=IPv4Network(n), v=4))


def draw_v6(networks: list[str]) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.sampled_from(networks).flatmap(lambda n: st.ip_addresses(network=IPv6Network(n), v=6))


def spell_v4(address: IPv4Address) -> list[str]:
    """All the ways in which the C library reads the same address: dotted, one number, hexadecimal, octal, short."""
    a, b, c, d = address.packed
    number = int(address)
    return [
        str(address),
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a:#x}.{b}.{number & 0xFFFF}",
    ]


def wrap_v4(address: IPv4Address) -> list[str]:
    """IPv6 addresses that end at an IPv4 one: mapped, NAT64, 6to4."""
    number = int(address)
    high, low = number >> 16, number & 0xFFFF
    return [f"::ffff:{address}", f"64:ff9b::{high:x}:{low:x}", f"2002:{high:x}:{low:x}::1"]


def opens(host: str) -> bool:
    """Ask the system what a literal host means, then the guard, as a connection does."""
    (info,) = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    try:
        open_public_socket(info).close()
    except ForbiddenAddressError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="Windows reads fewer spellings")
@steady
@given(draw_v4(PRIVATE_V4), st.integers(0, 7))
def test_a_private_address_is_refused_in_every_spelling(address: IPv4Address, spelling: int) -> None:
    assert not opens(spell_v4(address)[spelling])


@steady
@given(draw_v4(PRIVATE_V4), st.integers(0, 2))
def test_a_private_address_inside_an_ipv6_one_is_refused(address: IPv4Address, form: int) -> None:
    assert not is_public(wrap_v4(address)[form])


@steady
@given(draw_v6(PRIVATE_V6))
def test_a_private_ipv6_address_is_refused_with_and_without_a_zone(address: IPv6Address) -> None:
    assert not is_public(str(address))
    assert not is_public(f"{address.exploded}%eth0")


@steady
@given(st.ip_addresses())
def test_whatever_python_calls_not_global_is_refused(address: IPv4Address | IPv6Address) -> None:
    wraps_v4 = isinstance(address, IPv6Address) and (address.ipv4_mapped or address.sixtofour)
    assume(not wraps_v4 and address not in IPv6Network("64:ff9b::/96"))
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_public(str(address))


@steady
@given(draw_v4(PUBLIC_V4), st.integers(0, 7), st.integers(0, 2))
def test_a_public_address_passes_in_every_spelling(address: IPv4Address, spelling: int, form: int) -> None:
    assert opens(spell_v4(address)[spelling])
    assert is_public(wrap_v4(address)[form])


@steady
@given(draw_v6(PUBLIC_V6))
def test_a_public_ipv6_address_passes(address: IPv6Address) -> None:
    assert is_public(str(address))


@pytest.mark.parametrize("text", ["", "localhost", "a.example", "1.2.3", "999.1.1.1"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    assert not is_public(text)


class ListedResolver(AbstractResolver):
    """Answer the n-th question with the n-th list of addresses: a name that changes its mind."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        self.answers.clear()


def test_only_the_public_addresses_of_a_name_are_used() -> None:
    resolver = GuardedResolver(ListedResolver(["10.0.0.1", "8.8.8.8", "::1"]))
    found = asyncio.run(resolver.resolve("a.example", 80))
    assert [result["host"] for result in found] == ["8.8.8.8"]


def test_a_name_that_turns_private_at_the_second_look_up_is_refused() -> None:
    resolver = GuardedResolver(ListedResolver(["8.8.8.8"], ["127.0.0.1"]))
    assert asyncio.run(resolver.resolve("rebinding.example", 80))
    with pytest.raises(ForbiddenAddressError, match=r"rebinding\.example is 127\.0\.0\.1"):
        asyncio.run(resolver.resolve("rebinding.example", 80))
