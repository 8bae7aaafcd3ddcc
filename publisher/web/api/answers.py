"""What the API answers with. The OpenAPI document is generated from these very models."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from content_queue.states import DeliveryState, RevisionState
from publisher.checklist import Severity
from publisher.web.api.words import Both, Told


class FieldProblem(Told):
    """What is wrong in one place of a request. `line` counts from 1 in the submitted file."""

    code: str
    field: str
    line: int | None
    message: Both
    remedy: Both


class Found(Told):
    """A finding of the checklist. `start` and `end` are code points of the stored `field`; `source_line` is the
    line of the submitted file, where it is known; the excerpt is masked.
    """

    rule_id: str
    rule_version: int
    severity: Severity
    overridable: bool
    field: str
    start: int
    end: int
    line: int
    column: int
    excerpt: str
    text_hash: str
    message: Both
    fix: Both
    case: str = ""
    count: int = 1
    places: list[tuple[int, int]] = []
    source_line: int | None = None


class Fault(Told):
    """A problem (RFC 9457). `code` is for programs and stays; `remedy` says what to do."""

    type: str
    title: str
    title_zh: str
    status: int
    detail: str
    detail_zh: str
    code: str
    remedy: Both
    problems: list[FieldProblem] = []
    findings: list[Found] = []
    instance: str
    request_id: str
    incident: str | None = None


class Ruled(Told):
    """A stored report: `ruleset` is the hash of all rule data, `rules` those applied, with their versions."""

    ruleset: str
    rules: list[tuple[str, int]]
    findings: list[Found]


class Remarked(Told):
    """Something the editor should know that does not stand in the way."""

    field: str
    line: int | None
    message: Both


class Checked(Told):
    """What the checklist says of a submission that was not stored."""

    blocked: bool
    blocking: list[str] = Field(description="Rules that would hold the item.")
    content_hash: str
    title: str
    column: str
    report: Ruled
    notes: list[Remarked]


class Filed(Told):
    """A stored revision. `state` is `held` when the checklist blocks it."""

    item_id: str
    revision: int
    state: RevisionState
    content_hash: str
    title: str
    column: str
    created_at: datetime
    stages: list[str] = Field(description="Sign-offs that it needs, in order.")
    findings: list[Found]
    notes: list[Remarked]


class Signed(Told):
    stage: str
    person: str
    content_hash: str
    at: datetime


class Version(Told):
    """One revision."""

    revision: int
    state: RevisionState
    content_hash: str
    title: str
    column: str
    drafter: str
    created_at: datetime
    not_before: datetime | None
    expires_at: datetime | None
    released_at: datetime | None
    note: str
    signoffs: list[Signed]


class ItemBrief(Told):
    """An item and its newest revision. `released_revision` is the one that is out."""

    id: str
    title: str
    column: str
    state: RevisionState
    revision: int
    content_hash: str
    drafter: str
    created_at: datetime
    not_before: datetime | None
    expires_at: datetime | None
    released_revision: int | None
    withdrawn_at: datetime | None


class ItemList(Told):
    """Newest first."""

    items: list[ItemBrief]


class DeliveryOut(Told):
    """One operation on one channel. `due_at` is empty once it is settled, or while `after_id` must settle first."""

    id: int
    item_id: str
    revision: int
    channel: str
    operation: str
    state: DeliveryState
    due_at: datetime | None
    attempts: int
    created_at: datetime
    updated_at: datetime
    remote_id: str
    url: str
    reason: str
    after_id: int | None
    awaits: str = Field(description="Who has to act before a sent one is done: platform, person, or nobody.")
    look_at: datetime | None = Field(description="When the platform is looked at next for what became of it.")
    deadline_at: datetime | None = Field(description="When a person should have settled it.")


class DeliveryList(Told):
    """Newest first."""

    deliveries: list[DeliveryOut]


class Exceeded(Told):
    """A quota of a channel that the item would have to wait for: `left` may still go, `ahead` wait before it."""

    channel: str
    operation: str
    quota: str
    limit: int
    left: int
    ahead: int
    meaning: dict[str, str] = Field(description="One sentence, in `en` and `zh`.")


class RemainingOut(Told):
    """What waits for a person. `links` are where readers find what is out, `advice` says what to do."""

    delivery: DeliveryOut
    links: list[str]
    overdue: bool
    advice: Both


class RemainingList(Told):
    """What is due soonest first."""

    remaining: list[RemainingOut]


class ItemFull(Told):
    """An item with its history (oldest first), the newest revision's report, and all its deliveries. `exceeds` are
    quotas that it would have to wait for, while it has not left the queue."""

    id: str
    state: RevisionState
    revision: int
    content_hash: str
    stages: list[str]
    unsigned: list[str] = Field(description="Stages that the newest revision still lacks.")
    revisions: list[Version]
    report: Ruled | None
    deliveries: list[DeliveryOut]
    exceeds: list[Exceeded]


class EntryOut(Told):
    """One line of the audit log. `tx` and `id` are its place; `facts` is what was written with it."""

    tx: int
    id: int
    at: datetime
    kind: str
    actor: str
    item_id: str | None
    delivery_id: int | None
    ref: str | None
    facts: dict[str, Any]


class EntryList(Told):
    """Oldest first."""

    entries: list[EntryOut]


class DeliveryFull(Told):
    delivery: DeliveryOut
    log: list[EntryOut]


class Recalls(Told):
    """`deliveries` are the recalls now on their way, by channel."""

    item_id: str
    deliveries: dict[str, int]


class ChannelOut(Told):
    """`held_until` obeys a Retry-After; `closed` means that the receiver has ended; `stopped` names the switches;
    `probe_at` is when a channel that gives no answers is tried again (null: it answers). `health` is works, fails,
    unwell, answers or untried; `checked_at` and `check_reason` ("" when it went well) are of the last look at it."""

    name: str
    paused: bool
    closed: bool
    reason: str
    held_until: datetime | None
    probe_at: datetime | None
    stopped: list[str]
    oldest_due_seconds: float | None
    deliveries: dict[str, int] = Field(description="How many, by state.")
    health: str
    worked_at: datetime | None
    failed_at: datetime | None
    visible_at: datetime | None
    checked_at: datetime | None
    check_reason: str
    token_until: datetime | None


class ChannelList(Told):
    channels: list[ChannelOut]


class StopOut(Told):
    """A stop that is on: `all`, `channel:NAME` or `column:SLUG`."""

    scope: str
    actor: str
    reason: str
    at: datetime


class StopList(Told):
    stops: list[StopOut]


class Sealed(Told):
    """The newest signed statement about the log (C2SP tlog-checkpoint) and the key it verifies with."""

    checkpoint: str
    vkey: str


class HealthProblem(Told):
    code: str
    explanation: str


class Alive(Told):
    status: str


class Ready(Told):
    status: str
    problems: list[HealthProblem]
    facts: dict[str, Any]
