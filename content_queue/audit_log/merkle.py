"""The Merkle tree of RFC 6962 section 2.1 over leaf hashes, and the proofs of sections 2.1.1 and 2.1.2.

Proofs are checked as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_SIZE = 32  # SHA-256
EMPTY_ROOT = sha256(b"").digest()  # RFC 6962 section 2.1: MTH({}) = SHA-256()
_SIZE_BYTES = 8


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def split_leaves(blob: bytes) -> list[bytes]:
    """Concatenated leaf hashes, one by one. Raises ValueError when a hash is cut."""
    if len(blob) % HASH_SIZE:
        raise ValueError("leaf hashes are 32 bytes each")
    return [blob[at : at + HASH_SIZE] for at in range(0, len(blob), HASH_SIZE)]


class Frontier:
    """The right edge of a growing tree: the roots of its complete subtrees, largest first.

    All that is needed to append and to compute the root: one hash for each 1 in the binary size.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._peaks: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        return self._size

    def append(self, leaf: bytes) -> None:
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Adds leaf hashes in order. Raises ValueError on one that is not 32 bytes; those before it stay."""
        peaks, hasher = self._peaks, sha256
        for leaf in leaves:
            if len(leaf) != HASH_SIZE:
                raise ValueError("a leaf hash is 32 bytes")
            carry, node = self._size, leaf
            while carry & 1:
                node = hasher(b"\x01" + peaks.pop() + node).digest()
                carry >>= 1
            peaks.append(node)
            self._size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node

    def copy(self) -> Frontier:
        twin = Frontier()
        twin._peaks, twin._size = self._peaks.copy(), self._size
        return twin

    def to_bytes(self) -> bytes:
        """Size as 8 bytes, most significant first, then the peaks."""
        return self._size.to_bytes(_SIZE_BYTES, "big") + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Frontier:
        """Raises ValueError unless `raw` is exactly what `to_bytes` gives for some tree."""
        if len(raw) < _SIZE_BYTES:
            raise ValueError("a frontier starts with 8 bytes of size")
        frontier = cls()
        frontier._size = int.from_bytes(raw[:_SIZE_BYTES], "big")
        frontier._peaks = split_leaves(raw[_SIZE_BYTES:])
        if len(frontier._peaks) != frontier._size.bit_count():
            raise ValueError("a frontier has one hash for each 1 in the binary size")
        return frontier

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frontier):
            return NotImplemented
        return self._size == other._size and self._peaks == other._peaks

    __hash__ = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"Frontier(size={self._size}, root={self.root().hex()})"


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """PATH(index, leaves[:size]), lowest node first. Raises ValueError unless 0 <= index < size <= len(leaves)."""
    if not 0 <= index < size <= len(leaves):
        raise ValueError("the leaf must lie inside the tree")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root(leaves, middle, end))
            end = middle
        else:
            path.append(_root(leaves, start, middle))
            start = middle
    return path[::-1]


def consistency_proof(leaves: Sequence[bytes], old: int, new: int) -> list[bytes]:
    """PROOF(old, leaves[:new]): empty when `old` equals `new`. Raises ValueError unless 0 < old <= new <= len."""
    if not 0 < old <= new <= len(leaves):
        raise ValueError("the old tree must have leaves and lie inside the new one")
    path: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_root(leaves, middle, end))
            end = middle
        else:
            path.append(_root(leaves, start, middle))
            start = middle
    if start:  # a subtree that the holder of the old root does not know
        path.append(_root(leaves, start, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that `leaf` (a leaf hash) stands at `index` in the tree of `size` with `root`."""
    if not 0 <= index < size or not _all_hashes(proof):
        return False
    place, last, node = index, size - 1, leaf
    for other in proof:
        if not last:
            return False
        if place & 1 or place == last:
            node = node_hash(other, node)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = node_hash(node, other)
        place, last = place >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `proof` shows that the tree of `old` leaves is the beginning of the tree of `new` leaves.

    The empty tree begins every tree, with an empty proof.
    """
    if not 0 <= old <= new or not _all_hashes(proof):
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    return bool(proof) and _fold(old, new, path) == (old_root, new_root)


def _fold(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots that the path leads to, or None when its length does not fit."""
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    first = second = path[0]
    for other in path[1:]:
        if not last:
            return None
        if place & 1 or place == last:
            first, second = node_hash(other, first), node_hash(other, second)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, other)
        place, last = place >> 1, last >> 1
    return None if last else (first, second)


def _split(size: int) -> int:
    """The largest power of two below `size` (k of RFC 6962)."""
    return 1 << ((size - 1).bit_length() - 1)


def _root(leaves: Sequence[bytes], start: int, end: int) -> bytes:
    frontier = Frontier()
    frontier.extend(leaves[start:end])
    return frontier.root()


def _all_hashes(proof: Sequence[bytes]) -> bool:
    return all(len(node) == HASH_SIZE for node in proof)
