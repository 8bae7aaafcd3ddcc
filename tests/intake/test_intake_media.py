"""Files that come along: told by their bytes, bounded, and stored by hash."""

from __future__ import annotations

import hashlib
import os
import struct
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_makers import docx, png, zipped

from publisher.intake import DirectoryFiles, IntakeError, Limits, read_submission
from publisher.intake.kinds import media_type_of
from publisher.intake.model import Defaults
from publisher.intake.pictures import pixel_size
from publisher.media import MediaAbsent, MediaDamaged, MediaError, MediaStore
from publisher.samples import sample_files, sample_overrides

LIMITS = Limits()
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF"
    + b"\0" * 10
    + b"\xff\xc0\x00\x11\x08"
    + struct.pack(">HH", 30, 40)
    + b"\0" * 12
)
GIF = b"GIF89a" + struct.pack("<HH", 40, 30) + b"\0" * 10
WEBP = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x27\0\0\x1d\0\0"
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF"


@pytest.mark.parametrize("name, data, media_type", [
    ("a.png", png(), "image/png"),
    ("a.JPG", JPEG, "image/jpeg"),
    ("a.gif", GIF, "image/gif"),
    ("a.webp", WEBP, "image/webp"),
    ("a.pdf", PDF, "application/pdf"),
    ("a.docx", docx(), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("a.ofd", zipped({"OFD.xml": b"<x/>"}), "application/ofd"),
    ("a.zip", zipped({"b/c.pdf": PDF}), "application/zip"),
    ("a.csv", "姓名,号\n".encode(), "text/csv"),
    ("a.txt", b"\xef\xbb\xbftext", "text/plain"),
    ("a.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isommp41" + b"\0" * 8, "video/mp4"),
    ("a.mp3", b"ID3\x03\0\0\0\0\0\0", "audio/mpeg"),
])  # fmt: skip
def test_what_may_be_attached(name: str, data: bytes, media_type: str) -> None:
    assert media_type_of(data, name, LIMITS) == media_type


def _bomb() -> bytes:
    return docx(**{"word/media/a.bin": b"\0" * 8_000_000})


def _overlapping() -> bytes:
    data = zipped({"a.txt": b"0" * 100, "b.txt": b"1" * 100})
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    return data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]


def _with(flag: int = 0, method: int = ZIP_DEFLATED, name: str = "a.txt") -> bytes:
    out = BytesIO()
    with ZipFile(out, "w", method) as archive:
        archive.writestr(name, b"text")
    data = bytearray(out.getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= flag
    return bytes(data)


@pytest.mark.parametrize("name, data, said", [
    ("a.svg", b"<svg/>", "kind"),
    ("a.html", b"<p>", "kind"),
    ("a.exe", b"MZ", "kind"),
    ("a", PDF, "kind"),
    ("a.pdf", png(), "ending"),
    ("a.docx", zipped({"xl/workbook.xml": b"", "[Content_Types].xml": b""}), "ending"),
    ("a.pdf", b" " + PDF, "ending"),
    ("a.png", b"", "ending"),
    ("a.txt", b"<!DOCTYPE html><p>", "markup"),
    ("a.csv", "姓名".encode("gbk"), "UTF-8"),
    ("a.txt", b"a\x00b", "ending"),
    ("a.pdf", PDF + b"<</S/JavaScript/JS(x)>>", "scripts"),
    ("a.docx", _bomb(), "100 to 1"),
    ("a.zip", _overlapping(), "overlap"),
    ("a.zip", _with(flag=1), "encrypted"),
    ("a.zip", _with(method=ZIP_BZIP2), "unusual"),
    ("a.zip", _with(name="../a.txt"), "outside"),
    ("a.zip", _with(name="a.zip"), "archive"),
    ("a.zip", _with(name="a.js"), "a.js"),
    ("a.docx", docx(**{"word/vbaProject.bin": b""}), "macros"),
    ("a.zip", zipped({f"{i}.txt": b"" for i in range(2_001)}), "entries"),
    ("a.zip", zipped({"a.txt": b"x"})[:-3], "damaged"),
    ("a.png", png(9_000, 9_000), "9000"),
    ("a.png", png(30_000, 1), "30000"),
    ("a.png", png(0, 1), "damaged"),
])  # fmt: skip
def test_what_may_not(name: str, data: bytes, said: str) -> None:
    with pytest.raises(IntakeError) as caught:
        media_type_of(data, name, LIMITS)
    assert said in caught.value.problems[0].message.en


def test_a_directory_too_long_is_not_even_read() -> None:
    data = zipped({"a.txt": b"x"})
    end = data.rfind(b"PK\x05\x06")
    swollen = data[: end + 12] + struct.pack("<I", 1 << 30) + data[end + 16 :]
    with pytest.raises(IntakeError, match="entries"):
        media_type_of(swollen, "a.zip", LIMITS)


def test_the_sum_of_all_entries_counts() -> None:
    data = zipped({"a.txt": os.urandom(600).hex().encode(), "b.txt": os.urandom(600).hex().encode()})
    with pytest.raises(IntakeError, match="larger"):
        media_type_of(data, "a.zip", Limits(zip_unpacked=2_000))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([png(), JPEG, GIF, WEBP, PDF, docx(), b""]), st.binary(max_size=40), st.integers(0, 60)
)
def test_damaged_files_are_refused_and_no_more(data: bytes, noise: bytes, place: int) -> None:
    broken = data[:place] + noise + data[place + len(noise) :]
    for name in ("a.png", "a.jpg", "a.gif", "a.webp", "a.pdf", "a.docx", "a.txt"):
        try:
            media_type_of(broken, name, LIMITS)
        except IntakeError as error:
            assert len(error.problems) == 1  # noqa: PT017


