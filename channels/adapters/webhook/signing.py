"""Standard Webhooks 1.0.0: keys, signatures, verification. Pure.

Signed text: id, dot, timestamp, dot, the raw body. Symmetric `v1` is HMAC-SHA256 with a `whsec_` key; asymmetric
`v1a` is Ed25519 with a `whsk_` secret key, whose public half is shown as `whpk_`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SYMMETRIC, SECRET, PUBLIC = "whsec_", "whsk_", "whpk_"
SHORTEST, LONGEST = 24, 64  # bytes of a symmetric key, Standard Webhooks "Signature scheme"
TOLERANCE = 300  # seconds either way, as in the published libraries


@dataclass(frozen=True, slots=True)
class Window:
    """When a key signs: from `begins` up to, not including, `ends` (epoch seconds; None: no bound)."""

    begins: float | None = None
    ends: float | None = None

    def holds(self, at: float) -> bool:
        return (self.begins is None or self.begins <= at) and (self.ends is None or at < self.ends)


@dataclass(frozen=True, slots=True)
class SymmetricKey:
    secret: bytes = field(repr=False)
    window: Window = Window()

    def token(self, signed: bytes) -> str:
        return "v1," + _base64(hmac.digest(self.secret, signed, "sha256"))


@dataclass(frozen=True, slots=True)
class SigningKey:
    private: Ed25519PrivateKey = field(repr=False)
    window: Window = Window()

    def token(self, signed: bytes) -> str:
        return "v1a," + _base64(self.private.sign(signed))

    @property
    def public_text(self) -> str:
        """What receivers are given: `whpk_...`."""
        return PUBLIC + _base64(self.private.public_key().public_bytes_raw())


Key = SymmetricKey | SigningKey


def symmetric_key(text: str, window: Window = Window()) -> SymmetricKey:
    """Raises `ValueError` that never shows the text; so do its neighbours."""
    raw = _decoded(text, SYMMETRIC)
    if not SHORTEST <= len(raw) <= LONGEST:
        raise ValueError(f"a {SYMMETRIC} key has {SHORTEST} to {LONGEST} bytes; this one has {len(raw)}")
    return SymmetricKey(raw, window)


def signing_key(text: str, window: Window = Window()) -> SigningKey:
    """32 bytes of seed, or 64 of seed and public key as libsodium writes them."""
    raw = _decoded(text, SECRET)
    if len(raw) not in (32, 64):
        raise ValueError(f"a {SECRET} key has 32 or 64 bytes; this one has {len(raw)}")
    private = Ed25519PrivateKey.from_private_bytes(raw[:32])
    if len(raw) == 64 and private.public_key().public_bytes_raw() != raw[32:]:
        raise ValueError(f"the two halves of this {SECRET} key do not belong together")
    return SigningKey(private, window)


def public_key(text: str) -> Ed25519PublicKey:
    raw = _decoded(text, PUBLIC)
    if len(raw) != 32:
        raise ValueError(f"a {PUBLIC} key has 32 bytes; this one has {len(raw)}")
    return Ed25519PublicKey.from_public_bytes(raw)


def signature_header(keys: Iterable[Key], message_id: str, timestamp: int, body: bytes) -> str:
    """One token for each key whose window holds `timestamp`; empty when there is none."""
    signed = signed_text(message_id, timestamp, body)
    return " ".join([key.token(signed) for key in keys if key.window.holds(timestamp)])


def signed_text(message_id: str, timestamp: int, body: bytes) -> bytes:
    """The id may hold no dot, or two different messages could share one signed text."""
    return b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)


def verify(
    headers: tuple[str, str, str],
    body: bytes,
    *,
    secrets: Sequence[SymmetricKey] = (),
    public_keys: Sequence[Ed25519PublicKey] = (),
    now: float,
) -> frozenset[str]:
    """Which schemes (`v1`, `v1a`) of a received message hold. `headers` are id, timestamp, signature.

    Empty when none holds or the timestamp is unreadable or outside the tolerance.
    """
    message_id, stamp, tokens = headers
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16) or abs(int(stamp) - now) > TOLERANCE:
        return frozenset()
    if not message_id.isascii() or "." in message_id:
        return frozenset()
    signed = signed_text(message_id, int(stamp), body)
    pairs = [token.partition(",") for token in tokens.split(" ")]
    held = {"v1" for version, _, text in pairs if version == "v1" and _symmetric_holds(secrets, signed, text)}
    held |= {"v1a" for version, _, text in pairs if version == "v1a" and _public_holds(public_keys, signed, text)}
    return frozenset(held)


def _symmetric_holds(secrets: Sequence[SymmetricKey], signed: bytes, text: str) -> bool:
    given = text.encode("utf-8", "replace")
    return any(hmac.compare_digest(key.token(signed)[3:].encode(), given) for key in secrets)


def _public_holds(keys: Sequence[Ed25519PublicKey], signed: bytes, text: str) -> bool:
    try:
        signature = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return any(_one_holds(key, signature, signed) for key in keys)


def _one_holds(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _decoded(text: str, prefix: str) -> bytes:
    if not text.startswith(prefix):
        raise ValueError(f"the key must begin with {prefix}")
    rest = text[len(prefix) :]
    try:
        return base64.b64decode(rest + "=" * (-len(rest) % 4), validate=True)
    except ValueError:
        raise ValueError(f"what follows {prefix} is not base64") from None
