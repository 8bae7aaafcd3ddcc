"""Which entry of a batch is wrong, and how, once its rows are known not to give the sealed hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from content_queue.audit_log.faults import FaultKind

Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Found:
    """A stored row: its place in the order, its leaf hash. `key` None or `leaf` empty: the row is malformed."""

    key: Key | None
    leaf: bytes
    entry_id: int | None


def first_difference(found: Sequence[Found], leaves: Sequence[bytes]) -> int:
    """The first place where the rows and the hashes part."""
    pairs = zip(found, leaves, strict=False)
    parted = (i for i, (row, leaf) in enumerate(pairs) if row.leaf != leaf)
    return next(parted, min(len(found), len(leaves)))


def classify(found: Sequence[Found], leaves: Sequence[bytes], count: int, last: Key) -> tuple[FaultKind, int]:
    """What happened, and at which place of the batch.

    `leaves` are the batch's sealed hashes, `found` the rows in their places; each may go one beyond `count`, to
    show a row that moved over the border. `last` is the key of the batch's last row.
    """
    at = first_difference(found[:count], leaves[:count])
    if at >= len(found):
        return FaultKind.MISSING, at
    if not found[at].leaf:
        return FaultKind.MALFORMED, at
    hashes = [row.leaf for row in found]
    if hashes[at + 1 : count + 1] == leaves[at:count]:
        return FaultKind.INSERTED, at
    if leaves[at] in hashes[at + 1 :] and hashes[at] in leaves[at + 1 :]:
        return FaultKind.REORDERED, at
    if _aligned(leaves[at + 1 :], hashes[at:count]) or _beyond(found[at], last):
        return FaultKind.MISSING, at
    return _by_neighbours(hashes, leaves, at), at


def _aligned(shifted: Sequence[bytes], kept: Sequence[bytes]) -> bool:
    """Whether one run continues as the other, as far as both go."""
    both = min(len(shifted), len(kept))
    return both > 0 and shifted[:both] == kept[:both]


def _beyond(row: Found, last: Key) -> bool:
    return row.key is not None and row.key > last


def _by_neighbours(hashes: Sequence[bytes], leaves: Sequence[bytes], at: int) -> FaultKind:
    """When more than one thing is wrong: what the next row alone suggests."""
    if at + 1 < len(hashes) and hashes[at + 1] == leaves[at]:
        return FaultKind.INSERTED
    if at + 1 < len(leaves) and leaves[at + 1] == hashes[at]:
        return FaultKind.MISSING
    return FaultKind.CHANGED
