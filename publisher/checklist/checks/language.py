"""Traditional characters in a text for mainland readers (LAN-01)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from opencc import OpenCC

from publisher.checklist.matching import Hit
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Field, Subject

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_SHOWN = 12  # characters named in the message
_KEPT = 50  # places kept in the finding


@cache
def traditional_only() -> frozenset[str]:
    """Characters that OpenCC turns into another and that GB 2312, the set of simplified print, does not have.

    GB 2312 keeps 於, 徵, 乾 and their like, which stand in simplified texts as well (surnames, notes, 乾坤).
    """
    every = [chr(code) for block in ((0x3400, 0x4DC0), (0x4E00, 0xA000)) for code in range(*block)]
    simple = OpenCC("t2s").convert("\n".join(every)).split("\n")
    return frozenset(old for old, new in zip(every, simple, strict=True) if old != new and not _in_gb2312(old))


def _in_gb2312(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(f"[{''.join(sorted(traditional_only()))}]")


def traditional(subject: Subject, rule: Rule) -> Iterator[Hit]:
    """One hit for the item, on the field with most of them; `mostly` from the share given in the rule."""
    allowed = set("".join(rule.words["shared"]))
    found = {
        one.order: [m.start() for m in _pattern().finditer(one.text) if m[0] not in allowed]
        for one in subject.of(rule.fields)
    }
    total = sum(len(places) for places in found.values())
    if not total:
        return
    fields = subject.of(rule.fields)
    written = sum(len(_HAN.findall(one.text)) for one in fields)
    one = max(fields, key=lambda f: (len(found[f.order]), -f.order))
    case = "mostly" if total >= rule.options["mostly_share"] * written else "some"
    yield _one_hit(one, found[one.order], case, total, written)


def _one_hit(one: Field, places: list[int], case: str, total: int, written: int) -> Hit:
    chars = list(dict.fromkeys(one.text[at] for at in places))[:_SHOWN]
    return Hit(
        field=one,
        start=places[0],
        end=places[0] + 1,
        case=case,
        found=one.text[places[0]],
        values={"detail": f"{100 * total / written:.1f}%: " + " ".join(chars)},
        count=total,
        places=tuple((at, at + 1) for at in places[1:_KEPT]),
    )
