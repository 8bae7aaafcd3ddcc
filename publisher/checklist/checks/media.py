"""Text alternatives of images (A11Y-01)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.checklist.matching import Hit
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Subject
from publisher.content import Image

_FILE_NAME = re.compile(r"[^\s]{1,120}\.(?:jpe?g|png|gif|webp|bmp|svg|tiff?|heic)|(?:IMG|DSC|微信图片)[_\-]?\d+", re.I)
_NUMBERED = re.compile(r"[\s\d一二三四五六七八九十:：._\-()（）]+")


def alt_text(subject: Subject, rule: Rule) -> Iterator[Hit]:
    for at, image in enumerate(subject.content.images):
        if not image.decorative and (case := _fault(image, rule)):
            one = subject.named(f"images[{at}].alt", "images")
            if case == "missing" and _only_text(subject, rule):
                case = "only_text"
            yield Hit(one, 0, len(one.text), case, values={"detail": image.name})
    known = {image.sha256 for image in subject.content.images}
    for source, alt in subject.markup.images:
        if source.removeprefix("media:") not in known and not (alt or "").strip() and alt != "":
            yield Hit(subject.body, 0, 0, "missing", values={"detail": source[:60]})


def _fault(image: Image, rule: Rule) -> str:
    alt = image.alt.strip()
    if not alt:
        return "missing"
    if _FILE_NAME.fullmatch(alt) or alt == image.name:
        return "file_name"
    if _NUMBERED.sub("", alt).lower() in {"", *rule.words["filler"]}:
        return "filler"
    least, most = rule.options["length"]
    return "" if least <= len(alt) <= most else "length"


def _only_text(subject: Subject, rule: Rule) -> bool:
    """The body says next to nothing: the picture is the notice."""
    return len("".join(subject.content.body_text.split())) < int(rule.options["shortest_body"])
