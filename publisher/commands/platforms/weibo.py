"""What Weibo's codes mean, and what to do. The codes by themselves: open.weibo.com wiki, "Error code"."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_MEND = mark("Mend the cause, then: gongbao retry {id} --reason WHY.")
_LOOK = mark("The account's timeline is looked at; if that settles nothing, look yourself, then: gongbao resolve {id}.")
_CONSENT = mark("Give the app a new authorization, store the new token, then: gongbao resume {channel}.")
_ACCOUNT = mark("Ask the account manager or look at the app's page on open.weibo.com, then: gongbao resume {channel}.")
_REWORD = mark("A person has to decide: correct the item, or take it up with Weibo. Nothing is reworded by itself.")

_FAULT = (mark("Weibo had a fault while it held the post"), _LOOK)
_PARAMETER = (mark("Weibo calls the request wrong"), _MEND)
_RIGHTS = (mark("the app or the account lacks the right for this"), _ACCOUNT)
_TOKEN = (mark("the account's access token no longer holds"), _CONSENT)
_ILLEGAL = (mark("Weibo judges the account, its address or the app illegal or frozen"), _ACCOUNT)
_TOO_LONG = (mark("Weibo counts the text as too long"), _MEND)
_REPEATED = (mark("Weibo has just had this text: it is probably out"), _LOOK)
_MODERATED = (mark("Weibo's moderation refuses the content"), _REWORD)
_HOURLY = (mark("Weibo's allowance of requests is used up"), _LATER)

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **{f"weibo_{code}": _FAULT for code in (10001, 10002, 10003, 10010, 10011)},
        "weibo_10009": (mark("Weibo is too busy and took nothing"), _LATER),
        "weibo_20014": (mark("Weibo asks to be called again and took nothing"), _LATER),
        "weibo_21331": (mark("Weibo's authorization is away for a while"), _LATER),
        **{f"weibo_{code}": _HOURLY for code in (10022, 10023, 10024)},
        "weibo_20016": (mark("the account posts too fast for Weibo"), _LATER),
        "weibo_10004": (mark("Weibo refuses our IP address"), _ACCOUNT),
        **{f"weibo_{code}": _RIGHTS for code in (10005, 10006, 10014, 21321)},
        **{f"weibo_{code}": _ILLEGAL for code in (10013, 20003, 20015, 20022)},
        "weibo_20031": (
            mark("Weibo wants a captcha from a person"),
            mark("Log in to the account in a browser and solve it, then: gongbao resume {channel}."),
        ),
        "weibo_20102": (mark("the post belongs to another Weibo account"), _CONSENT),
        "weibo_20508": (mark("the account's privacy settings forbid it"), _ACCOUNT),
        **{f"weibo_{code}": _TOKEN for code in (21301, 21314, 21315, 21316, 21317, 21319, 21327, 21332)},
        **{f"weibo_{code}": _PARAMETER for code in (10008, 10012, 10016, 10017, 10018, 10020, 10021, 21335)},
        "weibo_20005": (mark("Weibo does not take this kind of picture"), _MEND),
        "weibo_20006": (mark("the picture is too large for Weibo"), _MEND),
        "weibo_20008": (mark("Weibo found no text"), _MEND),
        **{f"weibo_{code}": _TOO_LONG for code in (20012, 20013)},
        **{f"weibo_{code}": _MODERATED for code in (20018, 20020, 20021, 20104, 21602)},
        **{f"weibo_{code}": _REPEATED for code in (20017, 20019, 20111)},
        "weibo_20032": (
            mark("Weibo took it and shows it later"),
            mark("The account's timeline is looked at until it is there."),
        ),
        "weibo_20101": (mark("Weibo has no such post"), mark("If it was taken down there, nothing is left to do.")),
        "weibo_topic": (
            mark("the text holds a #topic#, which Weibo's interface refuses"),
            mark("Remove one of the # signs in the title or the wording, then hand the item in again."),
        ),
        "weibo_domain": (
            mark("the item's address is on none of the app's secure domains"),
            mark(
                "Add the site's domain to the app on open.weibo.com and to secure_domains in channels.toml, "
                "then: gongbao retry {id} --reason WHY."
            ),
        ),
        "weibo_not_seen": (mark("Weibo took it without naming it, and it cannot be seen yet"), _LATER),
    }
)
