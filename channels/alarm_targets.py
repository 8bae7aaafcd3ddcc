"""Ways to tell operators something: signed webhooks and e-mail. No queue, no retries: whoever sends keeps those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol

from channels import mail
from channels.adapters.webhook.signing import Key, signature_header
from channels.mail import MailServer
from channels.transport import Transport
from channels.verdicts import Suspended


@dataclass(frozen=True, slots=True)
class Message:
    """`id` is the same on every repeat (letters, digits, `-` and `_`); `json` is for machines, `subject` and `text`
    for people."""

    id: str
    json: bytes
    subject: str
    text: str


class Target(Protocol):
    name: str

    async def send(self, message: Message) -> None:
        """Raises a verdict when it was not taken for certain."""
        ...


class HookTarget:
    """Standard Webhooks 1.0.0, as the webhook channel signs. `clock` is epoch seconds."""

    def __init__(
        self, name: str, url: str, keys: Sequence[Key], transport: Transport, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self._url, self._keys, self._transport, self._clock = url, tuple(keys), transport, clock

    async def send(self, message: Message) -> None:
        now = int(self._clock())
        signature = signature_header(self._keys, message.id, now, message.json)
        if not signature:
            raise Suspended("no_valid_key", f"{self.name}: no signing key is valid now")
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature,
        }
        await self._transport.send("POST", self._url, headers, message.json, account=self.name)


class MailTarget:
    """`domain` makes the message ids; `clock` is epoch seconds."""

    def __init__(
        self, name: str, server: MailServer, sender: str, recipients: Sequence[str], domain: str,
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.name = name
        self._server, self._sender, self._recipients = server, sender, tuple(recipients)
        self._domain, self._clock = domain, clock

    async def send(self, message: Message) -> None:
        letter = mail.compose(
            sender=self._sender,
            recipients=self._recipients,
            subject=message.subject,
            text=message.text,
            message_id=f"<{message.id}@{self._domain}>",
            date=formatdate(self._clock()),
        )
        await mail.send(self._server, letter)
