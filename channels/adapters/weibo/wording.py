"""What Weibo is told, and how a text that it shows is known again. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from channels.contract import Measured, Operation, Post
from channels.forms import Composed, Room, compose
from channels.text import halves
from channels.verdicts import Receipt, Rejected

# statuses/share: up to 140 Chinese characters; an address counts in full until a live account shows otherwise.
ROOM = Room(140, "weighted", halves)
PICTURES = 1  # statuses/share takes one `pic`
PICTURE_BYTES = 4_999_999  # statuses/share: under 5 MB
PICTURE_TYPES = ("image/jpeg", "image/png", "image/gif")  # statuses/share: JPEG, GIF, PNG
UNNAMED = "?"  # in a receipt: a correction that was taken without being named
SHORT = "//t.cn/"  # Weibo writes every address anew as a short one of this host

_TOPIC = re.compile(r"[#＃][^#＃]+[#＃]")
_LINK = re.compile(r"https?://[!-~]+")
_SPACE = re.compile(r"[\s\u200b\ufeff]+")


@dataclass(frozen=True, slots=True)
class Form:
    """`picture` is the hash of the file that goes along ("" for none)."""

    status: str
    rip: str
    picture: str = ""
    picture_name: str = ""


def composed(post: Post) -> Composed:
    """The richest text that fits and has no #topic# in it, which statuses/share refuses; "1#、2#" in a notice is read
    as one, too. Raises `Rejected`."""
    sparer = (post, replace(post, text=""), replace(post, text="", summary=""))
    for nth, candidate in enumerate(sparer):
        made = compose(candidate, ROOM)
        if not _TOPIC.search(made.text):
            left = ("body",) * bool(post.text) + ("summary",) * (nth > 1 and bool(post.summary)) if nth else ()
            return replace(made, dropped=tuple(dict.fromkeys((*made.dropped, *left))))
        if post.wording and post.operation is not Operation.RECALL:
            break
    raise Rejected("weibo_topic", "the text holds two # signs, which Weibo reads as a #topic# and refuses: remove one")


def checked_link(url: str, domains: Iterable[str]) -> None:
    """statuses/share wants an address on the app's secure domain. Raises `Rejected`."""
    host = (urlsplit(url).hostname or "").lower()
    if not any(host == domain or host.endswith(f".{domain}") for domain in domains):
        raise Rejected("weibo_domain", f"{host} is on none of the app's secure domains")


def pictures(count: int, wanted: bool) -> tuple[int, Measured, tuple[str, ...]]:
    """How many of `count` go along, the measure, and which are left out."""
    sent = min(count, PICTURES) if wanted else 0
    left = tuple(f"image:{n + 1}" for n in range(sent, count))
    return sent, Measured("images", sent, PICTURES, "count"), left


def fingerprint(text: str) -> str:
    """What stays of a text on Weibo: links are shortened there, blanks may be dropped, signs escaped."""
    return _SPACE.sub("", _LINK.sub("", html.unescape(text)))


def says_the_same(shown: str, ours: str) -> bool:
    """Whether `shown` is our text. A link that was not shortened has to be ours."""
    links = [link for link in _LINK.findall(html.unescape(shown)) if SHORT not in link]
    return fingerprint(shown) == fingerprint(ours) and all(link in ours for link in links)


def ids(receipt: Receipt | None) -> list[str]:
    """Of the statuses that a receipt names, newest first."""
    return receipt.remote_id.split() if receipt else []


def chained(receipt: Receipt, earlier: Receipt | None) -> Receipt:
    """The receipt of a correction: its own id, then those of what it corrects."""
    before = ids(earlier)
    return replace(receipt, remote_id=" ".join((receipt.remote_id or UNNAMED, *before))) if before else receipt


def moment(created_at: object) -> float | None:
    """Epoch seconds of `Tue May 31 17:46:55 +0800 2011`; None for anything else."""
    try:
        return datetime.strptime(str(created_at), "%a %b %d %H:%M:%S %z %Y").timestamp()
    except ValueError:
        return None
