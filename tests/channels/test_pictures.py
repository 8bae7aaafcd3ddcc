"""Pictures fit, and what says that AI made them stays."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image, PngImagePlugin

from channels.pictures import fit, labels_of
from channels.verdicts import Rejected

AIGC = '{"Label":"1","ContentProducer":"001191110000000000000"}'
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><TC260:AIGC>' + AIGC.encode() + b"</TC260:AIGC></x:xmpmeta>"
TYPES = ("image/jpeg", "image/png")


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    dice = random.Random(7)
    return Image.frombytes(mode, (width, height), dice.randbytes(width * height * len(mode)))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_one_that_fits_is_handed_on_byte_for_byte() -> None:
    content = saved(noise(40, 30), "PNG")
    assert fit(content, limit=len(content), types=TYPES) == (content, "image/png", False)


@pytest.mark.parametrize("limit", [200_000, 60_000, 20_000])
def test_one_that_is_too_large_shrinks_until_it_fits(limit: int) -> None:
    found = fit(saved(noise(600, 400), "PNG"), limit=limit, types=TYPES)
    assert len(found.content) <= limit
    assert found.changed
    image = opened(found.content)
    assert image.width * 400 == pytest.approx(image.height * 600, rel=0.02)


def test_one_that_is_too_wide_keeps_its_kind_and_its_proportions() -> None:
    found = fit(saved(Image.new("RGB", (2000, 1000), "red"), "PNG"), limit=10**6, types=TYPES, side=500)
    assert (opened(found.content).size, found.media_type) == ((500, 250), "image/png")


def test_a_kind_that_the_platform_does_not_take_becomes_jpeg_on_white() -> None:
    found = fit(saved(Image.new("RGBA", (50, 50), (0, 0, 0, 0)), "WEBP", lossless=True), limit=10**6, types=TYPES)
    assert found.media_type == "image/jpeg"
    assert min(opened(found.content).getpixel((25, 25))) > 250  # type: ignore[type-var]
    assert found.name("图.webp") == "图.jpg"


def labelled(kind: str) -> bytes:
    image = noise(300, 300)
    if kind == "png text":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("AIGC", AIGC)
        return saved(image, "PNG", pnginfo=info)
    if kind == "xmp":
        return saved(image, "JPEG", xmp=XMP, quality=95)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\x00\x00\x00" + b'{"AIGC":' + AIGC.encode() + b"}"
    exif[0x010F] = "Camera maker"
    exif.get_ifd(0x8825)[2] = (39.0, 54.0, 0.0)  # GPSLatitude
    return saved(image, "JPEG", exif=exif, quality=95)


@pytest.mark.parametrize("kind", ["png text", "xmp", "exif"])
@pytest.mark.parametrize("side", [None, 100])
def test_the_label_of_ai_content_stays(kind: str, side: int | None) -> None:
    content = labelled(kind)
    found = fit(content, limit=len(content) // 3, types=TYPES, side=side)
    assert found.changed
    assert labels_of(opened(found.content))
    kept = found.content.replace(b"\x00", b"")
    assert b"ContentProducer" in kept


def test_where_a_picture_was_taken_is_not_published() -> None:
    content = labelled("exif")
    image = opened(fit(content, limit=len(content) // 3, types=TYPES).content)
    assert not image.getexif().get_ifd(0x8825)
    assert 0x010F not in image.getexif()


def test_a_sideways_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    content = saved(noise(300, 100), "JPEG", exif=exif, quality=95)
    assert opened(fit(content, limit=len(content) // 2, types=TYPES).content).size[1] > 250


def test_what_cannot_be_made_to_fit_is_refused() -> None:
    with pytest.raises(Rejected, match="picture_too_large"):
        fit(saved(noise(500, 500), "PNG"), limit=100, types=TYPES)
    with pytest.raises(Rejected, match="picture_unreadable"):
        fit(b"\x89PNG\r\n\x1a\nnothing", limit=10**6, types=TYPES)
