"""What is wrong with a submission: every problem names its field, line and remedy, in both languages.

IntakeError (Exception)    carries all problems found in one submission
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from publisher.texts import Text, bilingual

MOST_PROBLEMS = 50
_DIGIT_RUN = re.compile(r"\d{6,}|\d(?:[\s\-]?\d){10,}")
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` is stable, for programs; `field` is "" for the file as a whole; `line` counts from 1."""

    field: str
    line: int | None
    message: Text
    remedy: Text
    code: str = "invalid"

    def __str__(self) -> str:
        place = ", ".join(p for p in (self.field, f"line {self.line}" if self.line else "") if p)
        said = f"{self.message.en} {self.remedy.en} / {self.message.zh}{self.remedy.zh}"
        return f"{place}: {said}" if place else said

    def to_dict(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "field": self.field,
            "line": self.line,
            "message": self.message.as_dict(),
            "remedy": self.remedy.as_dict(),
        }


class IntakeError(Exception):
    """The submission was refused; nothing of it has been kept."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems

    def to_dict(self) -> dict[str, Any]:
        """Members of an application/problem+json answer (RFC 9457)."""
        title = bilingual("The submission cannot be taken as it is.")
        return {"title": str(title), "status": 422, "problems": [p.to_dict() for p in self.problems]}


class Report:
    """Gathers the problems of one submission, the first `MOST_PROBLEMS` of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, code: str, field: str, line: int | None, message: Text, remedy: Text) -> None:
        problem = Problem(field, line, message, remedy, code)
        if len(self.problems) < MOST_PROBLEMS and problem not in self.problems:
            self.problems.append(problem)

    def take(self, error: IntakeError) -> None:
        for p in error.problems:
            self.add(p.code, p.field, p.line, p.message, p.remedy)

    def settle(self) -> None:
        """Raises `IntakeError` if anything was found."""
        if self.problems:
            raise IntakeError(*self.problems)


def refuse(code: str, field: str, line: int | None, message: Text, remedy: Text) -> IntakeError:
    return IntakeError(Problem(field, line, message, remedy, code))


def quoted(value: str, limit: int = 40) -> str:
    """`value` fit to be shown in an error: numbers that may be personal are masked, the length is bounded."""
    masked = _DIGIT_RUN.sub(lambda m: "*" * len(m.group()), value[: limit * 4])
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", masked)
    return shown if len(value) <= limit else shown[:limit] + "…"


def did_you_mean(word: str, known: list[str]) -> Text | None:
    """A question naming the nearest known word, when there is one near enough."""
    near = get_close_matches(word[:64], known, n=1, cutoff=0.6)
    return bilingual("Did you mean “{name}”?", name=near[0]) if near else None
