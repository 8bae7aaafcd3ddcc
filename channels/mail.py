"""E-mail by SMTP: the one way out for it. The address is judged on what is dialled, as in `transport.py`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from enum import StrEnum
from types import MappingProxyType

import aiosmtplib

from channels.addresses import Network, refusal
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

# RFC 6409 (submission, 587), RFC 8314 (submissions, 465), RFC 5321 (25).
MAIL_PORTS = frozenset({25, 465, 587})
QUIT_SECONDS = 2.0  # the message is taken by then; a server that does not say goodbye delays nothing
DEADLINE = 30.0  # seconds for the whole exchange; RFC 5321 4.5.3.2 allows minutes, an alarm does not


class Security(StrEnum):
    TLS = "tls"  # from the first byte, RFC 8314
    STARTTLS = "starttls"  # RFC 3207; a server that does not offer it is refused
    NONE = "none"  # to allow-listed networks alone


DEFAULT_PORTS: Mapping[Security, int] = MappingProxyType(
    {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}
)


@dataclass(frozen=True, slots=True)
class MailServer:
    """`ca_file` names certificates (PEM) that are trusted besides none other; "" trusts those of the system."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    allow_networks: tuple[Network, ...] = ()
    deadline: float = DEADLINE


def compose(
    *, sender: str, recipients: Sequence[str], subject: str, text: str, message_id: str, date: str
) -> EmailMessage:
    """A plain text message. The same `message_id` on every repeat lets mail programs drop copies. `date` is in the
    form of RFC 5322."""
    message = EmailMessage(policy=WIRE)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = date
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    message.set_content(text)
    return message


async def send(server: MailServer, message: EmailMessage) -> None:
    """Hands the message to the server for all its recipients; raises a verdict otherwise."""
    try:
        async with asyncio.timeout(server.deadline):
            await _exchange(server, message)
    except TimeoutError:
        raise Deferred("late_answer", f"{server.host} did not answer in time") from None


async def _exchange(server: MailServer, message: EmailMessage) -> None:
    context = await asyncio.to_thread(_context, server.ca_file) if server.security is not Security.NONE else None
    client = aiosmtplib.SMTP(
        hostname=server.host,  # the name that the certificate must bear; nothing is resolved from it
        sock=await _dialled(server),
        use_tls=server.security is Security.TLS,
        start_tls=False,  # below, where what is missing can be named
        tls_context=context,
        timeout=server.deadline,
    )
    try:
        await client.connect()
        if server.security is Security.STARTTLS:
            await _start_tls(client, server, context)
        if server.user:
            await client.login(server.user, server.password)
        await client.send_message(message)
    except aiosmtplib.SMTPException as error:
        raise _verdict(error, server.host) from None
    except (OSError, ssl.SSLError):
        raise Deferred("cannot_connect", f"{server.host} broke off") from None
    finally:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            await client.quit(timeout=QUIT_SECONDS)
        client.close()


async def _start_tls(client: aiosmtplib.SMTP, server: MailServer, context: ssl.SSLContext | None) -> None:
    await client.ehlo()
    if not client.supports_extension("starttls"):
        raise Suspended("no_starttls", f"{server.host} does not offer STARTTLS")
    await client.starttls(server_hostname=server.host, tls_context=context)


async def _dialled(server: MailServer) -> socket.socket:
    """A connection to the first address that passes the rules and answers."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError:
        raise Deferred("name_not_found", f"{server.host} has no address") from None
    problem = ""
    for family, kind, protocol, _, address in found:
        problem = _refused(server, str(address[0])) or ""
        if problem:
            continue
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        try:
            await loop.sock_connect(made, address)
        except BaseException as error:
            made.close()
            if not isinstance(error, OSError):
                raise
        else:
            return made
    if problem:
        raise Suspended("address_not_allowed", f"{server.host}: {problem}")
    raise Deferred("cannot_connect", f"{server.host} did not accept a connection")


def _refused(server: MailServer, address: str) -> str | None:
    plain = server.security is Security.NONE
    return refusal(address, server.port, server.allow_networks, MAIL_PORTS, only_allowed=plain)


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError:
        raise Suspended("bad_ca_file", "the file of trusted certificates cannot be read") from None


def _verdict(error: aiosmtplib.SMTPException, host: str) -> Verdict:
    """The server's own words are left out: they may repeat addresses."""
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return Suspended("sign_in_refused", f"{host} refuses the user or the password")
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = sorted({r.code for r in error.recipients})
        return _by_code(codes[-1] if codes else 550, "recipient_refused", host)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _by_code(error.code, f"smtp_{error.code}", host)
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Suspended("sign_in_refused", f"{host} does not offer to sign in")
    if isinstance(error, aiosmtplib.SMTPConnectError):
        return Deferred("cannot_connect", f"{host} did not accept a connection, or shows no certificate we trust")
    return OutcomeUnknown("broken_answer", f"{host} broke off ({type(error).__name__})")


def _by_code(code: int, reason: str, host: str) -> Verdict:
    """RFC 5321 4.2.1: 4yz is transient, 5yz permanent."""
    if 400 <= code < 500:
        return Deferred(reason, f"{host} answered {code}")
    return Rejected(reason, f"{host} answered {code}")
