"""The tree against the recursive definition of RFC 6962 and the Certificate Transparency vectors."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content_queue.audit_log import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    split_leaves,
    verify_consistency,
    verify_inclusion,
)

# The eight leaves of the Certificate Transparency reference tests, and the root after each.
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(b"%d" % n) for n in range(70)]


def mth(data: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word, over leaf data."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def grown(leaves: list[bytes]) -> Frontier:
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier


def test_known_roots() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT == sha256(b"").digest()
    for leaf, root in zip(CT_LEAVES, CT_ROOTS, strict=True):
        frontier.append(leaf_hash(bytes.fromhex(leaf)))
        assert frontier.root().hex() == root


def test_known_proofs() -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in CT_LEAVES]
    # From the same reference tests: the path of leaf 5 in 8, and from 6 to 8 leaves.
    assert [n.hex() for n in inclusion_proof(leaves, 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [n.hex() for n in consistency_proof(leaves, 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=6), max_size=70), st.data())
def test_frontier_is_the_recursive_definition(data: list[bytes], draw: st.DataObject) -> None:
    cut = draw.draw(st.integers(0, len(data)))
    frontier = grown([leaf_hash(d) for d in data[:cut]])
    assert frontier.root() == mth(data[:cut])
    restored = Frontier.from_bytes(frontier.to_bytes())
    restored.extend(leaf_hash(d) for d in data[cut:])
    assert (restored.size, restored.root()) == (len(data), mth(data))
    assert frontier.size == cut


def test_a_copy_does_not_share() -> None:
    first = grown(LEAVES[:5])
    second = first.copy()
    assert first == second
    second.append(LEAVES[5])
    assert (first.root(), second.root()) == (grown(LEAVES[:5]).root(), grown(LEAVES[:6]).root())
    assert first != second


@pytest.mark.parametrize("raw", [b"", bytes(7), bytes(7) + b"\x01", bytes(40), grown(LEAVES[:6]).to_bytes()[:-1]])
def test_a_cut_frontier_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        Frontier.from_bytes(raw)


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError):
        Frontier().append(b"short")
    with pytest.raises(ValueError):
        split_leaves(bytes(33))


def test_every_inclusion_proof_up_to_33() -> None:
    for size in range(1, 34):
        root = grown(LEAVES[:size]).root()
        for index in range(size):
            proof = inclusion_proof(LEAVES, index, size)
            assert verify_inclusion(LEAVES[index], index, size, proof, root)
            assert not verify_inclusion(LEAVES[(index + 1) % 70], index, size, proof, root)
            assert not any(verify_inclusion(LEAVES[index], i, size, proof, root) for i in range(size) if i != index)
            assert not verify_inclusion(LEAVES[index], index, size, [*proof, LEAVES[0]], root)
            if proof:
                assert not verify_inclusion(LEAVES[index], index, size, proof[:-1], root)


def test_every_consistency_proof_up_to_33() -> None:
    roots = [grown(LEAVES[:size]).root() for size in range(34)]
    for new in range(1, 34):
        for old in range(1, new + 1):
            proof = consistency_proof(LEAVES, old, new)
            assert verify_consistency(old, new, proof, roots[old], roots[new])
            assert not verify_consistency(old, new, proof, roots[old - 1], roots[new])
            assert not verify_consistency(old, new, [*proof, LEAVES[0]], roots[old], roots[new])
            if proof:
                assert not verify_consistency(old, new, proof[:-1], roots[old], roots[new])
                assert not verify_consistency(old, new, proof, roots[old], roots[new - 1])


def test_the_empty_tree_begins_every_tree() -> None:
    assert verify_consistency(0, 9, [], EMPTY_ROOT, grown(LEAVES[:9]).root())
    assert not verify_consistency(0, 9, [], LEAVES[0], grown(LEAVES[:9]).root())
    assert not verify_consistency(0, 9, [LEAVES[0]], EMPTY_ROOT, grown(LEAVES[:9]).root())


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 71)])
def test_proofs_outside_the_tree_are_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError):
        inclusion_proof(LEAVES, index, size)
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])
    with pytest.raises(ValueError):
        consistency_proof(LEAVES, size + 1, size)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 70), st.data())
def test_a_flipped_bit_breaks_a_proof(size: int, draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, size - 1))
    root = grown(LEAVES[:size]).root()
    proof = inclusion_proof(LEAVES, index, size)
    step = draw.draw(st.integers(0, len(proof) - 1))
    broken = bytearray(proof[step])
    broken[draw.draw(st.integers(0, 31))] ^= 1 << draw.draw(st.integers(0, 7))
    proof[step] = bytes(broken)
    assert not verify_inclusion(LEAVES[index], index, size, proof, root)


def test_leaves_and_nodes_are_kept_apart() -> None:
    assert node_hash(LEAVES[0], LEAVES[1]) != leaf_hash(LEAVES[0] + LEAVES[1])
