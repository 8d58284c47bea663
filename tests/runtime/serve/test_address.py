"""`--serve [HOST:]PORT`: what is read, where it listens, which host names mean us."""

import socket

import pytest

from yoga_live.runtime.errors import OptionError
from yoga_live.runtime.serve import address
from yoga_live.runtime.serve.address import (
    ServeAddress,
    accepts_host,
    is_this_machine,
    list_names,
    parse_address,
    resolve,
)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        ("0", "127.0.0.1", 0),
        ("0.0.0.0:8080", "0.0.0.0", 8080),
        ("[::]:8080", "::", 8080),
        ("[::1]:0", "::1", 0),
        ("localhost:65535", "localhost", 65535),
        ("jetson.local:80", "jetson.local", 80),
    ],
)
def test_a_host_and_a_port_are_read(text: str, host: str, port: int) -> None:
    assert parse_address(text) == ServeAddress(host, port)


@pytest.mark.parametrize(
    "text",
    ["", ":", ":8080", "x", "0.0.0.0", "0.0.0.0:", "8080:", "65536", "-1", "1.5", "٣", "::1:8080", "::", "http://x:80",
     "me@x:80", "[::1", "[::1]", " :80", "a b:80"],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_what_was_seen(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as|brackets") as caught:
        parse_address(text)
    assert repr(text) in str(caught.value)


def test_an_address_is_written_as_it_is_read() -> None:
    for text in ("127.0.0.1:8080", "[::]:80", "localhost:0"):
        assert str(parse_address(text)) == text


def test_a_name_is_resolved_and_an_unknown_one_refused() -> None:
    assert resolve(ServeAddress("127.0.0.1", 0)) == (socket.AF_INET, "127.0.0.1")
    assert resolve(ServeAddress("::1", 0)) == (socket.AF_INET6, "::1")
    with pytest.raises(
        OptionError, match=r"--serve nowhere\.invalid:80: this machine has no address 'nowhere\.invalid'"
    ):
        resolve(ServeAddress("nowhere.invalid", 80))
    with pytest.raises(OptionError, match="this machine has no address"):
        resolve(ServeAddress("x" * 300, 80))


@pytest.mark.parametrize(
    ("ip", "is_ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("192.168.1.2", False),
     ("fe80::1%eth0", False)],
)  # fmt: skip
def test_only_loopback_is_this_machine(ip: str, is_ours: bool) -> None:
    assert is_this_machine(ip) is is_ours


def test_people_are_told_an_address_that_others_can_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_names("127.0.0.1") == ("127.0.0.1",) and list_names("::1") == ("[::1]",)
    found = {socket.AF_INET: "192.168.1.20", socket.AF_INET6: "2001:db8::20"}
    monkeypatch.setattr(address, "_find_outward_ip", found.__getitem__)
    assert list_names("0.0.0.0") == ("192.168.1.20",) and list_names("::") == ("192.168.1.20", "[2001:db8::20]")
    monkeypatch.setattr(address, "_find_outward_ip", lambda family: "")
    assert list_names("0.0.0.0") == (socket.gethostname(),)


LOCAL = ["127.0.0.1:8080", "localhost:8080", "localhost:1", "LOCALHOST", "[::1]:80", "[::1]", "127.0.0.1"]
LAN = ["192.168.1.20:8080", "[2001:db8::1]:8080", "studio:8080", "studio.local", "studio.fritz.box:80", "Studio.local."]
FOREIGN = ["evil.example", "127.0.0.1.nip.io:80", "", "localhost.evil.example", "studio-evil.com", "a:b", "[evil]:80"]


def test_a_host_header_must_mean_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address.socket, "gethostname", lambda: "studio")
    none: frozenset[str] = frozenset()
    assert all(accepts_host(host, none, is_public=public) for host in LOCAL for public in (True, False))
    assert all(accepts_host(host, none, is_public=True) for host in LAN)
    assert not any(accepts_host(host, none, is_public=False) for host in LAN)
    assert not any(accepts_host(host, none, is_public=public) for host in FOREIGN for public in (True, False))
    assert accepts_host("yoga.example:80", frozenset({"yoga.example"}), is_public=False)
