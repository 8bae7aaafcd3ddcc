"""The small types that requests and answers are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from content_queue.model import PARKED

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"

# A name that goes into a query: no control character, so that no database chokes on it.
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
# A sentence of a person; it is kept in the log.
Sentence = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=f"^[^{_CONTROL}]+$")
]
Remark = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=2000, pattern=f"^[^{_CONTROL}]*$")
]
Hash = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Ask(BaseModel):
    """A request body or query; a key it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """An answer. Its schema forbids other keys, so that a test can hold answers to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Both(Told):
    """One text in both languages."""

    en: str
    zh: str


def instant(at: int) -> datetime:
    """Microseconds since 1970 UTC as the answers show them: RFC 3339, in UTC."""
    return _EPOCH + timedelta(microseconds=at)


def instant_or_none(at: int | None) -> datetime | None:
    """None where there is none, or where it is no real time (a parked delivery)."""
    return None if at is None or at >= PARKED else instant(at)
