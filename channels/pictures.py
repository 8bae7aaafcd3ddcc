"""Pictures as a platform takes them: scaled down and encoded anew until they fit, without losing what says that they
were made by AI. Pure, and slow: call it in a thread.

Kept are the labels of GB 45438-2025 (an `AIGC` record in the file's metadata) and of IPTC's Digital Source Type. What
else a camera writes (place, serial number, owner) is left out: nobody asked for it to be published.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Collection, Iterator
from typing import NamedTuple

from PIL import Image, ImageOps, PngImagePlugin

from channels.verdicts import Rejected

PIXELS = 100_000_000  # of a picture that is opened at all; ten times what a phone takes
QUALITIES = (90, 80, 70, 60)
SMALLEST = 0.2  # of each side; below that nobody can read what is on it
_DESCRIPTION, _USER_COMMENT = 0x010E, 0x9286  # Exif 2.32: ImageDescription, UserComment
_MARKS = (b"AIGC", b"trainedAlgorithmicMedia", b"TC260", b"digitalsourcetype")
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp"}


class Picture(NamedTuple):
    """`changed` says whether it was encoded anew."""

    content: bytes
    media_type: str
    changed: bool

    def name(self, stem: str) -> str:
        """A file name with the right ending."""
        return stem.rpartition(".")[0] + _ENDINGS[self.media_type] if "." in stem else stem + _ENDINGS[self.media_type]


class Labels(NamedTuple):
    """What says that a picture was made by AI: XMP packet, Exif texts by tag, PNG texts by keyword."""

    xmp: bytes
    exif: dict[int, bytes | str]
    texts: dict[str, str]

    def __bool__(self) -> bool:
        return bool(self.xmp or self.exif or self.texts)


def fit(content: bytes, *, limit: int, types: Collection[str], side: int | None = None) -> Picture:
    """At most `limit` bytes, one of the media `types`, no side longer than `side` pixels. A picture that fits already
    is handed back as it is, byte for byte. Raises `Rejected`."""
    image = _opened(content)
    found = Image.MIME.get(image.format or "", "")
    if len(content) <= limit and found in types and (side is None or max(image.size) <= side):
        return Picture(content, found, False)
    labels = labels_of(image)
    for candidate, media_type in _attempts(image, labels, found, types, side):
        if len(candidate) <= limit:
            return Picture(candidate, media_type, True)
    raise Rejected("picture_too_large", f"a picture of {len(content)} bytes cannot be brought below {limit} bytes")


def labels_of(image: Image.Image) -> Labels:
    xmp = image.info.get("xmp", b"")
    raw = xmp.encode() if isinstance(xmp, str) else bytes(xmp or b"")
    exif = image.getexif()
    inner = exif.get_ifd(0x8769)
    values = {_DESCRIPTION: exif.get(_DESCRIPTION), _USER_COMMENT: inner.get(_USER_COMMENT)}
    texts = {k: v for k, v in image.info.items() if isinstance(k, str) and isinstance(v, str) and _marked(k, v)}
    if image.info.get("comment") and _marked(image.info["comment"]):
        texts["comment"] = _text(image.info["comment"])
    return Labels(
        raw if _marked(raw) else b"",
        {tag: value for tag, value in values.items() if value and _marked(value)},
        texts,
    )


def _marked(*values: object) -> bool:
    together = b" ".join(v if isinstance(v, bytes) else str(v).encode() for v in values)
    plain = together.replace(b"\x00", b"").lower()  # Exif texts may be UTF-16
    return any(mark.lower() in plain for mark in _MARKS)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _opened(content: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
            if image.width * image.height > PIXELS:
                raise Rejected("picture_too_large", f"a picture of {image.width} x {image.height} pixels")
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Rejected("picture_unreadable", "a picture cannot be decoded; save it again as PNG or JPEG") from None
    return image


def _attempts(
    image: Image.Image, labels: Labels, found: str, types: Collection[str], side: int | None
) -> Iterator[tuple[bytes, str]]:
    """Ever smaller: first the kind it has, then JPEG at falling quality, then fewer pixels."""
    upright = ImageOps.exif_transpose(image)
    scale = min(1.0, side / max(upright.size)) if side else 1.0
    if found in types and found != "image/jpeg":
        yield _encoded(_scaled(upright, scale), labels, found), found
    lossy = "image/jpeg" if "image/jpeg" in types else next(iter(types))
    while scale >= SMALLEST:
        smaller = _scaled(upright, scale)
        for quality in QUALITIES if lossy != "image/png" else (0,):
            yield _encoded(smaller, labels, lossy, quality), lossy
        scale *= 0.8


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGBA" if _transparent(image) else "RGB").resize(size, Image.Resampling.LANCZOS)


def _transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _encoded(image: Image.Image, labels: Labels, media_type: str, quality: int = 90) -> bytes:
    out = io.BytesIO()
    options: dict[str, object] = {}
    if media_type == "image/png":
        options = {"optimize": True, "pnginfo": _png_texts(labels)}
    elif media_type == "image/jpeg":
        image = _on_white(image)
        options = {"quality": quality, "optimize": True, "progressive": True}
        if labels.texts:
            options["comment"] = _carried(labels.texts).encode()
    if media_type in ("image/jpeg", "image/png", "image/webp"):
        options |= {"exif": _exif(labels), **({"xmp": labels.xmp} if labels.xmp else {})}
    image.save(out, _FORMATS[media_type], **options)
    return out.getvalue()


def _on_white(image: Image.Image) -> Image.Image:
    if not _transparent(image):
        return image.convert("RGB")
    clear = image.convert("RGBA")
    ground = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(ground, clear).convert("RGB")


def _exif(labels: Labels) -> Image.Exif:
    """A fresh one with the labels alone. A label that stood in a PNG text goes on in UserComment."""
    exif = Image.Exif()
    if _DESCRIPTION in labels.exif:
        exif[_DESCRIPTION] = labels.exif[_DESCRIPTION]
    comment = labels.exif.get(_USER_COMMENT)
    if comment is None and labels.texts:
        comment = b"UNICODE\x00" + _carried(labels.texts).encode("utf-16-be")
    if comment is not None:
        exif.get_ifd(0x8769)[_USER_COMMENT] = comment if isinstance(comment, bytes) else comment.encode()
    return exif


def _carried(texts: dict[str, str]) -> str:
    """PNG texts as one text: the keyword is a part of the label."""
    return "{" + ",".join(f'"{k}":{v if v.startswith("{") else _quoted(v)}' for k, v in texts.items()) + "}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _png_texts(labels: Labels) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for keyword, text in labels.texts.items():
        info.add_itxt(keyword, text)
    return info
