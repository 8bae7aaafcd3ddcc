"""What the API takes: bodies and queries. A key that is not here is refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from content_queue.states import DeliveryState, RevisionState
from publisher.desk import WithdrawalReason
from publisher.texts import mark
from publisher.web.api.words import Ask, Hash, Remark, Sentence, Word

MOST = 500  # rows in one answer
Limit = Annotated[int, Field(ge=1, le=MOST)]


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError(mark("an address begins with https:// or http://"))
    return value


WebAddress = Annotated[Word, AfterValidator(_web_address)]


class NoQuery(Ask):
    pass


class SubmissionQuery(Ask):
    """`filename` tells the format (.md, .json, .html, .txt). The rest fills or overrides fields of the file."""

    filename: Word | None = None
    title: Word | None = None
    column: Word | None = None
    content_type: Word | None = None
    openness: Word | None = None
    drafter: Word | None = None


class CorrectionQuery(SubmissionQuery):
    """`note` is the public sentence that says what was wrong."""

    note: Remark = ""


class ItemsQuery(Ask):
    state: RevisionState | None = None
    column: Word | None = None
    limit: Limit = 50


class DeliveriesQuery(Ask):
    state: DeliveryState | None = None
    channel: Word | None = None
    item: Word | None = None
    limit: Limit = 50


class LogQuery(Ask):
    """With `item`, the entries of that item and its deliveries; else the newest of all, or of one `kind`."""

    item: Word | None = None
    kind: Word | None = None
    limit: Limit = 100

    @model_validator(mode="after")
    def _one_of(self) -> LogQuery:
        if self.item and self.kind:
            raise ValueError(mark("give item or kind, not both"))
        return self


class SignoffAsk(Ask):
    """`content_hash` is the whole hash of the text that was read: another text is not signed."""

    stage: Word
    content_hash: Hash


class AcceptanceAsk(Ask):
    rule: Word
    reason: Sentence


class WithdrawalAsk(Ask):
    """`note` is the sentence that readers see."""

    reason: WithdrawalReason
    note: Remark = ""


class ReasonAsk(Ask):
    reason: Sentence


class ResolutionAsk(Ask):
    """Exactly one of the four: it was seen live at `live_url`; somebody knows that it is not out; somebody did by hand
    what the channel could not; it will not be done."""

    live_url: WebAddress | None = None
    not_out: bool = False
    done: bool = False
    dropped: bool = False
    reason: Sentence

    @model_validator(mode="after")
    def _one_of(self) -> ResolutionAsk:
        if [self.live_url is not None, self.not_out, self.done, self.dropped].count(True) != 1:
            raise ValueError(mark("give live_url, or one of not_out, done and dropped: true"))
        return self


class RemainingQuery(Ask):
    channel: Word | None = None
    item: Word | None = None
    limit: Limit = 100


class StopAsk(Ask):
    scope: Word
    reason: Sentence
