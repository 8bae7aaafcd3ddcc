"""Reads the rule files and word lists; a bad one gives one error that names file, key and remedy."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from publisher.checklist.checks import FUNCTIONS
from publisher.checklist.copies import CopyKind
from publisher.checklist.errors import RuleError
from publisher.checklist.findings import Severity
from publisher.checklist.rules import FIELD_KINDS, AllowList, AppliesTo, Case, Context, Rule
from publisher.texts import Text, bilingual

PLACES = frozenset({"found", "count", "places", "detail"})
_KINDS = ("A", "AH", "H", "F", "T", "O")
_EVIDENCE = ("T", "P", "M")
_RULE_KEYS = frozenset(
    [
        "id",
        "version",
        "title_en",
        "title_zh",
        "kind",
        "severity",
        "override",
        "evidence",
        "valid_from",
        "valid_to",
        "copy",
        "fields",
        "function",
        "secret",
        "allow_list",
        "words",
        "options",
        "applies_to",
        "source",
        "cases",
        "tests",
    ]
)
_CASE_KEYS = frozenset(
    [
        "severity",
        "override",
        "severity_in",
        "pattern",
        "fields",
        "context",
        "unless",
        "group",
        "raise_above",
        "raise_to",
        "message_en",
        "message_zh",
        "fix_en",
        "fix_zh",
    ]
)


class Words:
    """Word lists by name: one entry a line, `#` starts a comment line."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.read: dict[str, tuple[str, ...]] = {}

    def get(self, name: str) -> tuple[str, ...]:
        if name not in self.read:
            text = _read(self._directory / f"{name}.txt")
            lines = (line.strip() for line in text.splitlines())
            self.read[name] = tuple(line for line in lines if line and not line.startswith("#"))
        return self.read[name]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise RuleError(path.name, "", bilingual("the file is missing: restore it or take out what names it")) from None
    except (OSError, UnicodeDecodeError) as error:
        problem = bilingual("the file cannot be read ({reason}): save it as UTF-8 text", reason=str(error))
        raise RuleError(path.name, "", problem) from error


class _Table:
    """A TOML table that knows where it stands, so that every complaint can say so."""

    def __init__(self, file: str, values: Mapping[str, Any], path: str = "") -> None:
        self.file, self.values, self.path = file, values, path

    def wrong(self, key: str, problem: Text) -> RuleError:
        return RuleError(self.file, f"{self.path}{key}", problem)

    def only(self, known: frozenset[str] | set[str]) -> None:
        for key in self.values:
            if key not in known:
                problem = bilingual("unknown key; known here: {known}", known=", ".join(sorted(known)))
                raise self.wrong(key, problem)

    def text(self, key: str, default: str | None = None) -> str:
        return str(self._typed(key, str, "a text", default))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._typed(key, bool, "true or false", default))

    def number(self, key: str, default: int | None = None) -> int:
        value = self._typed(key, int, "a whole number", default)
        if isinstance(value, bool):
            raise self.wrong(key, bilingual("must be {wanted}", wanted="a whole number"))
        return int(value)

    def day(self, key: str, default: datetime.date) -> datetime.date:
        value: datetime.date = self._typed(key, datetime.date, "a date such as 2024-05-01, without quotes", default)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._typed(key, list, "a list of texts", [])
        if not all(isinstance(entry, str) and entry for entry in value):
            raise self.wrong(key, bilingual("must be {wanted}", wanted="a list of texts"))
        return tuple(value)

    def table(self, key: str) -> _Table:
        return _Table(self.file, self._typed(key, dict, "a table", {}), f"{self.path}{key}.")

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise self.wrong(key, bilingual("must be one of {choices}", choices=", ".join(choices)))
        return value

    def _typed(self, key: str, kind: type, wanted: str, default: Any) -> Any:
        value = self.values.get(key, default)
        if value is None:
            raise self.wrong(key, bilingual("is missing: add {wanted}", wanted=wanted))
        if not isinstance(value, kind):
            raise self.wrong(key, bilingual("must be {wanted}", wanted=wanted))
        return value


def read_rules(rules_dir: Path, words_dir: Path) -> tuple[tuple[Rule, ...], str]:
    """The rules in order of file name, and the fingerprint of all their data."""
    words = Words(words_dir)
    raw: dict[str, Any] = {}
    rules: list[Rule] = []
    for path in sorted(rules_dir.glob("*.toml")):
        raw[path.name] = _parse(path)
        rules.append(_rule(_Table(path.name, raw[path.name]), words))
        if rules[-1].id != path.stem:
            problem = bilingual("must be the file's name without .toml, here {name}", name=path.stem)
            raise RuleError(path.name, "id", problem)
    if not rules:
        problem = bilingual("no rule file (*.toml) here: nothing would be checked; restore the rules")
        raise RuleError(rules_dir.name, "", problem)
    return tuple(rules), _fingerprint(raw, words.read)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise RuleError(path.name, "", bilingual("is not valid TOML: {reason}", reason=str(error))) from error


