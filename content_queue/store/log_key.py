"""Which key seals the log: the database knows its public half, so that processes with folders of their own agree."""

from __future__ import annotations

from sqlalchemy import Connection, select

from content_queue.store.rows import insert_or_skip
from content_queue.tables import meta

# 32 bytes as four numbers, for `meta` holds numbers.
_NAMES = tuple(f"log_key_{n}" for n in range(4))
_BYTES = 8


def known(connection: Connection) -> bytes | None:
    """The public key (32 bytes); None before the first process has said its own."""
    q = select(meta.c.key, meta.c.value).where(meta.c.key.in_(_NAMES))
    words: dict[str, int] = {r.key: int(r.value) for r in connection.execute(q)}
    if len(words) < len(_NAMES):
        return None
    return b"".join(words[name].to_bytes(_BYTES, "big", signed=True) for name in _NAMES)


def claim(connection: Connection, public: bytes) -> bytes:
    """The key that holds: `public`, unless somebody was first. Rows are asked for in one order, so that two who come at
    once cannot each get a part."""
    for number, name in enumerate(_NAMES):
        word = public[number * _BYTES : (number + 1) * _BYTES]
        insert_or_skip(connection, meta, key=name, value=int.from_bytes(word, "big", signed=True))
    held = known(connection)
    assert held is not None
    return held
