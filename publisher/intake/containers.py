"""Looks into zip containers (office files, OFD, plain zip) by their directory alone: nothing is unpacked."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO
from itertools import pairwise
from pathlib import PurePosixPath

from publisher.intake.model import Limits
from publisher.texts import Text, bilingual

_END = b"PK\x05\x06"
_END_REACH = 22 + 65_535  # end record and the longest comment, APPNOTE.TXT 4.3.16
_LOCAL_HEADER = 30  # bytes before name and extra field, APPNOTE.TXT 4.3.7
_PER_ENTRY = 1_024  # a generous share of the directory for one entry
_ARCHIVES = frozenset(
    {".zip", ".7z", ".rar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".tar", ".jar", ".cab", ".iso"}
)
_SMALL = 64 * 1024  # below this an entry may pack as well as it likes
_OOXML = {
    "word/document.xml": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xl/workbook.xml": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt/presentation.xml": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


class Unsafe(ValueError):
    """`text` says what is wrong with the container."""

    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text = text


def open_directory(data: bytes, limits: Limits) -> list[zipfile.ZipInfo]:
    """The entries of a container that is safe to unpack; raises `Unsafe` otherwise."""
    end = data.rfind(_END, max(0, len(data) - _END_REACH))
    try:
        count, size = struct.unpack_from("<HI", data, end + 10)
        if end < 0 or data[:4] != b"PK\x03\x04":
            raise Unsafe(bilingual("The container is damaged."))
        if count > limits.zip_entries or size > limits.zip_entries * _PER_ENTRY:
            raise Unsafe(bilingual("The container has more than {limit} entries.", limit=limits.zip_entries))
        entries = zipfile.ZipFile(BytesIO(data)).infolist()
    except Unsafe:
        raise
    except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError, OSError):
        raise Unsafe(bilingual("The container is damaged.")) from None
    _check(entries, len(data), limits)
    return entries


def container_type(entries: list[zipfile.ZipInfo]) -> str:
    names = {entry.filename for entry in entries}
    if "[Content_Types].xml" in names:
        return next((kind for part, kind in _OOXML.items() if part in names), "application/zip")
    return "application/ofd" if "OFD.xml" in names else "application/zip"


def _check(entries: list[zipfile.ZipInfo], size: int, limits: Limits) -> None:
    if len(entries) > limits.zip_entries:
        raise Unsafe(bilingual("The container has more than {limit} entries.", limit=limits.zip_entries))
    for entry in entries:
        _check_entry(entry, limits)
    if sum(entry.file_size for entry in entries) > limits.zip_unpacked:
        raise Unsafe(
            bilingual(
                "Unpacked, the container would be larger than {limit} bytes.", limit=limits.zip_unpacked
            )
        )
    places = sorted((entry.header_offset, entry.compress_size) for entry in entries)
    overlap = any(a + _LOCAL_HEADER + packed > b for (a, packed), (b, _) in pairwise(places))
    if overlap or any(start + _LOCAL_HEADER + packed > size for start, packed in places):
        raise Unsafe(bilingual("Entries of the container overlap: it is made to burst."))


def _check_entry(entry: zipfile.ZipInfo, limits: Limits) -> None:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if entry.flag_bits & 0x1:
        raise Unsafe(bilingual("The container is encrypted."))
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unsafe(bilingual("The container is packed in an unusual way."))
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
        raise Unsafe(bilingual("The container holds names that lead outside it."))
    if path.suffix.lower() in _ARCHIVES:
        raise Unsafe(bilingual("The container holds another archive."))
    if path.name.lower() == "vbaproject.bin":
        raise Unsafe(bilingual("The file holds macros."))
    if entry.file_size > _SMALL and entry.file_size > limits.zip_ratio * max(1, entry.compress_size):
        raise Unsafe(
            bilingual(
                "The container is packed more than {ratio} to 1: it is made to burst.", ratio=limits.zip_ratio
            )
        )
