"""Incidents in words: what is wrong, and who does what about it. Data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from publisher.clock import human
from publisher.texts import Text, bilingual, mark

SEVERITIES: Mapping[str, str] = MappingProxyType(
    {"info": mark("for information"), "warning": mark("warning"), "critical": mark("critical")}
)

# kind -> what is wrong; places are the incident's facts.
WRONG: Mapping[str, str] = MappingProxyType(
    {
        "late": mark("{channel}: a post that could go has been due for {minutes} minutes."),
        "failing": mark("{channel}: the last {failures} posts or attempts all failed; the last success: {ok_at}."),
        "parked": mark("{channel} is paused or closed ({reason}) while posts wait for it."),
        "stopped": mark("{scope} has been stopped since {since}."),
        "account": mark("{channel}: the last check of the account failed ({reason})."),
        "token": mark("{channel}: the access token ends at {until}; {days} whole days are left."),
        "quiet": mark("{channel}: no visible post for {days} days; inspectors allow {limit}."),
        "doubt": mark("{title} ({item}) on {channel}: in doubt since {since}, it may be out."),
        "undecided": mark("{title} ({item}) on {channel}: the platform has not decided since {since}."),
        "by_hand": mark("{title} ({item}) on {channel}: waits since {since} for somebody to finish it by hand."),
        "books": mark("The books do not balance: {accepted} deliveries were accepted, {counted} are there."),
        "log_damaged": mark("The newest part of the audit log was altered; nothing is sealed on top of it."),
        "seal_late": mark("Entries of the audit log have waited for a signed checkpoint since {since}."),
        "release_late": mark("{count} approved items have not left the queue; {title} ({item}) since {since}."),
        "no_worker": mark("No worker has reported since {since}: nothing goes out."),
        "canary": mark("The canary has not come through since {since}; it got as far as: {reached}."),
        "links": mark("{title} ({item}): {count} broken links, the first {url} ({reason})."),
        "target": mark("Alarms have not reached {target} since {since}."),
    }
)

# kind -> who does what.
ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "late": mark("Operator: see gongbao deliveries --channel {channel}, and that a worker runs and keeps up."),
        "failing": mark("Operator: see gongbao deliveries --channel {channel} --state failed; mend the cause, retry."),
        "parked": mark("Whoever is responsible for the account mends it; operator: gongbao resume {channel}."),
        "stopped": mark("Operator: when it is no longer wanted, gongbao start-again {scope}."),
        "account": mark("Whoever is responsible for the account: check its key, its rights and its filing."),
        "token": mark("Whoever is responsible for the account: renew the token before it ends."),
        "quiet": mark("Editor: publish something of use there, or report the account for closing."),
        "doubt": mark("Operator: look at the channel, then gongbao resolve {delivery} --live URL or --not-out."),
        "undecided": mark("Whoever is responsible for the account: look into the platform's back office."),
        "by_hand": mark("Whoever is responsible for the account: finish it on the platform; gongbao show {item}."),
        "books": mark("Operator: gongbao verify-log, and keep the database as it is."),
        "log_damaged": mark("Auditor and operator: gongbao verify-log; change nothing, keep a copy of the database."),
        "seal_late": mark("Operator: see that a scheduler runs, and what it logs."),
        "release_late": mark("Operator: see that a worker runs, and what it logs about the item."),
        "no_worker": mark("Operator: start one: gongbao serve --roles worker."),
        "canary": mark("Operator: what stops the canary stops everything; see gongbao deliveries --channel canary."),
        "links": mark("Editor: gongbao links; correct the item, or ask for the page to be restored."),
        "target": mark("Operator: gongbao alarms --test, and mend alarms.toml or the mail server."),
    }
)

# How far a canary came.
REACHED: Mapping[str, str] = MappingProxyType(
    {
        "draft": mark("waits for sign-offs"),
        "held": mark("held by the checklist"),
        "approved": mark("fully signed, in the queue"),
        "waiting": mark("waits"),
        "claimed": mark("taken by a worker"),
        "sending": mark("under way"),
        "in_doubt": mark("in doubt: it may be out"),
        "failed": mark("failed"),
        "cancelled": mark("cancelled"),
        "-": mark("none was sent out"),
    }
)
_MOMENTS = frozenset({"since", "until", "ok_at"})


class _Facts(dict[str, Any]):
    """Places that an incident does not fill read as a dash: incidents outlive the code that reads them."""

    def __missing__(self, _key: str) -> str:
        return "-"


def wrong(kind: str, facts: Mapping[str, Any], zone: str) -> Text:
    return _said(WRONG.get(kind, ""), kind, facts, zone)


def advice(kind: str, facts: Mapping[str, Any], zone: str) -> Text:
    return _said(ADVICE.get(kind, ""), "", facts, zone)


def severity(name: str) -> Text:
    return bilingual(SEVERITIES.get(name, name))


def _said(msgid: str, otherwise: str, facts: Mapping[str, Any], zone: str) -> Text:
    if not msgid:
        return Text(otherwise, otherwise)
    template = bilingual(msgid)
    en, zh = (_Facts({k: _shown(k, v, zone, language) for k, v in facts.items()}) for language in ("en", "zh"))
    return Text(template.en.format_map(en), template.zh.format_map(zh))


def _shown(name: str, value: Any, zone: str, language: str) -> Any:
    if value is None:
        return "-"
    if name in _MOMENTS and isinstance(value, int):
        return human(value, zone)
    if name == "reached":
        return getattr(bilingual(REACHED.get(str(value), str(value))), language)
    return value
