"""What the site knows of every item without asking the shelf: titles, places, relations, public files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from publisher.web.feeds.address import ALL
from publisher.web.feeds.clean import one_line, shorten
from publisher.web.feeds.words import public_title, reason_words
from publisher.web.view import Published, Withdrawal

_SUMMARY = 120
_LOOK = 4 * _SUMMARY  # of a body, where there is no summary: white space may fold away

# How a relation reads from the other side (government-rules B 2.3).
INVERSE = {
    "interprets": "interpreted_by",
    "explains": "explained_by",
    "replaces": "replaced_by",
    "amends": "amended_by",
    "repeals": "repealed_by",
    "result_of": "has_result",
    "corrects": "corrected_by",
    "withdraws": "withdrawn_by",
    "ends": "ended_by",
    "relays": "relayed_by",
    "batch_of": "batch_of",
}
_BACK = INVERSE | {back: rel for rel, back in INVERSE.items()}


@dataclass(frozen=True, slots=True)
class File:
    """A file an item carries; `inline` says that a browser may show it."""

    sha256: str
    name: str
    media_type: str
    image: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One item in lists. Times are microseconds since 1970 UTC."""

    item_id: str
    revision: int
    title: str
    summary: str
    language: str
    column: str
    document_number: str
    published_at: int
    updated_at: int
    corrected: bool
    withdrawal: Withdrawal | None
    related: tuple[tuple[str, str], ...]
    files: tuple[File, ...]

    @property
    def stamp(self) -> tuple[int, int, bool]:
        return self.revision, self.updated_at, self.withdrawal is not None


def stamp_of(item: Published) -> tuple[int, int, bool]:
    return item.revision, item.updated_at, item.withdrawal is not None


def card_of(item: Published) -> Card:
    content, gone = item.content, item.withdrawal
    if gone is None:
        summary = shorten(content.summary or content.body_text[:_LOOK], _SUMMARY)
    else:
        summary = one_line(gone.note) or reason_words(gone.reason, content.language)
    return Card(
        item_id=item.item_id,
        revision=item.revision,
        title=one_line(public_title(item)),
        summary=summary,
        language=content.language,
        column=content.column,
        document_number="" if gone else one_line(content.document_number),
        published_at=item.published_at,
        updated_at=max(item.updated_at, item.published_at),
        corrected=bool(item.corrections),
        withdrawal=gone,
        related=tuple((link.rel, link.id) for link in content.related),
        files=tuple(_files(item)),
    )


def _files(item: Published) -> Iterable[File]:
    for attachment in item.content.attachments:
        yield File(attachment.sha256, attachment.name, attachment.media_type, image=False)
    for image in item.content.images:
        yield File(image.sha256, image.name, image.media_type, image=True)


class Ledger:
    """All cards and what follows from them. Never changed once made: `with_items` makes the next one."""

    def __init__(self, cards: Mapping[str, Card], order: Iterable[str]) -> None:
        self.cards = cards
        self.order = tuple(order)
        self.columns = self._by_column()
        self._pointing = self._pointers()
        self._files = self._public_files()

    def with_items(self, items: Iterable[Published]) -> Ledger:
        """`items` new ones in order of first publication, changed ones anywhere."""
        fresh = {item.item_id: card_of(item) for item in items}
        new = [item_id for item_id in fresh if item_id not in self.cards]
        return Ledger({**self.cards, **fresh}, (*self.order, *new))

    def column(self, slug: str) -> tuple[str, ...]:
        """Item ids in order of first publication, oldest first; `all` gives every item."""
        return self.order if slug == ALL else self.columns.get(slug, ())

    def live(self, slug: str, limit: int) -> list[Card]:
        """The newest items that are not withdrawn."""
        found: list[Card] = []
        for item_id in reversed(self.column(slug)):
            card = self.cards[item_id]
            if card.withdrawal is None:
                found.append(card)
            if len(found) == limit:
                break
        return found

    def connected(self, item_id: str) -> list[tuple[str, Card]]:
        """(relation as read from this item, other item), both directions, each pair once, withdrawn ones included."""
        incoming = [(_BACK.get(rel, "related"), source) for rel, source in self._pointing.get(item_id, ())]
        pairs = dict.fromkeys([*self.cards[item_id].related, *incoming])
        return [(rel, self.cards[other]) for rel, other in pairs if other in self.cards and other != item_id]

    def neighbours(self, item_id: str) -> list[tuple[str, Card]]:
        """The connected items that are live."""
        return [(rel, other) for rel, other in self.connected(item_id) if other.withdrawal is None]

    def file(self, sha256: str, name: str) -> tuple[File | None, bool]:
        """The public file of that name, and whether a withdrawn item had it."""
        live, gone = self._files.get((sha256, name), (None, False))
        return live, gone

    def modified(self, item_ids: Iterable[str]) -> int | None:
        return max((self.cards[item_id].updated_at for item_id in item_ids), default=None)

    def _by_column(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for item_id in self.order:
            found.setdefault(self.cards[item_id].column, []).append(item_id)
        return {slug: tuple(ids) for slug, ids in found.items()}

    def _pointers(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for item_id in self.order:
            for rel, other in self.cards[item_id].related:
                found.setdefault(other, []).append((rel, item_id))
        return found

    def _public_files(self) -> dict[tuple[str, str], tuple[File | None, bool]]:
        found: dict[tuple[str, str], tuple[File | None, bool]] = {}
        for card in self.cards.values():
            for file in card.files:
                live, gone = found.get((file.sha256, file.name), (None, False))
                live = live or (None if card.withdrawal else file)
                found[file.sha256, file.name] = (live, gone or card.withdrawal is not None)
        return found
