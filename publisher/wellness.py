"""How an account is, from what really happened on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from content_queue.model import ChannelState
from publisher.clock import SECOND
from publisher.texts import Text, bilingual, mark

DAY = 86_400 * SECOND


class Wellness(StrEnum):
    WORKS = "works"  # the last thing sent was taken
    FAILS = "fails"  # the last thing sent was refused, or got no answer
    UNWELL = "unwell"  # the last look at the account found something wrong
    ANSWERS = "answers"  # nothing was sent yet, but the account answers
    UNTRIED = "untried"


WORDS: Mapping[Wellness, str] = MappingProxyType(
    {
        Wellness.WORKS: mark("works"),
        Wellness.FAILS: mark("fails"),
        Wellness.UNWELL: mark("unwell"),
        Wellness.ANSWERS: mark("answers"),
        Wellness.UNTRIED: mark("untried"),
    }
)


def wellness(state: ChannelState) -> Wellness:
    """A look at the account counts only when nothing has worked since."""
    worked, failed = state.ok_at or 0, state.failed_at or 0
    if state.failures or failed > worked:
        return Wellness.FAILS
    if state.check_reason and (state.checked_at or 0) >= worked:
        return Wellness.UNWELL
    if worked:
        return Wellness.WORKS
    return Wellness.ANSWERS if state.checked_at and state.facts.get("check") != "none" else Wellness.UNTRIED


def said(how: Wellness) -> Text:
    return bilingual(WORDS[how])


def days_left(token_until: int | None, now: int) -> int | None:
    """Whole days until the access token ends; below 0 when it has ended. None: not known, or never."""
    return None if token_until is None else (token_until - now) // DAY
