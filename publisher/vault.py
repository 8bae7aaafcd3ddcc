"""Seals secrets: AES-256-GCM, each secret under a key of its own, that key wrapped by the vault's key.

The vault's key comes from the environment. It is changed by wrapping anew: the secrets themselves stay as they are.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from content_queue.store import SealedSecret
from publisher.keys import create_once

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D, 5.2.1.1: what GCM is made for


class VaultError(Exception):
    """The vault cannot be opened. Its text names keys by their ids, never a value."""


class BadKey(VaultError):
    def __init__(self, where: str) -> None:
        super().__init__(f"{where} is no key: it must be base64 of {KEY_BYTES} bytes")
        self.where = where


class Unopened(VaultError):
    """What was sealed cannot be opened: another key, or it was altered."""


class Vault:
    """`keys` are (where it came from, base64 text), the current one first; older ones only open."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        found = [_key(where, text) for where, text in keys]
        if not found:
            raise VaultError("the vault has no key")
        self._keys: Mapping[str, bytes] = {key_id(k): k for k in found}
        self.current = key_id(found[0])

    def __repr__(self) -> str:
        return f"Vault({self.current})"

    def seal_secret(self, name: str, value: str) -> SealedSecret:
        own = os.urandom(KEY_BYTES)
        sealed = _seal(own, value.encode(), f"secret:{name}")
        return SealedSecret(name, self.current, self._wrap(own, name), sealed)

    def open_secret(self, secret: SealedSecret) -> str:
        """Raises `Unopened`."""
        return _open(self._own(secret), secret.sealed, f"secret:{secret.name}").decode()

    def rewrap(self, secret: SealedSecret) -> SealedSecret:
        """The same secret, its key wrapped by the current key of the vault. Raises `Unopened`."""
        if secret.key_id == self.current:
            return secret
        wrapped = self._wrap(self._own(secret), secret.name)
        return SealedSecret(
            secret.name, self.current, wrapped, secret.sealed, secret.created_at, secret.changed_at
        )

    def seal(self, value: str, context: str) -> bytes:
        """Something short-lived (a token), directly under the current key."""
        return self.current.encode() + b":" + _seal(self._keys[self.current], value.encode(), context)

    def open(self, sealed: bytes, context: str) -> str:
        """Raises `Unopened`."""
        name, _, rest = sealed.partition(b":")
        return _open(self._known(name.decode("ascii", "replace")), rest, context).decode()

    def _wrap(self, own: bytes, name: str) -> bytes:
        return _seal(self._keys[self.current], own, f"key:{name}")

    def _own(self, secret: SealedSecret) -> bytes:
        return _open(self._known(secret.key_id), secret.wrapped, f"key:{secret.name}")

    def _known(self, wanted: str) -> bytes:
        if wanted not in self._keys:
            raise Unopened(f"sealed with key {wanted[:16]}, which is not among the vault's keys")
        return self._keys[wanted]


def key_id(key: bytes) -> str:
    """Names a key without telling it."""
    return hashlib.sha256(b"gongbao vault key id\x00" + key).hexdigest()[:16]


def local_key(path: Path) -> str:
    """The key that a single machine makes for itself."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        create_once(path, base64.b64encode(os.urandom(KEY_BYTES)).decode())
    return path.read_text("ascii")


def _key(where: str, text: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadKey(where) from None
    if len(key) != KEY_BYTES:
        raise BadKey(where)
    return key


def _seal(key: bytes, plain: bytes, context: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def _open(key: bytes, sealed: bytes, context: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError):
        raise Unopened("what was sealed cannot be opened: it was altered, or belongs to something else") from None
