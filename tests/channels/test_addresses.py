from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.addresses import AddressRefused, guarded_socket_factory, is_public, refusal

NOT_PUBLIC = """
10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 127.0.0.1 127.255.0.1 169.254.169.254 0.0.0.0 0.1.2.3
240.0.0.1 255.255.255.255 198.18.0.1 192.0.2.1 198.51.100.1 203.0.113.1 100.64.0.1 224.0.0.1
239.255.255.250 192.88.99.1 192.0.0.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1
64:ff9b::a00:1 64:ff9b:1::1 2002:7f00:1:: 2002:808:808:: fe80::1 fec0::1 fc00::1 fd00::1 :: ::1
::7f00:1 ff02::1 ff0e::1 2001:db8::1 2001::1 100::1 3fff::1 5f00::1
"""
PUBLIC = """
8.8.8.8 1.1.1.1 202.106.0.20 2606:4700::1111 240e:0:9000::1 64:ff9b::808:808 ::ffff:8.8.8.8
"""
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert refusal(address, 443) == "not a public address"


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_may_be_dialled(address: str) -> None:
    assert refusal(address, 443) is None


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_what_it_stands_for(inner: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + inner.packed)
    nat64 = ipaddress.IPv6Address(ipaddress.IPv6Address("64:ff9b::").packed[:12] + inner.packed)
    assert is_public(inner) == is_public(mapped) == is_public(nat64)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    inner = getattr(address, "ipv4_mapped", None) or address
    if inner.is_private or inner.is_loopback or inner.is_link_local or inner.is_multicast or inner.is_reserved:
        assert not is_public(address) or address in ipaddress.ip_network("64:ff9b::/96")


@pytest.mark.parametrize("port", [22, 25, 6379 % 1024, 1023, 0])
def test_system_ports_other_than_the_webs_are_refused(port: int) -> None:
    assert refusal("8.8.8.8", port) == "not a web port"


@pytest.mark.parametrize("port", [80, 443, 1024, 8443])
def test_web_ports_pass(port: int) -> None:
    assert refusal("8.8.8.8", port) is None


def test_allow_listed_networks_pass_on_any_port_and_nothing_beside_them() -> None:
    assert refusal("127.0.0.1", 22, LOOPBACK) is None
    assert refusal("::ffff:127.0.0.1", 22, LOOPBACK) is None
    assert refusal("10.0.0.1", 443, LOOPBACK) == "not a public address"
    assert refusal("fe80::1%eth0", 443, (ipaddress.ip_network("fe80::/10"),)) is None


def test_plain_http_is_for_allow_listed_networks_alone() -> None:
    make = guarded_socket_factory(LOOPBACK, only_allowed=True)
    with pytest.raises(AddressRefused, match="allow-listed"):
        make((2, 1, 6, "", ("8.8.8.8", 80)))
    make((2, 1, 6, "", ("127.0.0.1", 80))).close()
