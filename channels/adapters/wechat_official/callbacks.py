"""What WeChat tells at the callback address: verified, decrypted, read, answered. No network.

In secure mode (an EncodingAESKey is set) only what is encrypted counts; the clear fields of the compatible mode are
covered by no signature and are not read. In plain mode the signature covers token, time and nonce alone.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType

from lxml import etree

from channels.adapters.wechat_official import crypto
from channels.adapters.wechat_official.remote import Remote, Sort
from channels.contract import Callback, Heard, Presence, Sighting
from channels.verdicts import Awaits, Receipt

BODY_LIMIT = 64 * 1024  # bytes; an event with eight articles has about 4 KB
WINDOW = 300.0  # seconds; the protocol names none, Standard Webhooks advises five minutes
NONCES_KEPT = 10_000
SUCCESS = Heard(body=b"success")  # "answer success or an empty body": message-push guide of developers.weixin.qq.com

# freepublish "Callback_on_finish" and "Get_status": what each publish_status means for readers.
STATUSES: Mapping[str, tuple[Presence, str]] = MappingProxyType(
    {
        "0": (Presence.LIVE, ""),
        "1": (Presence.UNKNOWN, "still_publishing"),
        "2": (Presence.REFUSED, "wechat_original"),
        "3": (Presence.REFUSED, "wechat_failed"),
        "4": (Presence.REFUSED, "wechat_review"),
        "5": (Presence.REFUSED, "wechat_deleted"),
        "6": (Presence.REFUSED, "wechat_banned"),
    }
)
_EVENTS = ("PUBLISHJOBFINISH", "FREEPUBLISHJOBFINISH")  # the second name stands in a public SDK's sample
MISSED = "wechat_followers_missing"
_MASS_ERROR = re.compile(r"err\((\d{1,6})\)")


class Listener:
    """Remembers which callbacks came, so that none teaches twice. `clock` is epoch seconds."""

    def __init__(self, appid: str, token: str, aes_key: bytes | None, clock: Callable[[], float]) -> None:
        self._appid, self._token, self._key, self._clock = appid, token, aes_key, clock
        self._heard: OrderedDict[tuple[str, str, str], None] = OrderedDict()

    def hear(self, callback: Callback) -> Heard:
        query = callback.query
        stamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
        if not self._token or not self._timely(stamp):
            return _refused(403)
        if callback.method == "GET":
            genuine = crypto.signed(query.get("signature", ""), self._token, stamp, nonce)
            return Heard(body=query.get("echostr", "").encode()) if genuine else _refused(403)
        if callback.method != "POST":
            return _refused(405)
        return self._told(callback, stamp, nonce)

    def _told(self, callback: Callback, stamp: str, nonce: str) -> Heard:
        try:
            event = _read(callback.body)
            sealed = "" if self._key is None else _text(event, "Encrypt")
            given = callback.query.get("signature" if self._key is None else "msg_signature", "")
            if not crypto.signed(given, self._token, stamp, nonce, *([sealed] if self._key else [])):
                return _refused(403)
            if self._key is not None:
                event = _read(crypto.opened(sealed, self._key, self._appid))
        except crypto.NotGenuine:
            return _refused(403)
        except ValueError:
            return _refused(400)
        if self._repeated(stamp, nonce, given):
            return SUCCESS  # so that WeChat stops repeating it; nothing is learned from it again
        return Heard(body=SUCCESS.body, sightings=sightings(event))

    def _timely(self, stamp: str) -> bool:
        return stamp.isascii() and stamp.isdigit() and abs(self._clock() - int(stamp[:12])) <= WINDOW

    def _repeated(self, stamp: str, nonce: str, given: str) -> bool:
        mark = (stamp, nonce, given)
        if mark in self._heard:
            return True
        self._heard[mark] = None
        if len(self._heard) > NONCES_KEPT:
            self._heard.popitem(last=False)
        return False


def sightings(event: etree._Element) -> tuple[tuple[str, Sighting], ...]:
    """What an event says of earlier receipts; nothing for every other kind of message."""
    name = _text(event, "Event")
    if name in _EVENTS:
        return _published(event)
    return _mass_sent(event) if name == "MASSSENDJOBFINISH" else ()


def _published(event: etree._Element) -> tuple[tuple[str, Sighting], ...]:
    publish_id = _text(event, "PublishEventInfo/publish_id")
    presence, detail = STATUSES.get(_text(event, "PublishEventInfo/publish_status"), (Presence.UNKNOWN, ""))
    return _seen(Remote(Sort.PUBLISH, publish_id), presence, detail, _text(event, ".//article_url"))


def _mass_sent(event: etree._Element) -> tuple[tuple[str, Sighting], ...]:
    """Of the followers that were left after filtering (`FilterCount`) some may not have got it (`ErrorCount`)."""
    status, remote = _text(event, "Status"), Remote(Sort.MASS, _text(event, "MsgID"))
    if status == "send success":
        failed, chosen = (_text(event, name) for name in ("ErrorCount", "FilterCount"))
        missed = failed.isascii() and failed.isdigit() and int(failed[:12]) > 0
        detail = f"{failed[:12]}/{chosen[:12]}" if missed else ""
        return _seen(remote, Presence.LIVE, detail, _text(event, ".//ArticleUrl"), MISSED if missed else "")
    code = _MASS_ERROR.fullmatch(status)
    return _seen(remote, Presence.REFUSED, f"wechat_mass_{code[1]}" if code else "wechat_mass_failed", "")


def _seen(
    remote: Remote, presence: Presence, detail: str, url: str, lacking: str = ""
) -> tuple[tuple[str, Sighting], ...]:
    """Only web addresses are kept: they are shown as links. `lacking` is the reason why it is not out whole."""
    if not remote.id:
        return ()
    safe = url if url.startswith(("https://", "http://")) else ""
    awaits = Awaits.PERSON if lacking else Awaits.NOTHING
    receipt = Receipt(str(remote), safe, awaits, lacking) if presence is Presence.LIVE else None
    return ((str(remote), Sighting(presence, receipt, detail)),)


def _read(body: bytes) -> etree._Element:
    """XML without document type, entities or anything loaded from elsewhere. Raises `ValueError`."""
    if len(body) > BODY_LIMIT:
        raise ValueError("too long")
    text = body.decode("utf-8")
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        raise ValueError("a document type")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True, encoding="utf-8",
    )  # fmt: skip
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError:
        raise ValueError("not XML") from None


def _text(event: etree._Element, path: str) -> str:
    """Stripped: WeChat puts line ends around ids."""
    return (event.findtext(path) or "").strip()


def _refused(status: int) -> Heard:
    return Heard(status=status, body=b"refused")
