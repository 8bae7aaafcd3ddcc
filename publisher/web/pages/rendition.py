"""One kept answer: bytes, compressed bytes, validators and ready headers."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace

from multidict import CIMultiDict

from publisher.web.feeds.times import http_date
from publisher.web.pages.drawing import Address, Drawn

_SECOND = 1_000_000

# No script may run, nothing is loaded from elsewhere; images of items and our own style sheet only.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
COMMON_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}


@dataclass(frozen=True, slots=True)
class Coded:
    """One coding of the body. `tag` is the quoted strong entity tag; the headers go out as they are."""

    body: bytes
    tag: str
    headers: CIMultiDict[str]
    not_modified: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class Rendition:
    """`modified` is whole seconds since 1970 UTC of the newest change shown, None where there is none."""

    status: int
    plain: Coded
    zipped: Coded
    modified: int | None
    topics: frozenset[str]

    @property
    def size(self) -> int:
        return len(self.plain.body) + len(self.zipped.body)


def made(drawn: Drawn, before: Rendition | None = None) -> Rendition:
    """Strong tags over the exact bytes, one for each coding; nothing here reads a clock.

    `before` is what stood at the address. Where a date with the grain of a second cannot tell the two apart (two
    changes in one second, an item that left the column), the new one goes without `Last-Modified`.
    """
    digest = base64.b32encode(hashlib.sha256(drawn.body).digest()[:15]).decode().lower()
    packed = gzip.compress(drawn.body, compresslevel=9, mtime=0)
    if before is not None and drawn.body != before.plain.body and _no_later(drawn, before):
        drawn = replace(drawn, modified=None)
    headers = _headers(drawn)
    return Rendition(
        drawn.status,
        _coded(drawn.body, f'"{digest}"', headers),
        _coded(packed, f'"{digest}-gz"', headers | {"Content-Encoding": "gzip"}),
        None if drawn.modified is None else drawn.modified // _SECOND,
        drawn.topics,
    )


def _no_later(drawn: Drawn, before: Rendition) -> bool:
    return drawn.modified is not None and before.modified is not None and drawn.modified // _SECOND <= before.modified


def _headers(drawn: Drawn) -> dict[str, str]:
    made = {
        "Content-Type": drawn.media_type,
        "Cache-Control": drawn.caching,
        "Vary": "Accept, Accept-Encoding" if drawn.negotiated else "Accept-Encoding",
        **COMMON_HEADERS,
    }
    if drawn.modified is not None:
        made["Last-Modified"] = http_date(drawn.modified)
    if drawn.media_type.startswith("text/html"):
        made["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    else:
        made["Access-Control-Allow-Origin"] = "*"  # readers that run in a browser
    return made | drawn.headers


def _coded(body: bytes, tag: str, headers: dict[str, str]) -> Coded:
    full = headers | {"ETag": tag}
    repeated = ("ETag", "Cache-Control", "Vary", "Last-Modified", "Access-Control-Allow-Origin")
    return Coded(
        body,
        tag,
        CIMultiDict(full | {"Content-Length": str(len(body))}),
        CIMultiDict({name: full[name] for name in repeated if name in full}),
    )


class Shelved:
    """Renditions kept while there is room: the longest unused leave first. `limit` is bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[Address, Rendition] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, address: Address) -> Rendition | None:
        found = self._kept.get(address)
        if found is not None:
            self._kept.move_to_end(address)
        return found

    def put(self, address: Address, rendition: Rendition) -> None:
        self._remove(address)
        self._kept[address] = rendition
        self.size += rendition.size
        while self.size > self.limit and len(self._kept) > 1:
            self._remove(next(iter(self._kept)))

    def drop(self, topics: set[str]) -> None:
        """Forgets everything that shows one of `topics`."""
        for address in [a for a, kept in self._kept.items() if not kept.topics.isdisjoint(topics)]:
            self._remove(address)

    def _remove(self, address: Address) -> None:
        old = self._kept.pop(address, None)
        if old is not None:
            self.size -= old.size
