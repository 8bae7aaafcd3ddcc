"""Signed notes and published keys, as C2SP signed-note v1.0.0 describes them (c2sp.org/signed-note)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"  # signed-note, "Signature types"
SIGNATURE_SIZE = 64  # RFC 8032 section 5.1.6
KEY_ID_SIZE = 4  # signed-note, "Signatures"
NOTE_LIMIT = 65536  # characters; signed-note asks verifiers to bound a note yet to take 16 signatures
_DASH = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # signed-note, "Format": no control character but newline


class NoteError(ValueError):
    """The text is no well-formed note, or nobody we know signed it. The message quotes nothing of the text."""


def key_id(name: str, public_key: Ed25519PublicKey) -> bytes:
    """SHA-256(name || 0x0A || 0x01 || public key)[:4]."""
    return sha256(name.encode() + b"\n" + ED25519 + public_key.public_bytes_raw()).digest()[:KEY_ID_SIZE]


def encode_vkey(name: str, public_key: Ed25519PublicKey) -> str:
    """The key as it is published: `name+hex key id+base64(0x01 || public key)`, as golang.org/x/mod/sumdb/note."""
    check_name(name)
    return f"{name}+{key_id(name, public_key).hex()}+{encode64(ED25519 + public_key.public_bytes_raw())}"


def parse_vkey(vkey: str) -> tuple[str, Ed25519PublicKey]:
    """Raises NoteError unless the key is Ed25519 and its id fits its name."""
    name, _, rest = vkey.strip().partition("+")
    hexed, _, encoded = rest.partition("+")
    check_name(name)
    raw = decode64(encoded)
    if raw[:1] != ED25519 or len(raw) != 33:
        raise NoteError("the key is not an Ed25519 key")
    key = Ed25519PublicKey.from_public_bytes(raw[1:])
    if hexed != key_id(name, key).hex():
        raise NoteError("the key id does not fit the name and the key")
    return name, key


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """`text` must end with a newline. Raises NoteError when it cannot be a note's text."""
    check_name(name)
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteError("the text of a note ends with a newline and has no other control character")
    signature = key_id(name, key.public_key()) + key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {encode64(signature)}\n"


def open_note(note: str, name: str, public_key: Ed25519PublicKey) -> str:
    """The text of a note that `name` signed with this key; signatures of unknown keys are passed over.

    Raises NoteError when no signature is by this key, or one that claims to be is wrong.
    """
    text, known = split_note(note), key_id(name, public_key)
    signatures = [s for signer, s in signatures_of(note) if signer == name and s[:KEY_ID_SIZE] == known]
    if not signatures:
        raise NoteError("the note is not signed by this key")
    for signature in signatures:
        try:
            public_key.verify(signature[KEY_ID_SIZE:], text.encode())
        except InvalidSignature:
            raise NoteError("the signature does not fit the text") from None
    return text


def split_note(note: str) -> str:
    """The note's text, not yet trusted. Raises NoteError when the note is malformed."""
    if len(note) > NOTE_LIMIT or _CONTROL.search(note):
        raise NoteError("the note is too long or has control characters")
    text, blank, signed = note.rpartition("\n\n")
    if not blank or not signed.endswith("\n"):
        raise NoteError("a note is a text, a blank line and signature lines")
    try:
        note.encode()
    except UnicodeEncodeError:
        raise NoteError("the note is not Unicode text") from None
    return text + "\n"


def signatures_of(note: str) -> Iterator[tuple[str, bytes]]:
    """(key name, key id and signature) of every signature line. Raises NoteError on a malformed one."""
    for line in note.rpartition("\n\n")[2].removesuffix("\n").split("\n"):
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise NoteError("a signature line is a dash, a key name and a signature")
        check_name(name)
        raw = decode64(encoded)
        if len(raw) <= KEY_ID_SIZE:
            raise NoteError("a signature starts with a key id of 4 bytes")
        yield name, raw


def check_name(name: str) -> None:
    """Raises NoteError unless `name` can be a key name (and so an origin)."""
    if not name or "+" in name or any(c.isspace() for c in name) or _CONTROL.search(name):
        raise NoteError("a key name is not empty and has no space, plus or control character")


def encode64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def decode64(text: str) -> bytes:
    """RFC 4648 section 4, and only the one spelling that `encode64` gives. Raises NoteError."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("a value is not base64") from None
    if encode64(raw) != text:
        raise NoteError("a value is not base64 in its one canonical form")
    return raw
