"""Which addresses may be dialled. Judged on the socket's own address, so that no name can lead elsewhere."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Public unicast is 2000::/3 (IANA IPv6 address space registry). What stands beside it is never a receiver.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_REFUSED: tuple[Network, ...] = (
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments, RFC 6890; Python calls most of it global
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relay anycast, RFC 7526; Python calls it global
    ipaddress.IPv6Network("2002::/16"),  # 6to4, RFC 7526: carries any IPv4 address; Python calls it global
    ipaddress.IPv6Network("3fff::/20"),  # documentation, RFC 9637
)
_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024  # below: system ports (RFC 6335), where mail, shells and databases listen


class AddressRefused(OSError):
    """The rules forbid this address. Raised while dialling, so nothing has left the machine."""


def refusal(
    host: str,
    port: int,
    allowed: Sequence[Network] = (),
    ports: frozenset[int] = _WEB_PORTS,
    *,
    only_allowed: bool = False,
) -> str | None:
    """Why `host` (a literal address) and `port` may not be dialled; None when they may. `ports` are the system ports
    that may. `only_allowed` (without TLS, or in a rehearsal) takes the allow-list alone."""
    address = _unwrapped(ipaddress.ip_address(host.partition("%")[0]))
    if any(address.version == net.version and address in net for net in allowed):
        return None
    if not is_public(address):
        return "not a public address"
    if port not in ports and port < _FIRST_FREE_PORT:
        return "not a web port" if ports is _WEB_PORTS else "not a mail port"
    return "not in a network that is allow-listed" if only_allowed else None


def is_public(address: Address) -> bool:
    """`is_global` of the standard library, corrected where it takes multicast, 6to4 and the like for public."""
    address = _unwrapped(address)
    if address.is_multicast or any(address.version == n.version and address in n for n in _REFUSED):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, when it stands for one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def guarded_socket_factory(
    allowed: Sequence[Network], *, only_allowed: bool = False
) -> Callable[[tuple[Any, ...]], socket.socket]:
    """Makes sockets for addresses that pass. `only_allowed` (plain HTTP) takes the allow-list alone."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        problem = refusal(address[0], address[1], allowed, only_allowed=only_allowed)
        if problem:
            raise AddressRefused(problem)
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
