"""The log's signing key: made on the first start, kept in the data folder, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from content_queue.audit_log import encode_vkey, parse_vkey
from content_queue.store import AuditLog

SEED_FILE = "log.ed25519"
PUBLIC_FILE = "log.vkey"
COPY = "copy the file from the machine that has sealed so far, or from your backup"


class KeyFileError(Exception):
    """The key file is missing or not readable as a key. Never shows its content."""


def load_or_make(folder: Path, origin: str) -> Ed25519PrivateKey:
    """The private key as 64 hex digits in `log.ed25519` (mode 0600); beside it `log.vkey`, which may be published."""
    path = folder / SEED_FILE
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        create_once(path, Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
    except FileExistsError:
        pass
    try:
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text("ascii").strip()))
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} holds no key (64 hex digits); restore it from your backup") from error
    public = folder / PUBLIC_FILE
    if not public.exists():
        public.write_text(encode_vkey(origin, key.public_key()) + "\n", "utf-8")
    return key


def has_key(folder: Path) -> bool:
    return (folder / SEED_FILE).exists()


async def log_key(
    log: AuditLog, folder: Path, origin: str, roles: Sequence[str]
) -> tuple[Ed25519PrivateKey | None, str]:
    """The key to seal with, if this process has it, and the public one that the log is sealed with, as text ("" while
    there is none).

    The first process that is more than a worker makes the key; the database remembers which it is. Others need it only
    to seal. Raises `KeyFileError` where a scheduler has none or another.
    """
    known = await log.key()
    if known is None and set(roles) == {"worker"}:
        return None, ""
    key = load_or_make(folder, origin) if known is None or has_key(folder) else None
    if known is None and key is not None:
        known = await log.claim_key(key.public_key())
    if key is not None and key.public_key().public_bytes_raw() == known:
        return key, encode_vkey(origin, key.public_key())
    if "scheduler" in roles:
        held = "another key" if key else "no key"
        raise KeyFileError(f"{folder / SEED_FILE}: there is {held}, and the log is sealed with one already; {COPY}")
    return None, encode_vkey(origin, Ed25519PublicKey.from_public_bytes(known)) if known and any(known) else ""


def load_public(folder: Path) -> Ed25519PublicKey:
    """Raises `KeyFileError`."""
    path = folder / PUBLIC_FILE
    try:
        return parse_vkey(path.read_text("utf-8").strip())[1]
    except (OSError, ValueError) as error:
        raise KeyFileError(f"{path} holds no public key") from error


def create_once(path: Path, text: str) -> None:
    """A file for its owner alone, written aside and linked into place, so that two processes starting at once agree on
    one. Raises `FileExistsError`."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    finally:
        aside.unlink()