def _fingerprint(raw: dict[str, Any], words: dict[str, tuple[str, ...]]) -> str:
    data = json.dumps([raw, words], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(data.encode()).hexdigest()


def _rule(table: _Table, words: Words) -> Rule:
    table.only(_RULE_KEYS)
    function = table.text("function", "")
    if function and function not in FUNCTIONS:
        raise table.wrong("function", bilingual("must be one of {choices}", choices=", ".join(sorted(FUNCTIONS))))
    tests = table.table("tests")
    tests.only({"hit", "miss"})
    return Rule(
        id=table.text("id"),
        version=table.number("version"),
        title=Text(table.text("title_en"), table.text("title_zh")),
        kind=table.choice("kind", _KINDS),
        source={key: table.table("source").text(key) for key in table.table("source").values},
        evidence=table.choice("evidence", _EVIDENCE),
        cases=_cases(table, function),
        copy=CopyKind(table.choice("copy", tuple(CopyKind), CopyKind.FOLDED)),
        fields=_kinds(table, "fields"),
        applies_to=_applies_to(table.table("applies_to")),
        function=function,
        secret=table.flag("secret", False),
        allow=AllowList(words.get(table.text("allow_list")) if "allow_list" in table.values else ()),
        words={key: words.get(table.table("words").text(key)) for key in table.table("words").values},
        options=table.table("options").values,
        valid_from=table.day("valid_from", datetime.date.min),
        valid_to=table.day("valid_to", datetime.date.max),
        hits=_examples(tests, "hit"),
        misses=_examples(tests, "miss"),
    )


def _kinds(table: _Table, key: str) -> tuple[str, ...]:
    kinds = table.texts(key)
    for kind in kinds:
        if kind not in FIELD_KINDS:
            raise table.wrong(key, bilingual("must be one of {choices}", choices=", ".join(FIELD_KINDS)))
    return kinds


def _applies_to(table: _Table) -> AppliesTo:
    keys = {"types", "channels", "classes", "languages", "not_languages"}
    table.only(keys)
    return AppliesTo(**{key: table.texts(key) for key in keys})


def _examples(tests: _Table, key: str) -> tuple[Mapping[str, Any], ...]:
    """At least one of each; a bare text is a body."""
    examples = tests._typed(key, list, "a list of examples", [])
    if not examples or not all(isinstance(e, (str, dict)) for e in examples):
        raise tests.wrong(key, bilingual("needs at least one example, a text or a table of item fields"))
    return tuple({"body": e} if isinstance(e, str) else e for e in examples)


def _cases(rule: _Table, function: str) -> dict[str, Case]:
    tables = rule.table("cases")
    cases = {name: _case(tables.table(name), name, rule) for name in tables.values}
    by_code = {name for name, case in cases.items() if case.pattern is None}
    known = FUNCTIONS[function].cases if function else frozenset()
    if by_code != known or not cases:
        problem = bilingual(
            "every case needs a pattern, or must be one that the function reports: {known}",
            known=", ".join(sorted(known)) or "-",
        )
        raise rule.wrong("cases", problem)
    return cases


def _case(table: _Table, name: str, rule: _Table) -> Case:
    table.only(_CASE_KEYS)
    context = table.table("context")
    context.only({"before", "after", "window"})
    places = table.table("severity_in")
    _kinds(_Table(table.file, {"severity_in": list(places.values)}, table.path), "severity_in")
    severities = tuple(Severity)
    return Case(
        name=name,
        severity=Severity((table if "severity" in table.values else rule).choice("severity", severities)),
        overridable=(table if "override" in table.values else rule).flag("override", True),
        message=_message(table, "message"),
        fix=_message(table, "fix"),
        severity_in={kind: Severity(places.choice(kind, severities)) for kind in places.values},
        pattern=_pattern(table, "pattern"),
        fields=_kinds(table, "fields"),
        context=Context(context.texts("before"), context.texts("after"), context.number("window", 20)),
        unless=_pattern(table, "unless"),
        group=table.flag("group", False),
        raise_above=table.number("raise_above") if "raise_above" in table.values else None,
        raise_to=Severity(table.choice("raise_to", severities, Severity.WARN)),
    )


def _pattern(table: _Table, key: str) -> re.Pattern[str] | None:
    if key not in table.values:
        return None
    try:
        pattern = re.compile(table.text(key))
    except re.error as error:
        raise table.wrong(key, bilingual("is not a valid pattern: {reason}", reason=str(error))) from error
    if pattern.match(""):
        raise table.wrong(key, bilingual("would match an empty text everywhere; make it need a character"))
    return pattern


def _message(table: _Table, key: str) -> Text:
    return Text(_template(table, f"{key}_en"), _template(table, f"{key}_zh"))


def _template(table: _Table, key: str) -> str:
    """Only bare {places} are let in: no attribute, index or format of a value."""
    template = table.text(key)
    try:
        names = {
            name + (f"!{how}" if how else "") + (f":{form}" if form else "")
            for _, name, form, how in string.Formatter().parse(template)
            if name is not None
        }
    except ValueError as error:
        raise table.wrong(key, bilingual("has an unpaired brace: {reason}", reason=str(error))) from error
    if not names <= PLACES:
        known = ", ".join(f"{{{place}}}" for place in sorted(PLACES))
        raise table.wrong(key, bilingual("may use only these places: {known}", known=known))
    return template
