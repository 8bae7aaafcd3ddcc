"""Makers of submissions and files for the intake's tests."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from publisher.intake import Defaults, IntakeError, MappingFiles, Submission, read_submission

DEFAULTS = Defaults(
    columns=("notices", "policies"),
    column_names={"通知公告": "notices"},
    column="notices",
    issuing_body="示例市版权局",
    drafting_unit="办公室",
    content_type="CT05",
    openness="proactive",
    drafter="起草人",
)


def png(width: int = 2, height: int = 2) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def zipped(entries: dict[str, bytes]) -> bytes:
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def docx(**more: bytes) -> bytes:
    return zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<document/>", **more})


def submit(
    text: str | bytes,
    filename: str = "a.md",
    files: dict[str, bytes] | None = None,
    defaults: Defaults = DEFAULTS,
    media_type: str | None = None,
    **overrides: str,
) -> Submission:
    raw = text.encode() if isinstance(text, str) else text
    return read_submission(
        raw,
        filename=filename,
        files=MappingFiles(files),
        defaults=defaults,
        media_type=media_type,
        overrides=overrides,
    )


def refused(text: str | bytes, filename: str = "a.md", **more: object) -> IntakeError:
    with pytest.raises(IntakeError) as caught:
        submit(text, filename, **more)  # type: ignore[arg-type]
    error = caught.value
    assert error.problems
    for problem in error.problems:
        assert problem.message.en
        assert problem.message.zh != problem.message.en
        assert problem.remedy.zh != problem.remedy.en
    return error


def codes(error: IntakeError) -> list[tuple[str, str, int | None]]:
    return [(p.code, p.field, p.line) for p in error.problems]
