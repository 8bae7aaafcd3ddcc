"""YAML front matter, read for its words only: every scalar stays as written, nothing is built or resolved."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from publisher.intake.model import Node
from publisher.intake.problems import IntakeError, quoted, refuse
from publisher.texts import Text, bilingual

DEEPEST = 8
LONGEST = 64 * 1024  # characters: PyYAML is slow, and no item needs more words about itself


def read_yaml(text: str, first_line: int) -> dict[str, Node]:
    """The mapping in `text`; `first_line` is the source line its first character stands on."""
    if len(text) > LONGEST:
        message = bilingual("The front matter is longer than {limit} characters.", limit=LONGEST)
        raise refuse("front_matter", "", first_line, message, bilingual("Move long texts into the body."))
    try:
        node = _Reader(text, first_line).document()
    except yaml.YAMLError as error:
        raise _unreadable(error, first_line) from None
    if node.value is None or node.value == "":
        return {}
    if not isinstance(node.value, dict):
        message = bilingual("The front matter is not a list of “key: value” lines.")
        raise refuse("front_matter", "", node.line, message, bilingual("Write one “key: value” per line."))
    return node.value


class _Reader:
    def __init__(self, text: str, first_line: int) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._first = first_line

    def document(self) -> Node:
        node = Node(None, self._first)
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                node = self._node(next(self._events), 0)
            if documents > 1:
                raise self._refused(event, bilingual("The front matter holds more than one YAML document."))
        return node

    def _line(self, event: yaml.Event) -> int:
        return self._first + (event.start_mark.line if event.start_mark else 0)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._refused(event, bilingual("YAML anchors and aliases (& and *) are not allowed."))
        if getattr(event, "tag", None) not in (None, "!"):
            raise self._refused(event, bilingual("YAML tags (!) are not allowed."))
        if depth > DEEPEST:
            raise self._refused(event, bilingual("The values are nested too deeply."))
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self._mapping(depth), self._line(event))
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self._sequence(depth), self._line(event))
        return Node(_scalar(event), self._line(event))

    def _mapping(self, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1).value
            if not isinstance(key, str):
                raise self._refused(event, bilingual("A key must be a plain word."))
            if key in found:
                raise duplicate(key, self._line(event))
            value = self._node(next(self._events), depth + 1)
            found[key] = Node(value.value, self._line(event))
        return found

    def _sequence(self, depth: int) -> list[Node]:
        found = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._node(event, depth + 1))
        return found

    def _refused(self, event: yaml.Event, message: Text) -> IntakeError:
        remedy = bilingual("Write the value out in full, as plain text or in quotes.")
        return refuse("front_matter", "", self._line(event), message, remedy)


def _scalar(event: yaml.Event) -> str | None:
    value = str(getattr(event, "value", ""))
    plain = getattr(event, "style", None) is None
    return None if plain and value in ("", "~", "null") else value


def duplicate(key: str, line: int | None) -> IntakeError:
    message = bilingual("The key “{name}” is given twice.", name=quoted(key))
    return refuse("duplicate_key", quoted(key), line, message, bilingual("Keep one of them."))


def _unreadable(error: yaml.YAMLError, first_line: int) -> IntakeError:
    found = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = first_line + found.line if found else first_line
    message = bilingual("The front matter is not valid YAML.")
    remedy = bilingual("Check this line: values with a colon, # or quotation marks need quotes around them.")
    return refuse("front_matter", "", line, message, remedy)
