"""Checks that a pattern alone cannot make. Each is named by a rule file and reports the cases it lists."""

from __future__ import annotations

from publisher.checklist.checks import codes, dates, language, links, media, persons, tables
from publisher.checklist.matching import Function

FUNCTIONS: dict[str, Function] = {
    "openness": Function(codes.openness, frozenset({"closed"})),
    "resident_id": Function(persons.resident_id, frozenset({"valid", "scattered", "shape", "old", "old_alone"})),
    "mobile": Function(persons.mobile, frozenset({"mobile"})),
    "bank_card": Function(persons.bank_card, frozenset({"card", "account", "alone"})),
    "sensitive_columns": Function(tables.sensitive_columns, frozenset({"sensitive", "personal", "masked", "blank"})),
    "calendar": Function(dates.calendar, frozenset({"impossible", "lost"})),
    "traditional": Function(language.traditional, frozenset({"mostly", "some"})),
    "alt_text": Function(media.alt_text, frozenset({"missing", "only_text", "file_name", "filler", "length"})),
    "links": Function(links.links, frozenset({"short", "disguised", "account"})),
    "index_number": Function(codes.index_number, frozenset({"check_digit"})),
    "credit_code": Function(codes.credit_code, frozenset({"check_digit", "shape"})),
}
