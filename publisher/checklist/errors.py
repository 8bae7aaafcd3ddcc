"""Errors of the checklist.

RuleError (Exception)   a rule file or word list that cannot be used
"""

from __future__ import annotations

from publisher.texts import Text, bilingual


class RuleError(Exception):
    """`file` is a bare file name, `key` the dotted path inside it ("" for the whole file)."""

    def __init__(self, file: str, key: str, problem: Text) -> None:
        place = f"{file}: {key}" if key else file
        self.file, self.key = file, key
        self.text = bilingual("Checklist rules: {place}: {problem}", place=place, problem=problem)
        super().__init__(str(self.text))
