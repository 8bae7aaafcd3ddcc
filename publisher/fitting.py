"""Whether every channel of an item can take it, told before it leaves: each channel prepares its post, nothing is sent.

What does not fit is a finding like those of the checklist, with the count, the limit and the remedy. It holds the item.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from channels.contract import Channel, Editable, Operation, Post, Preparable
from channels.forms import TooLong, number
from channels.verdicts import Rejected, Verdict
from content_queue.model import Claimed, Revision
from content_queue.states import RevisionState
from publisher.checklist import Finding, Severity
from publisher.content import Content, content_hash
from publisher.fanout import Routes
from publisher.posts import Addresses, Making, own_post, post_of
from publisher.texts import Text, bilingual, mark

log = logging.getLogger(__name__)

RULE, BARRED_RULE, VERSION = "FIT-01", "FIT-02", 1
BARRED: Mapping[str, str] = MappingProxyType(
    {
        "unfiled": mark("the account {channel} is not filed (备案): nothing is released through it"),
        "closing": mark("the account {channel} is being closed: nothing new is released through it"),
        "closed": mark("the account {channel} is closed"),
    }
)
UNITS: Mapping[str, str] = MappingProxyType(
    {
        "characters": mark("characters"),
        "weighted": mark("characters, half for each of the Latin alphabet"),
        "graphemes": mark("characters as readers see them"),
        "bytes": mark("bytes"),
        "utf16": mark("UTF-16 units"),
        "count": mark("pieces"),
    }
)
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "text": mark("the text"),
        "title": mark("the title"),
        "body": mark("the whole post"),
        "summary": mark("the summary"),
        "digest": mark("the summary"),
        "content": mark("the text"),
        "images": mark("the pictures"),
        "description": mark("the description of a picture"),
        "message": mark("the message"),
        "link": mark("the link"),
        "topic": mark("the topic"),
        "payload": mark("the whole message"),
        "android": mark("the notice on Android"),
        "ios": mark("the notice on iOS"),
        "notification": mark("the notice"),
    }
)
_FILE_IT = mark("File the account and set status and filing in channels.toml, or take {channel} out of the plan.")
_REMEDY = mark("Shorten it, or write a wording for this channel (wordings: {channel}: ...), and submit it again.")
_MEND = mark("Mend what is named (docs/channels explains it), or take {channel} out of the plan, and submit it again.")


class Fitting:
    """`channels` gives those that can be built here (a shell may lack an account's secrets)."""

    def __init__(
        self,
        channels: Callable[[], Mapping[str, Channel]],
        routes: Routes,
        addresses: Addresses,
        column_name: Callable[[str], str],
        editions: Mapping[str, str],
    ) -> None:
        self._channels, self._routes = channels, routes
        self._addresses, self._column_name, self._editions = addresses, column_name, editions

    def findings(self, content: Content, *, item_id: str, number: int = 1, note: str = "") -> tuple[Finding, ...]:
        """What the channels of the item cannot take. `note` is the public sentence of a correction."""
        making = draft(content, item_id, number, self._addresses, self._column_name(content.column))
        return (*self._kept_back(content, making), *self._misfits(content, making, number, note))

    def _kept_back(self, content: Content, making: Making) -> Iterator[Finding]:
        """An account that the item itself names must be able to take it; one that carries its column is noted."""
        severity = Severity.NOTE if content.channels is None else Severity.BLOCK
        for name, why in self._routes.kept_back(content).items():
            remedy = bilingual(_FILE_IT, channel=name)
            message = bilingual(BARRED[why], channel=name)
            yield _finding(name, BARRED_RULE, severity, message, remedy, making.post.content_hash)

    def post(self, channel: str, content: Content, *, item_id: str, number: int = 1, note: str = "") -> Post:
        """What this channel would be handed."""
        making = draft(content, item_id, number, self._addresses, self._column_name(content.column))
        operation = Operation.EDIT if number > 1 else Operation.PUBLISH
        return own_post(making, _claim(making, channel, operation, note), self._editions.get(channel, ""))

    def _misfits(self, content: Content, making: Making, number: int, note: str) -> Iterator[Finding]:
        channels = self._channels()
        for name in self._routes.of(content):
            channel = channels.get(name)
            if not isinstance(channel, Preparable):
                continue
            edits = number > 1 and isinstance(channel, Editable)
            operation = Operation.EDIT if edits else Operation.PUBLISH
            post = own_post(making, _claim(making, name, operation, note), self._editions.get(name, ""))
            try:
                channel.prepare(post)
            except Verdict as refused:
                yield _misfit(name, refused, making.post.content_hash)
            except Exception as surprise:
                log.error("a post could not be prepared", exc_info=surprise, extra={"channel": name})
                broken = Rejected(f"surprise_{type(surprise).__name__}")
                yield _misfit(name, broken, making.post.content_hash)


def draft(content: Content, item_id: str, number: int, addresses: Addresses, column_name: str) -> Making:
    """What posts of a content would be made of, whether it is stored or not."""
    canonical = content.canonical()
    revision = Revision(
        id=0,
        item_id=item_id,
        number=number,
        state=RevisionState.DRAFT,
        content=canonical,
        content_hash=content_hash(canonical),
        title=content.title,
        column=content.column,
        drafter="",
        created_at=0,
        not_before=content.not_before,
        expires_at=content.expires_at,
    )
    return post_of(revision, content, addresses, column_name)


def _claim(making: Making, channel: str, operation: Operation, note: str) -> Claimed:
    post = making.post
    return Claimed(
        id=0,
        item_id=post.item_id,
        revision_id=0,
        revision=post.revision,
        channel=channel,
        column=post.column,
        operation=operation,
        attempts=0,
        created_at=post.occurred_at,
        token="",
        note=note,
    )


def _misfit(channel: str, refused: Verdict, text_hash: str) -> Finding:
    remedy = bilingual(_REMEDY if isinstance(refused, TooLong) else _MEND, channel=channel)
    return _finding(channel, RULE, Severity.BLOCK, said(channel, refused), remedy, text_hash)


def _finding(channel: str, rule: str, severity: Severity, message: Text, fix: Text, text_hash: str) -> Finding:
    return Finding(
        rule_id=rule,
        rule_version=VERSION,
        severity=severity,
        overridable=False,
        field=f"channels.{channel}",
        start=0,
        end=0,
        line=1,
        column=1,
        excerpt="",
        text_hash=text_hash,
        message=message,
        fix=fix,
    )


def said(channel: str, refused: Verdict) -> Text:
    """Why a channel cannot take a post, in words."""
    if isinstance(refused, TooLong):
        measured = refused.measured
        return bilingual(
            "{channel} cannot take it: {part} counts {length} {unit}, and the limit is {limit}.",
            channel=channel,
            part=bilingual(PARTS.get(measured.part, measured.part)),
            length=number(measured.length),
            unit=bilingual(UNITS.get(measured.unit, measured.unit)),
            limit=number(measured.limit),
        )
    return bilingual(
        "{channel} cannot take it ({reason}): {detail}", channel=channel, reason=refused.reason, detail=refused.detail
    )
