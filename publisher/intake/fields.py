"""Reads the fields of a draft one by one into plain values; every fault goes to the report, with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from publisher.content import Link, Openness, Related, Source
from publisher.intake.content_types import content_types, find_content_type
from publisher.intake.decoding import check_characters
from publisher.intake.field_names import FIELDS, OPENNESS, PARTS, RELATIONS, by_word
from publisher.intake.model import Defaults, Node
from publisher.intake.moments import DAY_REMEDY, INSTANT_REMEDY, Unreadable, read_day, read_instant
from publisher.intake.problems import Report, did_you_mean, quoted
from publisher.texts import Text, bilingual

ITEM_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")  # the usual shapes of BCP 47
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LIST_MARKS = re.compile(r"[,，;；、\n]")
_TRUE, _FALSE = {"true", "yes", "是"}, {"false", "no", "否", ""}
_MANY_LINES = {"summary", "closed_reason", "wordings"}
LONGEST = 2_000  # characters of a field other than title and body


def known_fields(
    nodes: Mapping[str, Node], table: dict[str, tuple[str, ...]], report: Report, where: str = ""
) -> dict[str, Node]:
    """The nodes under the program's own names; unknown and doubly named ones are reported."""
    words, found = by_word(table), dict[str, Node]()
    for key, node in nodes.items():
        name, place = words.get(key.strip()), f"{where}{quoted(key)}"
        if name is None:
            hint = did_you_mean(key, list(words)) or bilingual("Remove it or correct its name.")
            message = bilingual("The field “{name}” is unknown.", name=quoted(key))
            report.add("unknown_field", place, node.line, message, hint)
        elif name in found:
            message = bilingual("The field {name} is given twice, under two names.", name=name)
            report.add("duplicate_key", f"{where}{name}", node.line, message, bilingual("Keep one of them."))
        else:
            found[name] = node
    return found


