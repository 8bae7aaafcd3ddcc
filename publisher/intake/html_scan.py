"""Judges markup: what scripts is refused, what is harmless but not kept is noted.

The judge reads what an HTML5 parser made of the source, not the source, so that no trick of spelling hides a
tag from it that a browser would see.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nh3

from publisher.intake.html_rules import (
    KEPT,
    KEPT_ATTRIBUTES,
    LINK_SCHEMES,
    NOTED,
    REFUSED,
    SCRIPT_SCHEMES,
    UNNOTED,
    URL_ATTRIBUTES,
)
from publisher.intake.model import Note
from publisher.intake.problems import Report, quoted
from publisher.texts import Text, bilingual, mark

_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028\u2029\ufeff]+")
_STYLE_SCRIPT = re.compile(r"expression\s*\(|javascript:|-moz-binding|behavior\s*:", re.IGNORECASE)
_SEEN_ATTRIBUTES = URL_ATTRIBUTES | {
    "align", "bgcolor", "border", "class", "color", "face", "height", "id", "name", "rel", "size", "srcdoc",
    "srcset", "style", "target", "valign", "width", "background",
} | frozenset().union(*KEPT_ATTRIBUTES.values())  # fmt: skip
_SCRIPT_REMEDY = mark("Remove it: an item is text, tables, links and images only.")
MOST_NOTES = 100
_WHOLE = frozenset(
    {"style", "link", "audio", "video", "source", "track", "canvas", "area"}
)  # no text to keep


def scheme_of(url: str) -> str:
    """The scheme as a browser would see it: blanks and control characters do not hide it. "" when relative."""
    found = _SCHEME.match(_BLANKS.sub("", url))
    return found[1].lower() if found else ""


def line_in(value: str | None) -> int | None:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 10 else None


def scan(marked: str, marker: str, field: str, report: Report) -> list[Note]:
    """Reports all markup that scripts; returns notes of what will be dropped. `marker` attributes hold lines."""
    parsed = nh3.clean(
        marked,
        tags=set(KEPT | REFUSED | NOTED | UNNOTED),
        clean_content_tags=set(),
        attributes={"*": set(_SEEN_ATTRIBUTES) | {marker}},
        generic_attribute_prefixes={"on"},
        url_schemes=set(LINK_SCHEMES | SCRIPT_SCHEMES | {"media", "ftp", "cid", "about"}),
        link_rel=None,
    )
    judge = _Judge(marker, field, report)
    judge.feed(parsed)
    judge.close()
    return judge.notes


class _Judge(HTMLParser):
    def __init__(self, marker: str, field: str, report: Report) -> None:
        super().__init__(convert_charrefs=True)
        self.notes: list[Note] = []
        self._marker, self._field, self._report = marker, field, report
        self._line: int | None = None
        self._said: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._line = line_in(dict(attrs).get(self._marker)) or self._line
        if tag in REFUSED:
            self._refuse(bilingual("The element <{name}> is not allowed.", name=tag))
        elif tag in _WHOLE:
            self._note(tag, bilingual("The element <{name}> was dropped.", name=tag))
        elif tag in NOTED:
            self._note(tag, bilingual("The tag <{name}> was dropped, its text kept.", name=tag))
        for name, value in attrs:
            if name != self._marker:
                self._attribute(tag, name, value or "")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name.startswith("on") or name == "srcdoc":
            self._refuse(bilingual("The attribute {name} runs a script.", name=quoted(name)))
        elif name in URL_ATTRIBUTES and scheme_of(value) in SCRIPT_SCHEMES:
            scheme = scheme_of(value)
            self._refuse(bilingual("A {scheme}: address is not allowed in {name}.", scheme=scheme, name=name))
        elif name == "style" and _STYLE_SCRIPT.search(value):
            self._refuse(bilingual("The attribute {name} runs a script.", name="style"))
        elif tag in UNNOTED:
            pass  # no part of the text: what the head says is read elsewhere
        elif name not in KEPT_ATTRIBUTES["*"] | KEPT_ATTRIBUTES.get(tag, frozenset()):
            said = bilingual("The attribute {name} of <{tag}> was dropped.", name=quoted(name), tag=tag)
            self._note(f"{tag} {name}", said)
        elif tag == "a" and name == "href" and scheme_of(value) not in LINK_SCHEMES:
            said = bilingual(
                "The link to “{url}” was dropped: give the full address, with https://.", url=quoted(value)
            )
            self._note(f"href {value}", said)

    def _refuse(self, message: Text) -> None:
        self._report.add("scripting", self._field, self._line, message, bilingual(_SCRIPT_REMEDY))

    def _note(self, key: str, message: Text) -> None:
        if key not in self._said and len(self.notes) < MOST_NOTES:
            self._said.add(key)
            self.notes.append(Note(self._field, self._line, message))
