"""How WeChat signs and encrypts what it sends to a callback address. Pure.

Source: developers.weixin.qq.com, "Message encryption and decryption" (AES-256-CBC; IV = first 16 bytes of the key;
PKCS#7 over blocks of 32; 16 random bytes, big-endian length, text, appid).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 32  # bytes, of the padding alone: twice the block of AES
PREFIX = 16  # random bytes before the length
_KEY = re.compile(r"[A-Za-z0-9]{43}")


class NotGenuine(ValueError):
    """The sealed text was not made with our key, for our account, or was changed on its way."""


def signature(token: str, *parts: str) -> str:
    """SHA-1 in hex over the token, timestamp, nonce (and sealed text), sorted by code point and joined."""
    return hashlib.sha1("".join(sorted((token, *parts))).encode(), usedforsecurity=False).hexdigest()


def signed(given: str, token: str, *parts: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode(), signature(token, *parts).encode())


def aes_key(encoded: str) -> bytes:
    """From the 43 characters of the account's EncodingAESKey. Raises `ValueError`."""
    if not _KEY.fullmatch(encoded):
        raise ValueError("an EncodingAESKey is 43 letters and digits")
    return base64.b64decode(encoded + "=")


def opened(sealed: str, key: bytes, appid: str) -> bytes:
    """Raises `NotGenuine`."""
    try:
        secret = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise NotGenuine("not base64") from None
    if not secret or len(secret) % 16:
        raise NotGenuine("not whole blocks")
    decryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    plain = _unpadded(decryptor.update(secret) + decryptor.finalize())
    size = int.from_bytes(plain[PREFIX : PREFIX + 4], "big")
    text, owner = plain[PREFIX + 4 : PREFIX + 4 + size], plain[PREFIX + 4 + size :]
    if len(plain) < PREFIX + 4 or len(text) != size or not hmac.compare_digest(owner, appid.encode()):
        raise NotGenuine("not for this account")
    return text


def sealed(text: bytes, key: bytes, appid: str, prefix: bytes) -> str:
    """`prefix` is 16 random bytes."""
    plain = prefix + len(text).to_bytes(4, "big") + text + appid.encode()
    pad = BLOCK - len(plain) % BLOCK
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()).decode()


def _unpadded(plain: bytes) -> bytes:
    pad = plain[-1]
    if not 1 <= pad <= BLOCK or plain[-pad:] != bytes([pad]) * pad:
        raise NotGenuine("bad padding")
    return plain[:-pad]
