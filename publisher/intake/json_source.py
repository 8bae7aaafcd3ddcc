"""JSON with lines: RFC 8259, read so that a repeated key, NaN and a tower of brackets are refused by line."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from json import decoder

from publisher.intake.decoding import line_starts
from publisher.intake.front_matter import duplicate
from publisher.intake.model import Node
from publisher.intake.problems import IntakeError, refuse
from publisher.texts import Text, bilingual

DEEPEST = 16
# The standard library's own string reader; typeshed does not list it.
_scanstring: Callable[[str, int, bool], tuple[str, int]] = decoder.scanstring  # type: ignore[attr-defined]

_BLANK = re.compile(r"[ \t\n\r]*")
_WORD = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z.+\-])|true|false|null")
_NOT_A_NUMBER = re.compile(r"-?(?:NaN|Infinity)")


def read_json(text: str) -> dict[str, Node]:
    """The top object; raises `IntakeError` on anything else."""
    reader = _Reader(text)
    node, end = reader.value(reader.skip(0), 0)
    if reader.skip(end) != len(text):
        raise reader.broken(reader.skip(end))
    if not isinstance(node.value, dict):
        message = bilingual("The file is not a JSON object.")
        raise refuse("json", "", 1, message, bilingual("Put the fields of the item between { and }."))
    return node.value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = line_starts(text)

    def line(self, place: int) -> int:
        return bisect_right(self._starts, place)

    def skip(self, place: int) -> int:
        blank = _BLANK.match(self._text, place)
        return blank.end() if blank else place

    def value(self, place: int, depth: int) -> tuple[Node, int]:
        first, line = self._text[place : place + 1], self.line(place)
        if depth > DEEPEST:
            raise self.refused(place, bilingual("The values are nested too deeply."))
        if first == '"':
            text, end = self._string(place)
            return Node(text, line), end
        if first == "{":
            fields, end = self._object(place, depth)
            return Node(fields, line), end
        if first == "[":
            items, end = self._array(place, depth)
            return Node(items, line), end
        return self._word(place)

    def _word(self, place: int) -> tuple[Node, int]:
        word = _WORD.match(self._text, place)
        if word is None:
            if _NOT_A_NUMBER.match(self._text, place):
                raise self.refused(place, bilingual("NaN and Infinity are not JSON."))
            raise self.broken(place)
        return Node(None if word[0] == "null" else word[0], self.line(place)), word.end()

    def _string(self, place: int) -> tuple[str, int]:
        try:
            return _scanstring(self._text, place + 1, True)
        except decoder.JSONDecodeError as error:
            raise self.broken(error.pos) from None

    def _object(self, place: int, depth: int) -> tuple[dict[str, Node], int]:
        found: dict[str, Node] = {}
        place = self.skip(place + 1)
        while self._text[place : place + 1] != "}":
            key, start = self._key(place)
            if key in found:
                raise duplicate(key, self.line(place))
            node, end = self.value(self.skip(start), depth + 1)
            found[key] = node
            place = self._next(self.skip(end), "}")
        return found, place + 1

    def _key(self, place: int) -> tuple[str, int]:
        if self._text[place : place + 1] != '"':
            raise self.broken(place)
        key, end = self._string(place)
        end = self.skip(end)
        if self._text[end : end + 1] != ":":
            raise self.broken(end)
        return key, end + 1

    def _array(self, place: int, depth: int) -> tuple[list[Node], int]:
        found: list[Node] = []
        place = self.skip(place + 1)
        while self._text[place : place + 1] != "]":
            node, end = self.value(place, depth + 1)
            found.append(node)
            place = self._next(self.skip(end), "]")
        return found, place + 1

    def _next(self, place: int, closing: str) -> int:
        """Past a comma (which something must follow), or at the closing bracket."""
        if self._text[place : place + 1] == ",":
            place = self.skip(place + 1)
            if self._text[place : place + 1] != closing:
                return place
        elif self._text[place : place + 1] == closing:
            return place
        raise self.broken(place)

    def broken(self, place: int) -> IntakeError:
        column = place - self._starts[self.line(place) - 1] + 1
        return self.refused(place, bilingual("The JSON cannot be read at column {column}.", column=column))

    def refused(self, place: int, message: Text) -> IntakeError:
        remedy = bilingual("Write plain JSON (RFC 8259): quotes, commas and brackets are often the cause.")
        return refuse("json", "", self.line(place), message, remedy)
