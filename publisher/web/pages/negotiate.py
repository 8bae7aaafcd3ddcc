"""What a client asked for in its headers. Answers are remembered: clients send the same few lines for ever."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from functools import lru_cache

_HTML = "text/html"
_FEEDS = ("application/atom+xml", "application/rss+xml", "application/feed+json", "application/xml", "text/xml")
_JSON = ("application/problem+json", "application/json")


@lru_cache(maxsize=1024)
def takes_gzip(accept_encoding: str) -> bool:
    """RFC 9110, 12.5.3: listed by name, else by `*`; weight 0 forbids; without a word of it, no."""
    weights = _weights(accept_encoding)
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


@lru_cache(maxsize=1024)
def prefers_page(accept: str) -> bool:
    """Whether a person's browser asks: HTML named, and above every form of feed."""
    weights = _weights(accept)
    return weights.get(_HTML, 0.0) > max(_weight(weights, kind) for kind in _FEEDS[:3])


@lru_cache(maxsize=1024)
def prefers_json(accept: str) -> bool:
    """Whether a machine asks: JSON named, and above HTML."""
    weights = _weights(accept)
    named = max(weights.get(kind, 0.0) for kind in _JSON)
    return named > 0 and named > weights.get(_HTML, 0.0)


@lru_cache(maxsize=4096)
def tags(if_none_match: str) -> frozenset[str]:
    """The opaque tags, quotes kept and weakness dropped (weak comparison); `*` stands for itself."""
    return frozenset(part.strip().removeprefix("W/") for part in if_none_match.split(","))


@lru_cache(maxsize=4096)
def seconds(http_date: str) -> float | None:
    """Seconds since 1970 UTC; None for a date that cannot be read, which RFC 9110 says to ignore."""
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _weight(weights: dict[str, float], kind: str) -> float:
    """The most specific range that covers `kind` (RFC 9110, 12.5.1)."""
    family = kind.split("/")[0] + "/*"
    return weights.get(kind, weights.get(family, weights.get("*/*", 0.0)))


def _weights(header: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if name:
            found[name] = max(_quality(parameters), found.get(name, 0.0))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
