"""Signed webhooks, Standard Webhooks 1.0.0: one POST per event, the same `webhook-id` on every repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AwareDatetime, BeforeValidator, Field, SecretStr, field_validator

from channels.account_keys import Frozen
from channels.adapters.webhook import payload
from channels.adapters.webhook.signing import Key, Window, signature_header, signing_key, symmetric_key
from channels.contract import Capabilities, Idempotency, Manner, Measured, Post, Prepared
from channels.registry import Tools
from channels.transport import Transport
from channels.verdicts import Receipt, Rejected, Suspended

# Receivers are asked to remember ids for a week (docs/channels/webhook.md); repeats end after 72 hours.
KEY_LIFETIME = 7 * 86_400.0
CAPABILITIES = Capabilities(Idempotency.KEYED, key_lifetime=KEY_LIFETIME)

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class TimedKey(Frozen):
    """A key that signs from `not_before` until `not_after`. Overlapping keys all sign: that is how to rotate."""

    key: SecretStr
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None

    @property
    def window(self) -> Window:
        return Window(*(at.timestamp() if at else None for at in (self.not_before, self.not_after)))


def _plain(value: Any) -> Any:
    return {"key": value} if isinstance(value, str | SecretStr) else value


Keys = tuple[Annotated[TimedKey, BeforeValidator(_plain)], ...]


class Settings(Frozen):
    """`secrets` are `whsec_...` keys, `signing_keys` are `whsk_...`; a key is a text or a table with its window.
    `body_limit` is bytes of HTML that travel with the event (Standard Webhooks advises events under 20 KB).
    `key_lifetime` is how many seconds the receiver remembers an id.
    """

    url: str
    secrets: Keys = ()
    signing_keys: Keys = ()
    deadline: float = Field(20, ge=1, le=30)  # Standard Webhooks: 15 to 30 s
    parallel: int = Field(8, ge=1, le=256)
    body_limit: int = Field(16_384, ge=0, le=1_048_576)
    key_lifetime: float = Field(KEY_LIFETIME, gt=0)

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            good = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("must be an http(s) address with a host")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise ValueError("must have no user name, password or fragment")
        return url

    @field_validator("secrets")
    @classmethod
    def _symmetric(cls, keys: Keys) -> Keys:
        for key in keys:
            symmetric_key(key.key.get_secret_value())
        return keys

    @field_validator("signing_keys")
    @classmethod
    def _asymmetric(cls, keys: Keys) -> Keys:
        for key in keys:
            signing_key(key.key.get_secret_value())
        return keys

    def keys(self) -> tuple[Key, ...]:
        symmetric = (symmetric_key(k.key.get_secret_value(), k.window) for k in self.secrets)
        return (*symmetric, *(signing_key(k.key.get_secret_value(), k.window) for k in self.signing_keys))


class Webhook:
    kind: ClassVar[str] = "webhook"
    manners: ClassVar[Mapping[str, Manner]] = MappingProxyType({"edit": Manner.EVENT, "recall": Manner.EVENT})

    def __init__(self, account: str, settings: Settings, transport: Transport, clock: Callable[[], float]) -> None:
        self.account = account
        self.capabilities = Capabilities(
            Idempotency.KEYED, key_lifetime=settings.key_lifetime, parallel=settings.parallel
        )
        self._url, self._deadline, self._body_limit = settings.url, settings.deadline, settings.body_limit
        self._keys = settings.keys()
        self._transport, self._clock = transport, clock

    async def publish(self, post: Post) -> Receipt:
        return await self._send(post)

    async def edit(self, post: Post) -> Receipt:
        return await self._send(post)

    async def recall(self, post: Post) -> Receipt:
        return await self._send(post)

    def prepare(self, post: Post) -> Prepared:
        body = payload.event(post, self._body_limit)
        dropped = () if payload.fits(post, self._body_limit) else ("html",)
        return Prepared(
            body.decode(), text=post.text, measured=(Measured("body", len(body), None, "bytes"),), dropped=dropped
        )

    async def _send(self, post: Post) -> Receipt:
        body = payload.event(post, self._body_limit)
        headers = self._headers(post.key, body)
        await self._transport.send("POST", self._url, headers, body, account=self.account, deadline=self._deadline)
        return Receipt(post.key)

    def _headers(self, key: str, body: bytes) -> dict[str, str]:
        """The timestamp is this attempt's. Raises `Suspended` when no key is valid now."""
        if not _ID.fullmatch(key):
            raise Rejected("bad_key", "the idempotency key cannot be a webhook-id")
        now = int(self._clock())
        signature = signature_header(self._keys, key, now, body)
        if not signature:
            raise Suspended("no_valid_key", f"{self.account}: no signing key is valid now")
        return {
            "Content-Type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(now),
            "webhook-signature": signature,
        }


def build(account: str, settings: Settings, tools: Tools) -> Webhook:
    """Raises `ValueError` without any key: an unsigned event can be forged."""
    if not settings.secrets and not settings.signing_keys:
        raise ValueError("needs at least one key in secrets or signing_keys")
    return Webhook(account, settings, tools.transport, tools.clock)
