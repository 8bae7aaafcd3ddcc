"""One log entry as bytes: a JSON array in the form of RFC 8785, so that any language can rebuild it."""

from __future__ import annotations

from hashlib import sha256
from json.encoder import encode_basestring
from typing import NamedTuple


class EntryRow(NamedTuple):
    """A row of `log_entries`, columns in table order. `at` is microseconds since 1970 UTC.

    `tx` and `id` are where the row is stored and give the order of the tree; they are no part of the leaf.
    """

    tx: int
    id: int
    at: int
    kind: str
    actor: str
    item_id: str | None
    delivery_id: int | None
    ref: str | None
    body: str


def entry_bytes(
    at: int,
    kind: str,
    actor: str,
    item_id: str | None,
    delivery_id: int | None,
    ref: str | None,
    body: str,
) -> bytes:
    """The leaf data: `[at,kind,actor,item_id,delivery_id,ref,body]`, UTF-8, no spaces; `body` as a string.

    Different values give different bytes. Strings are escaped as RFC 8785 section 3.2.2.2 says, which is what
    `encode_basestring` does. Raises TypeError for a column of the wrong type, ValueError for text that is not
    Unicode (a lone surrogate).
    """
    if type(at) is not int or not (delivery_id is None or type(delivery_id) is int):
        raise TypeError("at and delivery_id are whole numbers")
    quote = encode_basestring
    item = "null" if item_id is None else quote(item_id)
    delivery = "null" if delivery_id is None else str(delivery_id)
    source = "null" if ref is None else quote(ref)
    text = f"[{at},{quote(kind)},{quote(actor)},{item},{delivery},{source},{quote(body)}]"
    return text.encode()


def entry_leaf(
    at: int,
    kind: str,
    actor: str,
    item_id: str | None,
    delivery_id: int | None,
    ref: str | None,
    body: str,
) -> bytes:
    """The entry's leaf hash; raises as `entry_bytes` does."""
    return sha256(b"\x00" + entry_bytes(at, kind, actor, item_id, delivery_id, ref, body)).digest()
