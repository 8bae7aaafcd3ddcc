"""WeChat's codes, as data, and what each class of them comes to.

Sources: the API pages of developers.weixin.qq.com (subscription and service accounts, one table each), the global
return-code table there, and the enum of Wechat-Group/WxJava. HTTP is 200 for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from channels.notices import until_midnight
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended, Verdict

MINUTE = 60.0


class Class(StrEnum):
    RETRY = "retry"  # busy; says nothing of whether it was taken
    RATE = "rate"
    QUOTA = "quota"
    TOKEN = "token"  # noqa: S105 - stale, refused before anything was taken
    AUTH = "auth"
    PERM = "perm"
    INPUT = "input"
    CONTENT = "content"
    TARGET = "target"
    DUP = "dup"
    REVIEW = "review"
    GONE = "gone"


C = Class
_GROUPS: tuple[tuple[Class, tuple[int, ...]], ...] = (
    (C.RETRY, (-1, 61450, 268487001, 268487002, 43108)),
    (C.RATE, (45011, 45047)),
    (C.QUOTA, (45009, 45028, 48006)),
    (C.TOKEN, (40001, 40014, 42001)),
    (C.AUTH, (40013, 40125, 40164, 40243, 50007, 89506, 89507)),
    (C.INPUT, (41001, 40002, 41002, 41004, 42002, 42003, 42007, 40029, 40030, 40163)),
    (C.TARGET, (40003, 46004, 65302, 43004, 43005, 43019, 43101, 45015, 48002, 50005, 70000)),
    (C.INPUT, (40031, 40032, 40130, 40152, 45159)),
    (C.INPUT, (40004, 40005, 40006, 40007, 40008, 40009, 40010, 40011, 40012, 40118, 40121, 40137, 40215)),
    (C.INPUT, (41005, 41006, 44001, 45001, 45007, 46001)),
    (C.INPUT, (40033, 40035, 40038, 47001, 61451, 40039, 45005, 65317, 41039, 40060, 40114)),
    (C.INPUT, (43001, 43002, 43003, 44002, 44003, 44004)),
    (C.INPUT, (45002, 45003, 45004, 45006, 45008, 45110, 45067, 45083, 45084, 45113, 45162)),
    (C.INPUT, (48005, 48021, 48022, 53505, 76021, 76022)),
    (C.CONTENT, (40155, 41040, 45166, 45168, 53503, 87014, 88002)),
    (C.PERM, (45062, 48001, 48004, 48008, 50001, 50002, 50004, 53504, 88000, 43107, 43116)),
    (C.DUP, (45065, 45066)),  # 45066: this clientmsgid came a moment ago, so its first request may be out
    (C.GONE, (53600,)),
    (C.REVIEW, (89503, 89504, 89505)),
)
CODES: Mapping[int, Class] = MappingProxyType({code: kind for kind, codes in _GROUPS for code in codes})
# At the token's own address 40001 is a wrong secret; everywhere else it is a token that has ended.
AT_TOKEN: Mapping[int, Class] = MappingProxyType({**CODES, 40001: C.AUTH})


def verdict(code: int, message: str, now: float, *, noticeable: bool, table: Mapping[int, Class] = CODES) -> Verdict:
    """The verdict for a code other than 0. `noticeable`: the request was the one that readers could notice, so that
    only a code which proves that it was not taken allows another."""
    reason, kind = f"wechat_{code}", table.get(code)
    if kind in (C.AUTH, C.PERM, C.REVIEW):
        return Suspended(reason, message)
    if kind in (C.RATE, C.TOKEN):
        return Deferred(reason, message, retry_after=MINUTE, whole_endpoint=True)
    if kind is C.QUOTA:
        # Of this interface alone (errcode 45009, 45028): looking and taking down have allowances of their own.
        return Deferred(reason, message, retry_after=until_midnight(now), spent=True)
    if kind in (C.INPUT, C.CONTENT, C.TARGET, C.GONE):
        return Rejected(reason, message)
    return OutcomeUnknown(reason, message) if noticeable else Deferred(reason, message)