class Fields:
    """What the submission says (overrides and defaults worked in), read with the checks each field needs."""

    def __init__(self, nodes: Mapping[str, Node], defaults: Defaults, report: Report) -> None:
        self.nodes, self.defaults, self.report = nodes, defaults, report

    def line(self, name: str) -> int | None:
        node = self.nodes.get(name)
        return node.line if node else None

    def fault(self, code: str, name: str, message: Text, remedy: Text, line: int | None = None) -> None:
        self.report.add(code, name, line or self.line(name), message, remedy)

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        """The field exactly as written (outer blanks included), or `default` where it is absent or empty."""
        node = self.nodes.get(name)
        value = self.scalar(node, name) if node else ""
        if not value.strip():
            value = default
        if required and not value:
            self.missing(name)
        return value

    def missing(self, name: str) -> None:
        remedy = bilingual("Add the line “{name}: …” (or “{zh}: …”).", name=name, zh=FIELDS[name][0])
        self.fault("missing", name, bilingual("The field {name} is missing.", name=name), remedy)

    def scalar(self, node: Node, name: str) -> str:
        if isinstance(node.value, list | dict):
            message = bilingual("The field {name} must be one text, not a list.", name=name)
            self.fault("shape", name, message, bilingual("Write it as one text."), node.line)
            return ""
        value = node.value or ""
        if not check_characters(value, name, node.line, self.report):
            return ""
        single = name.partition("[")[0].partition(".")[0] not in _MANY_LINES and not name.endswith(".data")
        if single and ("\n" in value.strip() or "\r" in value.strip()):
            message = bilingual("The field {name} must stand on one line.", name=name)
            self.fault("shape", name, message, bilingual("Take the line break out."), node.line)
        limit = self.defaults.limits.title if name == "title" else LONGEST
        if len(value) > limit and not name.endswith(".data"):
            message = bilingual("The field {name} is longer than {limit} characters.", name=name, limit=limit)
            self.fault("too_long", name, message, bilingual("Shorten it."), node.line)
        return value

    def words(self, name: str) -> tuple[str, ...]:
        node = self.nodes.get(name)
        if node is None or node.value is None:
            return ()
        if isinstance(node.value, list):
            parts = [self.scalar(n, f"{name}[{i}]") for i, n in enumerate(node.value)]
        else:
            parts = _LIST_MARKS.split(self.scalar(node, name))
        return tuple(dict.fromkeys(p.strip() for p in parts if p.strip()))

    def entries(self, name: str, short: str) -> Iterator[tuple[str, dict[str, Node], int | None]]:
        """(place, parts, line) of each entry of a list; a bare text is the part `short`."""
        node = self.nodes.get(name)
        if node is None or node.value is None:
            return
        items = node.value if isinstance(node.value, list) else [node]
        for i, item in enumerate(items):
            place = f"{name}[{i}]"
            if isinstance(item.value, dict):
                yield place, known_fields(item.value, PARTS, self.report, place + "."), item.line
            elif isinstance(item.value, str):
                yield place, {short: item}, item.line
            else:
                message = bilingual("This entry of {name} cannot be read.", name=name)
                self.fault(
                    "shape", place, message, bilingual("Write a text or “key: value” lines."), item.line
                )

    def part(self, parts: Mapping[str, Node], key: str, place: str) -> str:
        return self.scalar(parts[key], f"{place}.{key}").strip() if key in parts else ""

    def flag(self, parts: Mapping[str, Node], key: str, place: str) -> bool:
        value = self.part(parts, key, place).lower()
        if value not in _TRUE | _FALSE:
            message = bilingual("“{value}” is neither true nor false.", value=quoted(value))
            remedy = bilingual("Write true or false.")
            self.fault("choice", f"{place}.{key}", message, remedy, parts[key].line)
        return value in _TRUE

    def day(self, name: str) -> str:
        value = self.text(name)
        try:
            return read_day(value) if value else ""
        except Unreadable as error:
            self.fault("date", name, error.text, bilingual(DAY_REMEDY))
            return ""

    def instant(self, name: str) -> int | None:
        value = self.text(name)
        try:
            return read_instant(value, self.defaults.zone) if value else None
        except Unreadable as error:
            self.fault("time", name, error.text, bilingual(INSTANT_REMEDY))
            return None

    def choice(self, name: str, value: str, known: Mapping[str, str], line: int | None = None) -> str:
        """`known` maps every accepted word to what is kept; "" when the word is none of them."""
        if not value or value in known:
            return known.get(value, "")
        shown = "、".join(dict.fromkeys(known.values()))
        message = bilingual("“{value}” is not known for {name}.", value=quoted(value), name=name)
        remedy = did_you_mean(value, list(known)) or bilingual("Use one of: {known}.", known=shown)
        self.fault("unknown_" + name.partition("[")[0], name, message, remedy, line)
        return ""

    def column(self) -> str:
        slugs = {slug: slug for slug in self.defaults.columns}
        value = self.text("column", self.defaults.column, required=True).strip()
        return self.choice("column", value, {**slugs, **self.defaults.column_names})

    def content_type(self) -> str:
        value = self.text("content_type", self.defaults.content_type, required=True)
        found = find_content_type(value)
        if found or not value:
            return found.code if found else ""
        known = {word: k.code for k in content_types().values() for word in (k.code, k.name, k.zh)}
        return self.choice("content_type", value.strip(), known)

    def openness(self) -> Openness:
        value = self.text("openness", self.defaults.openness, required=True).strip()
        known = {**{o.value: o.value for o in Openness}, **OPENNESS}
        return Openness(self.choice("openness", value, known) or Openness.CLOSED)

    def item_class(self) -> str:
        value = self.text("item_class", "A").strip()
        return self.choice("item_class", value, {c: c for c in "ABC"})

    def shaped(
        self, name: str, value: str, shape: re.Pattern[str], remedy: Text, line: int | None = None
    ) -> str:
        if value and not shape.fullmatch(value):
            message = bilingual("“{value}” cannot be used for {name}.", value=quoted(value), name=name)
            self.fault("shape", name, message, remedy, line)
        return value

    def item_id(self) -> str | None:
        remedy = bilingual("Use 3 to 64 of a-z, 0-9 and -, not beginning with -.")
        return self.shaped("id", self.text("id").strip(), ITEM_ID, remedy) or None

    def language(self) -> str:
        value = self.text("language", self.defaults.language).strip()
        return self.shaped("language", value, _LANGUAGE, bilingual("Use a language tag such as zh-CN or en."))

    def channels(self) -> tuple[str, ...] | None:
        if self.nodes.get("channels", Node(None)).value is None:
            return None
        remedy = bilingual("Use the names of the channel accounts.")
        return tuple(self.shaped("channels", name, _CHANNEL, remedy) for name in self.words("channels"))

    def wordings(self) -> dict[str, str]:
        """As “channel account: text” lines."""
        node = self.nodes.get("wordings", Node(None))
        if node.value is None:
            return {}
        if not isinstance(node.value, dict):
            message = bilingual("The field {name} must name a channel for each text.", name="wordings")
            self.fault("shape", "wordings", message, bilingual("Write “channel account: text” lines under it."))
            return {}
        found = {}
        for key, one in node.value.items():
            name = self.shaped("wordings", key.strip(), _CHANNEL, bilingual("Use the names of the channel accounts."))
            found[name] = self.scalar(one, f"wordings.{name}").strip()
        return {name: text for name, text in found.items() if text}

    def url(self, value: str, name: str, line: int | None) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        except ValueError:
            good = False
        if value and not (good and not re.search(r"[\s<>\"\\^`{}|]", value)):
            message = bilingual("“{value}” is not a full web address.", value=quoted(value))
            remedy = bilingual("Write it as https://…, without name or password in it.")
            self.fault("url", name, message, remedy, line)
        return value

    def links(self) -> tuple[Link, ...]:
        found = []
        for place, parts, line in self.entries("links", "url"):
            url = self.url(self.part(parts, "url", place), f"{place}.url", line)
            found.append(Link(url=url, text=self.part(parts, "text", place)))
            if not url:
                self.fault(
                    "missing", place, bilingual("The link has no address."), bilingual("Add “url: …”."), line
                )
        return tuple(found)

    def source(self) -> Source | None:
        for place, parts, line in self.entries("source", "name"):
            url = self.url(self.part(parts, "url", place), f"{place}.url", line)
            name = self.part(parts, "name", place)
            return Source(name=name, url=url) if name or url else None
        return None

    def related(self) -> tuple[Related, ...]:
        """As a list of {rel, id}, or as “relation: id” lines."""
        known = {**{rel: rel for rel in RELATIONS}, **{zh: rel for rel, zh in RELATIONS.items()}}
        found = []
        for place, rel, node in self._relations():
            name = self.choice(place, rel, known, node.line)
            target = self.scalar(node, f"{place}.id").strip()
            self.shaped(f"{place}.id", target, ITEM_ID, bilingual("Give the id of an item."), node.line)
            if name and target:
                found.append(Related(rel=name, id=target))
            elif not target or not rel:
                message = bilingual("A relation needs its kind and the id of the other item.")
                self.fault(
                    "missing", place, message, bilingual("Write “interprets: other-item-id”."), node.line
                )
        return tuple(dict.fromkeys(found))

    def _relations(self) -> Iterator[tuple[str, str, Node]]:
        node = self.nodes.get("related", Node(None))
        items = node.value if isinstance(node.value, list) else [node] if node.value is not None else []
        for i, item in enumerate(items):
            place = f"related[{i}]"
            if not isinstance(item.value, dict):
                rel, _, target = self.scalar(item, place).partition(":")
                yield place, rel.strip(), Node(target.strip(), item.line)
            elif {"rel", "id", "关系", "编号"} & item.value.keys():
                parts = known_fields(item.value, PARTS, self.report, place + ".")
                yield place, self.part(parts, "rel", place), parts.get("id", Node(None, item.line))
            else:
                for key, aim in item.value.items():
                    for one in aim.value if isinstance(aim.value, list) else [aim]:
                        yield place, key.strip(), one
