"""Attachments and images: fetched, judged by their bytes, kept by hash, and put in their places."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import PurePosixPath
from urllib.parse import unquote

from publisher.content import Attachment, Image
from publisher.intake.fields import Fields
from publisher.intake.files import FileSource, too_large
from publisher.intake.html_write import ImageUse
from publisher.intake.kinds import KINDS, media_type_of
from publisher.intake.model import Node
from publisher.intake.problems import IntakeError, Problem, quoted, refuse
from publisher.texts import Text, bilingual

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2066-\u2069]{1,200}")


@dataclass
class Assets:
    """What one submission brings along."""

    fields: Fields
    files: FileSource
    blobs: dict[str, bytes] = field(default_factory=dict)
    _by_name: dict[str, Image] = field(default_factory=dict)

    def attachments(self) -> tuple[Attachment, ...]:
        found: list[Attachment] = []
        for place, parts, line in self._bounded("attachments", self.fields.defaults.limits.attachments):
            try:
                made = self._attachment(parts, place)
            except IntakeError as error:
                self._report(error, place, line)
                continue
            if made.name in {a.name for a in found}:
                message = bilingual("Two attachments have the name “{name}”.", name=quoted(made.name, 80))
                self.fields.fault("duplicate_name", place, message, bilingual("Give one another name."), line)
            found.append(made)
        return tuple(found)

    def listed_images(self) -> None:
        """Reads the `images` field: files that the body shows or that go along, with what is said of them."""
        for place, parts, line in self._bounded("images", self.fields.defaults.limits.images):
            try:
                file = self.fields.part(parts, "file", place)
                image = self._image(file, self._bytes(parts, place, self.fields.defaults.limits.image))
            except IntakeError as error:
                self._report(error, place, line)
                continue
            said = {key: self.fields.part(parts, key, place) for key in ("alt", "rights")}
            flags = {key: self.fields.flag(parts, key, place) for key in ("decorative", "ai_generated")}
            self._by_name[file or image.name] = image.model_copy(update={**said, **flags})

    def place(self, html: str, uses: list[ImageUse]) -> str:
        """The body with each image named by its hash; an image that cannot be had is reported."""
        for use in uses:
            if use.src not in self._by_name:
                self._fetch(use)
            known = self._by_name.get(use.src)
            if known is not None:
                better = {"alt": known.alt or use.alt, "decorative": known.decorative or use.decorative}
                self._by_name[use.src] = known.model_copy(update=better)
        replacements = iter(uses)
        return re.sub(r"<img\b[^>]*>", lambda tag: self._rewritten(tag[0], next(replacements)), html)

    def images(self) -> tuple[Image, ...]:
        """Each stored image once, in the order first named."""
        return tuple({image.sha256: image for image in reversed(self._by_name.values())}.values())[::-1]

    def _rewritten(self, tag: str, use: ImageUse) -> str:
        image = self._by_name.get(use.src)
        if image is None:
            return ""
        alt = use.alt or image.alt
        size = "".join(re.findall(r' (?:width|height)="[0-9]{1,5}"', tag))
        return f'<img src="media:{image.sha256}" alt="{escape(alt)}"{size}>'

    def _fetch(self, use: ImageUse) -> None:
        limit = self.fields.defaults.limits.image
        try:
            if not use.src or re.match(r"[a-zA-Z][a-zA-Z0-9+.\-]*:|//", use.src):
                raise _not_brought(use.src)
            if len(self._by_name) >= self.fields.defaults.limits.images:
                raise _too_many("images", self.fields.defaults.limits.images)
            name, data = self._open_either(use.src, limit)
            self._by_name[use.src] = replace_name(self._image(name, data), name)
        except IntakeError as error:
            self._report(error, "body", use.line)

    def _open_either(self, src: str, limit: int) -> tuple[str, bytes]:
        """Markdown and HTML write file names percent-encoded; the name as it stands goes first."""
        plain = unquote(src)
        try:
            return src, self.files.open(src, limit)
        except IntakeError:
            if plain == src:
                raise
        return plain, self.files.open(plain, limit)

    def _attachment(self, parts: Mapping[str, Node], place: str) -> Attachment:
        limits = self.fields.defaults.limits
        file, shown = self.fields.part(parts, "file", place), self.fields.part(parts, "name", place)
        data = self._bytes(parts, place, limits.attachment)
        media_type = media_type_of(data, file or shown, limits)
        name = shown or PurePosixPath(file).name
        ending = PurePosixPath(file or shown).suffix
        if PurePosixPath(name).suffix.lower() not in KINDS:
            name += ending
        _check_name(name, media_type)
        return Attachment(name=name, sha256=self._keep(data), media_type=media_type, size=len(data))

    def _image(self, name: str, data: bytes) -> Image:
        media_type = media_type_of(data, name, self.fields.defaults.limits, only_images=True)
        shown = PurePosixPath(name).name
        _check_name(shown, media_type)
        return Image(name=shown, sha256=self._keep(data), media_type=media_type, size=len(data))

    def _bytes(self, parts: Mapping[str, Node], place: str, limit: int) -> bytes:
        file = self.fields.part(parts, "file", place)
        if "data" in parts:
            return _from_base64(self.fields.part(parts, "data", place), file, limit)
        if not file:
            raise refuse(
                "missing", "", None, bilingual("The entry names no file."), bilingual("Add “file: …”.")
            )
        return self.files.open(file, limit)

    def _keep(self, data: bytes) -> str:
        name = hashlib.sha256(data).hexdigest()
        self.blobs[name] = data
        return name

    def _bounded(self, name: str, limit: int) -> list[tuple[str, dict[str, Node], int | None]]:
        found = list(self.fields.entries(name, "file"))
        if len(found) > limit:
            self._report(_too_many(name, limit), name, self.fields.line(name))
        return found[:limit]

    def _report(self, error: IntakeError, place: str, line: int | None) -> None:
        placed = [replace(p, field=p.field or place, line=p.line or line) for p in error.problems]
        self.fields.report.take(IntakeError(*placed))


def replace_name(image: Image, name: str) -> Image:
    return image.model_copy(update={"name": PurePosixPath(name).name})


def _check_name(name: str, media_type: str) -> None:
    if (
        not _NAME.fullmatch(name)
        or name in (".", "..")
        or KINDS.get(PurePosixPath(name).suffix.lower()) != media_type
    ):
        message = bilingual("“{name}” cannot be the name of this file.", name=quoted(name, 80))
        remedy = bilingual("Use a plain file name with the right ending, without / and \\.")
        raise refuse("file_name", "", None, message, remedy)


def _from_base64(text: str, name: str, limit: int) -> bytes:
    if len(text) * 3 // 4 > limit + 3:
        raise too_large(name, len(text) * 3 // 4, limit)
    try:
        return base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except (binascii.Error, ValueError):
        message = bilingual("The data of “{name}” is not base64.", name=quoted(name, 80))
        raise refuse(
            "base64", "", None, message, bilingual("Encode the bytes with standard base64.")
        ) from None


def _not_brought(src: str) -> IntakeError:
    said: Text = bilingual("The image “{name}” does not come with the submission.", name=quoted(src))
    return refuse(
        "image_remote", "", None, said, bilingual("Put the image file beside the text and name it there.")
    )


def _too_many(name: str, limit: int) -> IntakeError:
    message = bilingual("There are more than {limit} entries in {name}.", limit=limit, name=name)
    return IntakeError(
        Problem(name, None, message, bilingual("Keep the ones that readers need."), "too_many")
    )