def test_pixel_sizes() -> None:
    assert (
        pixel_size(JPEG, "image/jpeg")
        == pixel_size(GIF, "image/gif")
        == pixel_size(WEBP, "image/webp")
        == (40, 30)
    )
    lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 40, 30)
    lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (39 | 29 << 14).to_bytes(4, "little")
    assert pixel_size(lossy, "image/webp") == pixel_size(lossless, "image/webp") == (40, 30)


@given(st.binary(max_size=300))
def test_what_is_stored_is_read_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = MediaStore(tmp_path_factory.getbasetemp() / "media")
    name = store.put(data)
    assert name == store.put(data) == hashlib.sha256(data).hexdigest()
    assert store.read(name) == data
    assert store.has(name)


def test_damage_is_seen_and_mended(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    name = store.put(b"text")
    store.path(name).chmod(0o600)
    store.path(name).write_bytes(b"tex!")
    with pytest.raises(MediaDamaged):
        store.read(name)
    store.put(b"text")
    assert store.read(name) == b"text"
    with pytest.raises(MediaAbsent):
        store.read("0" * 64)
    for wrong in ("../../etc/passwd", "A" * 64, ""):
        with pytest.raises(MediaError):
            store.path(wrong)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    store = MediaStore(tmp_path / "media")
    store.put(b"other")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        store.put(b"other" * 2)
    assert [p for p in (tmp_path / "media").rglob("*") if p.is_file()] == [store.path(store_name(b"other"))]


def store_name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_sweeping_spares_what_is_kept_or_new(tmp_path: Path) -> None:
    store = MediaStore(tmp_path / "media")
    assert store.sweep([], older_than=0) == []
    kept, old, new = (store.put(data) for data in (b"kept", b"old", b"new"))
    for name in (kept, old):
        os.utime(store.path(name), (1_000, 1_000))
    part = store.path(old).parent / ".part-x"
    part.write_bytes(b"")
    os.utime(part, (1_000, 1_000))
    assert store.sweep([kept], older_than=3_600) == [old]
    assert set(store.hashes()) == {kept, new}
    assert not part.exists()


def test_the_samples_are_taken_and_know_each_other() -> None:
    defaults = Defaults(columns=("notices", "policies", "interpretation", "warnings", "licences"))
    items = {}
    for path in sample_files():
        found = read_submission(
            path.read_bytes(), filename=path.name, files=DirectoryFiles(path.parent), defaults=defaults,
            overrides=sample_overrides(path),
        )  # fmt: skip
        assert not found.notes
        assert found.item_id is not None
        items[found.item_id] = found.content
    assert {c.column for c in items.values()} == set(defaults.columns)
    for item_id, content in items.items():
        assert content.title.startswith(("示例市版权局", "《示例市版权局"))
        assert "虚构" in content.body_text
        assert all(image.alt for image in content.images)
        for link in content.related:
            assert item_id in {back.id for back in items[link.id].related}
