"""Which files may be attached, told from their bytes; the ending of the name must agree."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import filetype
from filetype.types import archive, audio, image, video

from publisher.intake.containers import Unsafe, container_type, open_directory
from publisher.intake.model import Limits
from publisher.intake.pictures import pixel_size
from publisher.intake.problems import IntakeError, quoted, refuse
from publisher.texts import Text, bilingual, mark

IMAGES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
}  # fmt: skip
KINDS = {
    **IMAGES,
    ".pdf": "application/pdf",
    ".ofd": "application/ofd",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".zip": "application/zip",
}
_MATCHERS = [
    image.Png(), image.Jpeg(), image.Gif(), image.Webp(), archive.Pdf(), audio.Mp3(), video.Mp4(), archive.Zip(),
]  # fmt: skip
_HEAD = 8_192  # the bytes that `filetype` looks at
_MARKUP = re.compile(rb"\s*<(?:!doctype|\?xml|html|head|body|svg|script|iframe)\b", re.IGNORECASE)
_REPLACE_KIND = mark("Attach one of: {kinds}.")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def media_type_of(data: bytes, name: str, limits: Limits, *, only_images: bool = False) -> str:
    """The media type, once bytes and ending agree and the content is safe; else `IntakeError`."""
    ending = PurePosixPath(name).suffix.lower()
    allowed = IMAGES if only_images else KINDS
    declared = allowed.get(ending)
    if declared is None:
        message = bilingual("“{name}” is of a kind that cannot be attached.", name=quoted(name, 80))
        raise _refused(message, bilingual(_REPLACE_KIND, kinds=_shown(allowed)))
    try:
        found = _from_bytes(data, ending, limits)
    except Unsafe as error:
        message = _prefixed(name, error.text)
        raise _refused(message, bilingual("Save the file anew without it, or as PDF.")) from None
    if found != declared:
        message = bilingual("The content of “{name}” is not what its ending says.", name=quoted(name, 80))
        raise _refused(
            message, bilingual("Save it in the format that its ending names; renaming is not enough.")
        )
    if found.startswith("image/"):
        _check_picture(data, found, name, limits)
    return found


def _shown(kinds: dict[str, str]) -> str:
    return " ".join(kind.removeprefix(".") for kind in kinds)


def _from_bytes(data: bytes, ending: str, limits: Limits) -> str | None:
    match = filetype.match(data[:_HEAD], matchers=_MATCHERS) if data else None
    found = str(match.mime) if match else None
    if found == "application/zip":
        return _packed(data, limits)
    if found == "application/pdf" and re.search(rb"/JavaScript\b|/Launch\b", data):
        raise Unsafe(bilingual("The PDF holds scripts."))
    if found is None and ending in (".csv", ".txt"):
        return KINDS[ending] if _is_text(data) else None
    return found


def _packed(data: bytes, limits: Limits) -> str:
    entries = open_directory(data, limits)
    found = container_type(entries)
    if found == "application/zip":
        strange = [
            e for e in entries if not e.is_dir() and PurePosixPath(e.filename).suffix.lower() not in KINDS
        ]
        if strange:
            raise Unsafe(bilingual("The archive holds “{name}”.", name=quoted(strange[0].filename)))
    return found


def _is_text(data: bytes) -> bool:
    """UTF-8 without control characters, and no markup in disguise."""
    if _MARKUP.match(data.removeprefix(b"\xef\xbb\xbf")):
        raise Unsafe(bilingual("The file holds markup."))
    try:
        return not _CONTROL.search(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unsafe(bilingual("The text is not UTF-8.")) from None


def _check_picture(data: bytes, media_type: str, name: str, limits: Limits) -> None:
    size = pixel_size(data, media_type)
    if size is None:
        message = bilingual("The image “{name}” is damaged.", name=quoted(name, 80))
        raise _refused(message, bilingual("Save the image anew."))
    if size[0] * size[1] > limits.image_pixels or max(size) > limits.image_side:
        message = bilingual(
            "The image “{name}” has {width} × {height} pixels.",
            name=quoted(name, 80),
            width=size[0],
            height=size[1],
        )
        remedy = bilingual("Make it smaller: at most {pixels} pixels in all.", pixels=limits.image_pixels)
        raise _refused(message, remedy)


def _prefixed(name: str, text: Text) -> Text:
    shown = quoted(name, 80)
    return Text(f"“{shown}”: {text.en}", f"“{shown}”：{text.zh}")


def _refused(message: Text, remedy: Text) -> IntakeError:
    return refuse("file_kind", "", None, message, remedy)
