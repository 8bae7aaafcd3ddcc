"""Mail over a real SMTP server: TLS of both kinds, sign-in, refusals, and which addresses may be dialled."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest
from alarm_places import PASSWORD, USER, certificate, mail_server

from channels import mail
from channels.alarm_targets import MailTarget, Message
from channels.mail import MailServer, Security
from channels.verdicts import Deferred, Rejected, Suspended, Verdict

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
SUBJECT = "[示例市版权局] 新告警 1 项 / 1 new alarms\nBcc: x@y.example"
MESSAGE = Message("alarm-7", b"{}", SUBJECT, "站点：已到期\nsite: due\n")


def target(port: int, security: Security = Security.NONE, **facts: Any) -> MailTarget:
    chosen = {"host": "localhost", "allow_networks": LOOPBACK, "deadline": 20.0, **facts}
    server = MailServer(port=port, security=security, **chosen)
    recipients = ("duty@example.gov.cn", "chief@example.gov.cn")
    return MailTarget("duty", server, "gongbao@example.gov.cn", recipients, "example.gov.cn", lambda: 1_800_000_000.0)


async def test_a_letter_arrives_in_plain_text_for_all() -> None:
    with mail_server() as box:
        await target(box.port).send(MESSAGE)
        await target(box.port).send(MESSAGE)
    first, again = box.letters
    assert first["To"] == "duty@example.gov.cn, chief@example.gov.cn"
    assert first["From"] == "gongbao@example.gov.cn"
    assert first["Subject"] == "[示例市版权局] 新告警 1 项 / 1 new alarms Bcc: x@y.example"  # no header of its own
    assert first["Bcc"] is None
    assert first["Message-ID"] == again["Message-ID"] == "<alarm-7@example.gov.cn>"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Date"].startswith("Fri, 15 Jan 2027")
    assert first.get_content_type() == "text/plain"
    assert first.get_content().splitlines() == ["站点：已到期", "site: due"]


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_tls_of_both_kinds_with_a_certificate_of_the_agency(tmp_path: Path, security: Security) -> None:
    whole, public = certificate(tmp_path)
    own = {"ca_file": str(public), "user": USER, "password": PASSWORD}
    with mail_server(whole, implicit=security is Security.TLS, signed_in=True) as box:
        await target(box.port, security, **own).send(MESSAGE)
        with pytest.raises(Suspended, match="sign_in_refused") as wrong:
            await target(box.port, security, **own | {"password": "wrong-password"}).send(MESSAGE)
    assert (len(box.letters), box.encrypted) == (1, [True])
    assert "wrong-password" not in repr(wrong.value)


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
async def test_a_stranger_s_certificate_and_another_name_are_refused(tmp_path: Path, security: Security) -> None:
    whole, public = certificate(tmp_path, "mail.example.gov.cn")
    with mail_server(whole, implicit=security is Security.TLS) as box:
        for ca_file in ("", str(public)):
            with pytest.raises(Verdict):
                await target(box.port, security, ca_file=ca_file).send(MESSAGE)
    assert box.letters == []


async def test_a_server_without_starttls_gets_nothing() -> None:
    with mail_server(signed_in=True) as box, pytest.raises(Suspended, match="no_starttls"):
        await target(box.port, Security.STARTTLS, user=USER, password=PASSWORD).send(MESSAGE)
    assert box.letters == []


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [("451 later", Deferred, "smtp_451"), ("554 never, duty@example.gov.cn", Rejected, "smtp_554")],
)
async def test_refusals_are_verdicts_without_the_server_s_words(answer: str, kind: type[Verdict], reason: str) -> None:
    with mail_server() as box:
        box.refuse.append(answer)
        with pytest.raises(Verdict) as caught:
            await target(box.port).send(MESSAGE)
    assert type(caught.value) is kind
    assert caught.value.reason == reason
    assert "duty" not in str(caught.value)


async def test_nobody_listens() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(Deferred, match="cannot_connect"):
            await target(closed.getsockname()[1]).send(MESSAGE)
    with pytest.raises(Deferred, match="name_not_found"):
        await target(25, host="nobody.invalid").send(MESSAGE)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Deferred):
            await target(silent.getsockname()[1], deadline=0.3).send(MESSAGE)


@pytest.mark.parametrize(
    ("address", "port", "security", "allowed"),
    [
        ("127.0.0.1", 587, Security.STARTTLS, ()),
        ("10.1.2.3", 25, Security.TLS, LOOPBACK),
        ("169.254.169.254", 587, Security.TLS, ()),
        ("::ffff:10.0.0.1", 465, Security.TLS, ()),
        ("8.8.8.8", 22, Security.TLS, ()),
        ("8.8.8.8", 25, Security.NONE, ()),
    ],
)
async def test_only_addresses_within_the_rules_are_dialled(
    monkeypatch: pytest.MonkeyPatch, address: str, port: int, security: Security, allowed: tuple[Any, ...]
) -> None:
    """Whatever the name resolves to: the socket's own address is judged, before anything is dialled."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def resolved(*_: Any, **__: Any) -> list[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    def dialled(*_: Any, **__: Any) -> Any:
        raise AssertionError("dialled")

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    monkeypatch.setattr(mail.socket, "socket", dialled)
    with pytest.raises(Suspended, match="address_not_allowed"):
        await target(port, security, host="mail.example.gov.cn", allow_networks=allowed).send(MESSAGE)


def test_the_password_is_in_no_repr() -> None:
    assert PASSWORD not in repr(MailServer("h", 25, Security.TLS, USER, PASSWORD))
