"""What the log says was submitted and signed, replayed from its entries. Pure.

A text or a sign-off that the tables show otherwise was edited behind the log's back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from publisher.commands.replay import read_facts
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from content_queue.store import RevisionMark

Key = tuple[str, int]  # item, revision


@dataclass(frozen=True, slots=True)
class Forged:
    """One revision that is not what the log says; `what` is text, signoffs, missing or unknown."""

    item_id: str
    revision: int
    what: str

    @property
    def text(self) -> Text:
        return bilingual(_MESSAGES[self.what], item=self.item_id, number=self.revision)

    def to_dict(self) -> dict[str, Any]:
        facts = {"item": self.item_id, "revision": self.revision, "what": self.what}
        return facts | {"text": self.text.as_dict()}


_MESSAGES = {
    "text": mark("Revision {number} of {item}: its text is not the one that the log says was submitted."),
    "signoffs": mark("Revision {number} of {item}: its sign-offs are not those in the log."),
    "missing": mark("Revision {number} of {item} is in the log, but its row is gone from the table."),
    "unknown": mark("Revision {number} of {item} is in the table, but no entry of the log submitted it."),
}


@dataclass(slots=True)
class SignedReplay:
    """Feed it the entries in order; then `hashes` and `signoffs` are what each revision should show."""

    hashes: dict[Key, str] = field(default_factory=dict)
    signoffs: dict[Key, frozenset[tuple[str, str, str]]] = field(default_factory=dict)

    def feed(self, kind: str, item_id: str | None, _delivery_id: int | None, body: str) -> None:
        if kind not in {"submitted", "signed", "held"} or item_id is None:
            return
        facts = read_facts(body)
        key = (item_id, facts.get("revision", 0))
        if kind == "submitted":
            self.hashes[key] = str(facts.get("hash", ""))
        elif kind == "signed":
            one = (str(facts.get("stage", "")), str(facts.get("person", "")), str(facts.get("hash", "")))
            self.signoffs[key] = self.signoffs.get(key, frozenset()) | {one}
        else:
            self.signoffs.pop(key, None)  # the checklist held it: what was signed lapses

    def compare(self, table: Iterable[RevisionMark]) -> Iterator[Forged]:
        """In the order of the table, then those that are gone. Log and table are one snapshot."""
        seen = set()
        for row in table:
            key = (row.item_id, row.number)
            seen.add(key)
            if key not in self.hashes:
                yield Forged(*key, "unknown")
            elif not self.hashes[key] == row.content_hash == row.actual_hash:
                yield Forged(*key, "text")
            elif row.signoffs != self.signoffs.get(key, frozenset()):
                yield Forged(*key, "signoffs")
        yield from (Forged(*key, "missing") for key in self.hashes if key not in seen)
