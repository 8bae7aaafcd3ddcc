"""WeChat Official Accounts: the platform's codes in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_LATER = mark("It is tried again by itself.")
_SOUGHT = mark("It is looked for by itself, and sent again once it is proven not to be out.")
_MEND = mark("Mend the cause, then: gongbao retry {id} --reason WHY.")
_LOOK = mark("Look at the channel, then: gongbao resolve {id} --live URL, or --not-out --reason WHY.")
_ACCOUNT = mark("Mend it in the account's console on mp.weixin.qq.com, then: gongbao resume {channel}.")
_CREDENTIALS = mark("Check appid and secret in channels.toml, then: gongbao resume {channel}.")
_TEXT = mark("Change the item, or give this channel a wording of its own: the first line is the title.")
_CONTENT = mark("A person decides: correct the item, or leave it out on this channel.")
_OURS = mark("This is a fault of the program; tell its makers, with the request id beside it.")
_CONSOLE = mark("Look at the account's console, then: gongbao retry {id} --reason WHY.")

_GROUPS: Mapping[tuple[int, ...], tuple[str, str]] = {
    (-1, 61450, 268487001, 268487002): (mark("WeChat is busy and does not say whether it took it"), _SOUGHT),
    (45011, 45047, 43108): (mark("WeChat asks us to slow down"), _LATER),
    (45009, 48006): (mark("the day's allowance for this call is used up; it goes on after midnight"), _LATER),
    (45028,): (mark("the account's allowance of mass messages is used up"), _LATER),
    (40014, 42001): (mark("WeChat refuses the access token, a new one too"), _LATER),
    (40001, 40125): (mark("WeChat refuses the account's secret, or a token that was made with it"), _CREDENTIALS),
    (40013,): (mark("WeChat knows no account with this appid"), _CREDENTIALS),
    (40164,): (mark("the address of this server is not on the account's allow-list"), _ACCOUNT),
    (89503, 89504, 89505): (
        mark("an administrator of the account has to confirm it in WeChat"),
        mark("Have it confirmed on the administrator's phone within 30 minutes."),
    ),
    (89506, 89507): (mark("an administrator has refused this server's address"), _ACCOUNT),
    (40243,): (mark("the account's secret is frozen"), _ACCOUNT),
    (50007, 50001, 50002, 50004, 48004, 48008, 43107, 43116): (
        mark("WeChat has restricted the account or this ability of it"),
        _ACCOUNT,
    ),
    (48001,): (
        mark("the account has no right to publish through the interface"),
        mark("Have the account verified, or set mode to draft in channels.toml, then: gongbao resume {channel}."),
    ),
    (53504,): (mark("WeChat wants this to be published in the console"), _ACCOUNT),
    (45062,): (mark("the account's advertising contract forbids it"), _ACCOUNT),
    (88000,): (mark("the account has no right to comments"), _ACCOUNT),
    (53503, 45166, 45168, 87014, 88002): (mark("WeChat's check of the content refuses it"), _CONTENT),
    (41040,): (mark("WeChat takes it for another account's original"), _CONTENT),
    (40155,): (mark("it links to another account's home page"), _CONTENT),
    (53505,): (mark("the draft has to be saved in the console first"), _CONSOLE),
    (45003, 45004, 45110, 45002, 45006, 45008, 45001, 45007): (mark("something in the article is too long"), _TEXT),
    (40039, 45005, 65317, 41039): (mark("WeChat refuses the address of the original"), _MEND),
    (40004, 40005, 40006, 40008, 40009, 40010, 40011, 40012, 40118, 40121, 40137, 40215, 41005, 41006, 44001, 46001): (
        mark("WeChat refuses a picture of the item"),
        mark("Replace the picture, then: gongbao retry {id} --reason WHY."),
    ),
    (40007,): (mark("the draft or the picture is not there any more"), _SOUGHT),
    (45065, 45066): (mark("WeChat says that this mass message came before"), _LOOK),
    (40031, 40032, 40130, 40152, 45159): (
        mark("WeChat refuses the receivers of the mass message"),
        mark("Check mass_tag_id in channels.toml, then: gongbao retry {id} --reason WHY."),
    ),
    (48005, 48021, 48022, 45113, 45162): (mark("WeChat refuses this material for a mass message"), _CONSOLE),
    (53600,): (mark("WeChat knows no such article"), _LOOK),
    (40003, 46004, 65302, 43004, 43005, 43019, 43101, 45015, 48002, 50005, 70000): (
        mark("WeChat does not deliver to this receiver"),
        _MEND,
    ),
    (41001, 40002, 41002, 41004, 42002, 42003, 42007, 40029, 40030, 40163, 40033, 40035, 40038, 47001, 61451): (
        mark("WeChat does not understand the request"),
        _OURS,
    ),
    (40060, 40114, 43001, 43002, 43003, 44002, 44003, 44004, 45067, 45083, 45084, 76021, 76022): (
        mark("WeChat calls the request wrong"),
        _OURS,
    ),
}
_OWN: Mapping[str, tuple[str, str]] = {
    "still_publishing": (mark("WeChat has not decided yet"), _LATER),
    "old_still_there": (mark("WeChat still shows the older article although it was deleted"), _LATER),
    "draft_waits": (
        mark("the draft lies in the account's draft box and waits for a person"),
        mark("Publish it in the console, then: gongbao resolve {id} --live URL."),
    ),
    "draft_corrects": (
        mark("a corrected draft lies in the draft box; the older article may still be out"),
        mark("Delete the older article and publish the draft in the console, then: gongbao resolve {id} --live URL."),
    ),
    "draft_gone": (mark("the draft has left the box: it was published or deleted by hand"), _LOOK),
    "delete_by_hand": (
        mark("the article was not found through the interface and may still be out"),
        mark("Delete it in the console, then: gongbao resolve {id} --not-out --reason WHY."),
    ),
    "old_not_found": (
        mark("the older article was not found, so the corrected one was not published beside it"),
        mark("Delete the older one by hand and publish the draft, then: gongbao resolve {id} --live URL."),
    ),
    "no_cover": (
        mark("an article needs a picture, and neither the item nor the account has one"),
        mark("Add a picture to the item, or set cover_file for the account in channels.toml."),
    ),
    "draft_box_off": (mark("the account's draft box is switched off"), _ACCOUNT),
    "wechat_original": (mark("WeChat's originality check refused it"), _CONTENT),
    "wechat_failed": (mark("WeChat failed to publish it"), _CONSOLE),
    "wechat_review": (mark("WeChat's review refused it"), _CONTENT),
    "wechat_deleted": (mark("it was deleted in the account's console"), _CONSOLE),
    "wechat_banned": (mark("WeChat has taken it down"), _CONTENT),
    "wechat_mass_failed": (mark("the mass message failed"), _CONSOLE),
    "wechat_followers_missing": (
        mark("the mass message is out, but some of the followers did not get it"),
        mark("Do not send it again, the others have it. Tell them another way, then: gongbao resolve {id} --live URL."),
    ),
    "wechat_mass_30001": (mark("WeChat's originality check was out of order"), _CONSOLE),
    "wechat_mass_40001": (mark("an administrator of the account refused the mass message"), _CONTENT),
    "wechat_mass_40002": (mark("no administrator confirmed the mass message within 30 minutes"), _CONSOLE),
}
# Batch_Sends guide of developers.weixin.qq.com: reasons in MASSSENDJOBFINISH, all of them about what it says.
_MASS = (10001, 20001, 20002, 20004, 20006, 20008, 20013, 21000, 22000, 30002, 30003)
_MASS_REFUSED = (mark("WeChat refused the mass message for what it says"), _CONTENT)

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        **{f"wechat_{code}": words for codes, words in _GROUPS.items() for code in codes},
        **_OWN,
        **{f"wechat_mass_{code}": _MASS_REFUSED for code in _MASS},
    }
)
