"""Links that hide where they lead (LNK-04)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import urlsplit

from publisher.checklist.copies import CopyKind
from publisher.checklist.matching import Hit, hit_in
from publisher.checklist.rules import Rule
from publisher.checklist.subject import Subject

_ADDRESS = re.compile(r"(?i)(?<![A-Za-z])https?://[^\s<>\"'，。；、）》”]{1,2000}")
_NAMED_HOST = re.compile(r"(?i)^(?:https?://)?(?P<host>(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?=[/:?#\s]|$)")


def host_of(address: str) -> str:
    """Lower case, without `www.`; full-width letters and ideographic full stops are what browsers make of them."""
    try:
        host = urlsplit(unicodedata.normalize("NFKC", address).strip()).hostname or ""
    except ValueError:
        return ""
    return host.replace("。", ".").rstrip(".").removeprefix("www.")


def links(subject: Subject, rule: Rule) -> Iterator[Hit]:
    short = frozenset(rule.words["short_hosts"])
    for one, text in subject.links():
        host = host_of(one.text)
        if host in short:
            yield Hit(one, 0, len(one.text), "short", one.text)
        elif _has_account(one.text):
            yield Hit(one, 0, len(one.text), "account", one.text, {"detail": host})
        elif (said := _said_host(text, rule)) and host and not _same(said, host):
            yield Hit(one, 0, len(one.text), "disguised", one.text, {"detail": f"{said} → {host}"})
    for one in subject.of(rule.fields):
        copy = one.copy(CopyKind.FOLDED)
        for match in _ADDRESS.finditer(copy.text):
            if host_of(match[0]) in short and urlsplit(match[0]).path.strip("/"):
                yield hit_in(one, copy, match.span(), "short")


def _has_account(address: str) -> bool:
    """https://www.gov.cn@elsewhere.example leads elsewhere."""
    try:
        return "@" in urlsplit(address).netloc
    except ValueError:
        return False


def _said_host(text: str, rule: Rule) -> str:
    """The host that the words of a link name, "" if they name none ("annex.pdf" is no host)."""
    match = _NAMED_HOST.match(unicodedata.normalize("NFKC", text).strip())
    if match is None:
        return ""
    host = match["host"].lower()
    sure = text.lower().startswith(("http", "www.")) or host.rpartition(".")[2] in rule.words["top_domains"]
    return host.removeprefix("www.") if sure else ""


def _same(said: str, host: str) -> bool:
    return said == host or host.endswith(f".{said}") or said.endswith(f".{host}")
