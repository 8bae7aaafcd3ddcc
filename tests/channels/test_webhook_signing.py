from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Peer

from channels.adapters.webhook.signing import (
    TOLERANCE,
    Window,
    public_key,
    signature_header,
    signing_key,
    symmetric_key,
    verify,
)

# Test vector of Standard Webhooks: its Python and JavaScript libraries give the same signatures.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTORS = [
    (
        ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        ("msg_gongbao1", 1767225600, '{"type":"notice.published","data":{"title":"公告"}}'.encode()),
        "v1,xvy5GwRZawMhonfk9eRMrhpOuaavAGqltANPeNHeWuE=",
    ),
]
# RFC 8032 section 7.1, TEST 1: the public key of this secret seed.
RFC8032_SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
RFC8032_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

NOW = 1_767_225_600
ids = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)


def whsk(seed: bytes, public: bytes = b"") -> str:
    return "whsk_" + base64.b64encode(seed + public).decode()


@pytest.mark.parametrize(("message", "token"), VECTORS)
def test_the_published_vectors(message: tuple[str, int, bytes], token: str) -> None:
    assert signature_header([symmetric_key(SECRET)], *message) == token


@given(ids, st.text(), st.binary(min_size=24, max_size=64))
def test_the_peer_library_gives_the_same_signature(message_id: str, text: str, secret: bytes) -> None:
    ours = signature_header(
        [symmetric_key("whsec_" + base64.b64encode(secret).decode())], message_id, NOW, text.encode()
    )
    assert ours == Peer(secret).sign(message_id, datetime.fromtimestamp(NOW, UTC), text)


def test_the_public_half_is_that_of_rfc_8032() -> None:
    key = signing_key(whsk(bytes.fromhex(RFC8032_SEED)))
    assert key.public_text == "whpk_" + base64.b64encode(bytes.fromhex(RFC8032_PUBLIC)).decode()


@given(ids, st.binary(max_size=200))
def test_ed25519_signatures_hold_over_id_stamp_and_body(message_id: str, body: bytes) -> None:
    key = signing_key(whsk(bytes.fromhex(RFC8032_SEED)))
    version, _, text = signature_header([key], message_id, NOW, body).partition(",")
    assert version == "v1a"
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(RFC8032_SEED)).public_key()
    public.verify(base64.b64decode(text), f"{message_id}.{NOW}.".encode() + body)


def test_all_keys_that_are_valid_now_sign_in_their_order() -> None:
    old = symmetric_key("whsec_" + base64.b64encode(b"o" * 24).decode(), Window(ends=NOW + 60))
    new = symmetric_key("whsec_" + base64.b64encode(b"n" * 24).decode(), Window(begins=NOW))
    pair = signing_key(whsk(b"k" * 32))
    keys = (old, new, pair)
    counts = [signature_header(keys, "m", NOW + after, b"{}").count(",") for after in (-1, 0, 59, 60)]
    assert counts == [2, 3, 3, 2]
    assert signature_header(keys, "m", NOW, b"{}").split(" ") == [
        signature_header([key], "m", NOW, b"{}") for key in keys
    ]
    assert signature_header([old], "m", NOW + 60, b"{}") == ""


@given(ids, st.binary(max_size=64), st.integers(0, 2), st.integers(0, 63))
def test_a_changed_message_holds_for_no_scheme(message_id: str, body: bytes, part: int, bit: int) -> None:
    key, pair = symmetric_key(SECRET), signing_key(whsk(b"k" * 32))
    header = signature_header([key, pair], message_id, NOW, body)
    known = {"secrets": [key], "public_keys": [public_key(pair.public_text)]}
    good = verify((message_id, str(NOW), header), body, **known, now=NOW)  # type: ignore[arg-type]
    assert good == {"v1", "v1a"}
    changed = [
        (message_id + "x", str(NOW), body),
        (message_id, str(NOW + 1), body),
        (message_id, str(NOW), body + b"x"),
    ]
    name, stamp, other = changed[part]
    assert not verify((name, stamp, header), other, **known, now=NOW)  # type: ignore[arg-type]
    flipped = header[: bit + 3] + chr(ord(header[bit + 3]) ^ 1) + header[bit + 4 :]
    assert "v1" not in verify((message_id, str(NOW), flipped), body, **known, now=NOW) or bit > 43  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("late", "holds"), [(0, True), (TOLERANCE, True), (TOLERANCE + 1, False), (-TOLERANCE - 1, False)]
)
def test_old_and_early_messages_do_not_hold(late: int, holds: bool) -> None:
    key = symmetric_key(SECRET)
    header = signature_header([key], "m", NOW, b"{}")
    assert bool(verify(("m", str(NOW), header), b"{}", secrets=[key], now=NOW + late)) is holds


@given(st.text(), st.text(), st.text())
def test_rubbish_holds_never_and_raises_nothing(message_id: str, stamp: str, header: str) -> None:
    pair = signing_key(whsk(b"k" * 32))
    keys = {"secrets": [symmetric_key(SECRET)], "public_keys": [public_key(pair.public_text)]}
    assert not verify((message_id, stamp, header), b"{}", **keys, now=NOW)  # type: ignore[arg-type]
    assert not verify(("m", str(NOW), f"v1,{header} v1a,{header} {header}"), b"{}", **keys, now=NOW)  # type: ignore[arg-type]


BAD_KEYS = [
    (symmetric_key, "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with whsec_"),
    (symmetric_key, "whsec_not!base64", "not base64"),
    (symmetric_key, "whsec_" + base64.b64encode(b"s" * 23).decode(), "24 to 64 bytes; this one has 23"),
    (symmetric_key, "whsec_" + base64.b64encode(b"s" * 65).decode(), "24 to 64 bytes; this one has 65"),
    (signing_key, SECRET, "must begin with whsk_"),
    (signing_key, whsk(b"k" * 31), "32 or 64 bytes; this one has 31"),
    (signing_key, whsk(b"k" * 32, b"p" * 32), "do not belong together"),
    (public_key, "whpk_" + base64.b64encode(b"p" * 31).decode(), "32 bytes; this one has 31"),
]


@pytest.mark.parametrize(("parse", "text", "message"), BAD_KEYS)
def test_bad_keys_are_explained_and_never_shown(parse: object, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)  # type: ignore[operator]
    assert text[text.find("_") + 1 :][:8] not in str(caught.value)


def test_keys_hide_in_their_repr() -> None:
    assert "ssss" not in repr(symmetric_key("whsec_" + base64.b64encode(b"s" * 24).decode()))
    assert "Ed25519PrivateKey" not in repr(signing_key(whsk(b"k" * 32)))


def test_both_forms_of_a_signing_key_are_one_key() -> None:
    short = signing_key(whsk(bytes.fromhex(RFC8032_SEED)))
    long = signing_key(whsk(bytes.fromhex(RFC8032_SEED), bytes.fromhex(RFC8032_PUBLIC)))
    assert short.public_text == long.public_text
