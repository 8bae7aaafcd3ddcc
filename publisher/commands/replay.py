"""What the log says every delivery and revision should be, replayed from its entries. Pure.

The tables are a view of the log: a row that says something else was edited behind the log's back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from content_queue.model import Delivery
from content_queue.states import DELIVERED, DeliveryState
from publisher.texts import Text, bilingual, mark

# Their bodies name the state after the move.
MOVES = frozenset(
    {"attempt", "lease_expired", "resend", "found", "absent", "confirmed", "incomplete", "refused", "settled"}
    | {"dropped", "doubted"}
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the entries tell of one delivery. `url` and `remote` are None until an entry names them."""

    item_id: str
    channel: str
    revision: int
    state: str
    url: str | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One row that is not what the log says. `what` names the column, or `missing` or `unknown`."""

    delivery_id: int
    what: str
    told: str
    found: str

    @property
    def text(self) -> Text:
        return bilingual(
            _MESSAGES.get(self.what, _COLUMN), id=self.delivery_id, what=self.what, told=self.told, found=self.found
        )

    def to_dict(self) -> dict[str, Any]:
        facts = {"delivery": self.delivery_id, "what": self.what, "log": self.told, "table": self.found}
        return facts | {"text": self.text.as_dict()}


_COLUMN = mark("Delivery {id}: the log says {what} {told}, the table says {found}.")
_MESSAGES = {
    "missing": mark("Delivery {id} ({told}) is in the log, but its row is gone from the table."),
    "unknown": mark("Delivery {id} ({found}) is in the table, but no entry of the log made it."),
}


class Reader(Protocol):
    def feed(self, kind: str, item_id: str | None, delivery_id: int | None, body: str, /) -> None: ...


def watch(rows: Iterable[Sequence[Any]], *readers: Reader) -> Iterator[Sequence[Any]]:
    """Hands the rows on as they come (columns as in `EntryRow`). A row of another shape tells nothing."""
    for row in rows:
        if len(row) == 9:
            for reader in readers:
                reader.feed(str(row[3]), row[5], row[6], row[8])
        yield row


class Replay:
    """Feed it the entries in order; `told` is then what each delivery should be."""

    def __init__(self) -> None:
        self.told: dict[int, Told] = {}

    def feed(self, kind: str, item_id: str | None, delivery_id: int | None, body: str) -> None:
        facts = read_facts(body)
        if kind in {"released", "recalled"}:
            self._made(item_id or "", facts)
        elif kind == "claimed":
            self._all(facts.get("deliveries"), DeliveryState.CLAIMED)
        elif delivery_id in self.told and isinstance(delivery_id, int):
            self._moved(kind, delivery_id, facts)

    def _made(self, item_id: str, facts: Mapping[str, Any]) -> None:
        made = facts.get("deliveries")
        for channel, number in made.items() if isinstance(made, dict) else ():
            if isinstance(number, int):
                revision = facts.get("revision")
                known = revision if isinstance(revision, int) else 0
                self.told[number] = Told(item_id, channel, known, DeliveryState.WAITING)

    def _all(self, numbers: Any, state: DeliveryState) -> None:
        for number in numbers if isinstance(numbers, list) else ():
            if number in self.told:
                self.told[number] = replace(self.told[number], state=state)

    def _moved(self, kind: str, number: int, facts: Mapping[str, Any]) -> None:
        told = self.told[number]
        if kind in MOVES:
            self.told[number] = _placed(replace(told, state=str(facts.get("state", ""))), kind, facts)
        elif kind == "started":
            self.told[number] = replace(told, state=DeliveryState.SENDING)
        elif kind == "claim_released":
            self.told[number] = replace(told, state=DeliveryState.WAITING)
        elif kind == "cancelled":
            self.told[number] = replace(told, state=DeliveryState.CANCELLED)


def _placed(told: Told, kind: str, facts: Mapping[str, Any]) -> Told:
    """With where it is, as far as an accepting entry says."""
    if kind in {"found", "confirmed", "settled"} or facts.get("state") in DELIVERED:
        return replace(told, url=str(facts.get("url", "")), remote=str(facts.get("remote", "")))
    return told


def read_facts(body: str) -> Mapping[str, Any]:
    """An entry's body; empty when it is no JSON object."""
    try:
        found = json.loads(body)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def compare(told: Mapping[int, Told], table: Iterable[Delivery]) -> Iterator[Mismatch]:
    """Rows that differ, in the order of the table, then those that are gone. The log was read before the table."""
    seen = set()
    for row in table:
        seen.add(row.id)
        if row.id not in told:
            yield Mismatch(row.id, "unknown", "", f"{row.item_id}, {row.channel}, {row.state}")
        else:
            yield from differences(told[row.id], row)
    for number, made in told.items():
        if number not in seen:
            yield Mismatch(number, "missing", f"{made.item_id}, {made.channel}, {made.state}", "")


def differences(told: Told, row: Delivery) -> Iterator[Mismatch]:
    pairs = [
        ("item", told.item_id, row.item_id),
        ("channel", told.channel, row.channel),
        ("revision", str(told.revision), str(row.revision)),
        ("state", str(told.state), str(row.state)),
    ]
    if row.state in DELIVERED and told.url is not None:
        pairs += [("url", told.url, row.url), ("remote_id", told.remote or "", row.remote_id)]
    for name, wanted, found in pairs:
        if wanted != found:
            yield Mismatch(row.id, name, wanted or "-", found or "-")
