"""Excerpts that show where a finding is and never what must not be shown."""

from __future__ import annotations

import re

from publisher.checklist.copies import BLANKS, CopyKind, make_copy

AROUND = 12  # characters of context on each side
_GAP = rf"[{BLANKS}\r\n\-‐-―−－~～·・•.．,，、/_|]{{0,4}}"
# 9 digits: one fewer than the shortest number that names a person on its own (a landline with its area code).
_LONG = re.compile(rf"\d(?:{_GAP}\d){{8,}}(?:{_GAP}[Xx×])?")
_PAPERS = re.compile(r"[A-Za-z]{1,2}\d{7,10}(?!\d)")  # passports and permits
_SHORTEN = re.compile(r"\s+")


def mask(text: str, *, hide: tuple[int, int] | None = None) -> str:
    """`text` with the middle of every long number starred; `hide` is a further range to treat so."""
    copy = make_copy(text, CopyKind.FOLDED)
    ranges = [match.span() for pattern in (_LONG, _PAPERS) for match in pattern.finditer(copy.text)]
    shown = list(copy.text)
    for start, end in ranges:
        _star(shown, start, end)
    if hide is not None:
        inside = [at for at in range(len(shown)) if hide[0] <= copy.origin(at) < hide[1]]
        if inside:
            _star(shown, inside[0], inside[-1] + 1)
    return "".join(shown)


def _star(shown: list[str], start: int, end: int) -> None:
    """Keeps three characters in front and two behind, fewer of a short one."""
    size = end - start
    front, back = (3, 2) if size >= 9 else (1, 1) if size >= 4 else (0, 0)
    for at in range(start + front, end - back):
        shown[at] = "*"


def excerpt(text: str, start: int, end: int, *, secret: bool) -> str:
    """The hit with a little context on one line. Masked before it is cut, so that no number escapes by its edge."""
    low, high = max(0, start - 8 * AROUND), min(len(text), end + 8 * AROUND)
    low, high = _whole_number(text, low, -1), _whole_number(text, high, 1)
    whole = mask(text[low:high], hide=(start - low, end - low) if secret else None)
    return _window(whole, _seen(text[low:start]), _seen(text[end:high]))


def _seen(text: str) -> int:
    return len(make_copy(text, CopyKind.FOLDED).text)


def _whole_number(text: str, at: int, step: int) -> int:
    """Moves a cutting place outward while it would fall between digits, 64 characters at most."""
    for _ in range(64):
        if not 0 < at < len(text) or not (text[at - 1].isdigit() and text[at].isdigit()):
            break
        at += step
    return at


def _window(whole: str, before: int, after: int) -> str:
    left, right = max(0, before - AROUND), min(len(whole), len(whole) - after + AROUND)
    middle = whole[left:right]
    if len(middle) > 6 * AROUND:
        middle = middle[: 5 * AROUND] + "…" + middle[-AROUND:]
    return ("…" if left else "") + _SHORTEN.sub(" ", middle).strip() + ("…" if right < len(whole) else "")
