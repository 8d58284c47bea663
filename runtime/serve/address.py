"""Where `--serve` listens: `8080`, `0.0.0.0:8080`, `[::]:8080`; and how that place is called by others."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass

from ..errors import OptionError
from ..system.option_types import quote

THIS_MACHINE = "127.0.0.1"


@dataclass(frozen=True)
class ServeAddress:
    """host: a name or an IP address without brackets; port: 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> ServeAddress:
    """Read `[HOST:]PORT`.  Raises ValueError that says what was wrong."""
    host, colon, port = text.rpartition(":")
    told = quote(text)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{told}: an IPv6 address goes in brackets, such as [::]:8080")
    if (colon and not host) or any(sign in host for sign in "[]/@ "):
        raise ValueError(f"{told} is not an address; give a port, such as 8080, or a host and a port: 0.0.0.0:8080")
    if not (port.isascii() and port.isdigit() and len(port) < 20 and int(port) < 65536):
        raise ValueError(f"{told} has no port from 0 to 65535; such as 8080 or 0.0.0.0:8080, and 0 is any free one")
    return ServeAddress(host or THIS_MACHINE, int(port))


def resolve(address: ServeAddress) -> tuple[socket.AddressFamily, str]:
    """The family and IP address to listen at.  Raises OptionError where the name is unknown."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(f"--serve {address}: this machine has no address {address.host!r} ({reason})") from error
    family, _, _, _, place = found[0]
    return family, str(place[0])


def is_this_machine(ip: str) -> bool:
    """Whether only programs of this machine reach this IP address."""
    return ipaddress.ip_address(ip.partition("%")[0]).is_loopback


def list_names(ip: str) -> tuple[str, ...]:
    """Hosts to tell people for a listener at this IP address, the one that a phone takes first."""
    if not ipaddress.ip_address(ip.partition("%")[0]).is_unspecified:
        return (f"[{ip}]" if ":" in ip else ip,)
    found = (_find_outward_ip(socket.AF_INET), _find_outward_ip(socket.AF_INET6) if ":" in ip else "")
    names = tuple(f"[{name}]" if ":" in name else name for name in found if name)
    return names or (socket.gethostname(),)


def accepts_host(header: str, names: frozenset[str], *, is_public: bool) -> bool:
    """Whether a Host header is one that can only mean us, with any port (a tunnel may change it).

    names: as the user gave them.  is_public: listening beyond this machine, where a token is asked for as well; then
    any IP address is taken (no name, so no rebinding), and this machine's name in whatever domain the router puts it.
    """
    name, colon, port = header.rpartition(":") if not header.endswith("]") else (header, "", "")
    name = (name if colon and port.isdigit() else header).lower().rstrip(".")
    if name in {"localhost", THIS_MACHINE, "[::1]"} | names:
        return True
    return is_public and (_is_ip(name) or name.partition(".")[0] == socket.gethostname().lower().partition(".")[0])


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _find_outward_ip(family: socket.AddressFamily) -> str:
    """The IP address from which this machine would leave for elsewhere; nothing is sent.  Empty without a network."""
    elsewhere = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"  # for documentation: RFC 5737, RFC 3849
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return ""
