"""What an editor hands in, and what the agency says about it beforehand."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from publisher.content import Content
from publisher.texts import Text

MIB = 1024 * 1024


class SourceFormat(StrEnum):
    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Limits:
    """The agency's own bounds; sizes are bytes, `body` and `title` are characters."""

    source: int = 5 * MIB
    body: int = 1_000_000
    title: int = 300
    attachment: int = 50 * MIB
    attachments: int = 50
    image: int = 10 * MIB
    images: int = 100
    image_pixels: int = 40_000_000
    image_side: int = 20_000
    zip_entries: int = 2_000
    zip_unpacked: int = 200 * MIB
    zip_ratio: int = 100  # ordinary office files stay below 30; deflate can reach 1032


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds when the submission is silent, and what it may name.

    `columns` are the known column slugs; `column_names` maps the names editors use (通知公告) to slugs.
    `zone` is the IANA name that times without an offset are read in. An empty default means: must be given.
    """

    columns: tuple[str, ...] = ()
    column_names: Mapping[str, str] = field(default_factory=dict)
    column: str = ""
    issuing_body: str = ""
    drafting_unit: str = ""
    content_type: str = ""
    openness: str = ""
    drafter: str = ""
    language: str = "zh-CN"
    zone: str = "Asia/Shanghai"
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Node:
    """One value as the source wrote it: scalars are text (None: left empty). `line` counts from 1."""

    value: str | list[Node] | dict[str, Node] | None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RawBody:
    """The body before sanitising. `line` is the source line its first character stands on.

    `one_line` says that all of it stands on that line (a JSON string).
    """

    text: str
    format: SourceFormat
    line: int | None
    one_line: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A submission taken apart, nothing judged yet."""

    fields: dict[str, Node]
    body: RawBody


@dataclass(frozen=True, slots=True)
class LineMap:
    """Where texts came from: `starts[i]` is the offset in the body text from which `lines[i]` holds."""

    fields: Mapping[str, int] = field(default_factory=dict)
    starts: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()

    def body_line(self, offset: int) -> int | None:
        place = bisect_right(self.starts, offset) - 1
        return self.lines[place] if place >= 0 else None

    def field_line(self, name: str) -> int | None:
        """Line of `name`, or of what holds it: `images[0].alt` may be known as `images[0]` or `images`."""
        ends = [i for i, c in enumerate(name) if c in ".["] + [len(name)]
        return next((self.fields[name[:end]] for end in reversed(ends) if name[:end] in self.fields), None)


def line_map(fields: Mapping[str, int], marks: list[tuple[int, int]]) -> LineMap:
    """`marks` are (offset, line) in order of offset; of several at one offset the last holds."""
    kept = [a for a, b in pairwise(marks) if a[0] != b[0]] + marks[-1:]
    return LineMap(fields, tuple(o for o, _ in kept), tuple(line for _, line in kept))


@dataclass(frozen=True, slots=True)
class Note:
    """Something the editor should know that does not stand in the way, such as a dropped attribute."""

    field: str
    line: int | None
    message: Text


@dataclass(frozen=True)
class Submission:
    """A submission ready for the queue. `source` is exactly what came in; `blobs` are keyed by SHA-256 hex."""

    content: Content
    item_id: str | None
    drafter: str
    blobs: Mapping[str, bytes]
    source: bytes
    source_format: SourceFormat
    notes: tuple[Note, ...] = ()
    lines: LineMap = field(default_factory=LineMap)

    def locate(self, name: str, offset: int = 0) -> int | None:
        """The line of the submitted file that holds `offset` of the field `name`; None where it cannot be said."""
        if name == "body_text":
            return self.lines.body_line(offset) if 0 <= offset <= len(self.content.body_text) else None
        return None if name == "body_html" else self.lines.field_line(name)
