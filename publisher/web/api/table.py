"""THE list of the API's addresses: requests are served from it and the OpenAPI document is written from it."""

from __future__ import annotations

from typing import Any

from publisher.web.api import alarms, answers, asks, items, records, sending
from publisher.web.api.endpoint import Answer, Call, Endpoint, Takes
from publisher.web.auth import ANYONE, Role

EDITOR, REVIEWER = frozenset({Role.EDITOR}), frozenset({Role.REVIEWER})
OPERATOR, AUDITOR = frozenset({Role.OPERATOR}), frozenset({Role.AUDITOR})
JSON, PAPER = Takes.JSON, Takes.SUBMISSION
BYTES = "application/json"


async def _document(_: Call[Any, Any]) -> Answer:
    from publisher.web.api.openapi import document_bytes

    return Answer(document_bytes())


_ITEMS = (
    Endpoint(
        "POST", "/items", "submitItem", "Submit an item: stored with the checklist's findings, or refused whole.",
        EDITOR, items.submit, {201: answers.Filed}, query=asks.SubmissionQuery, takes=PAPER,
        refuses=(409, 413, 415, 422), keyed=True,
    ),
    Endpoint(
        "POST", "/items/{item_id}/revisions", "correctItem",
        "Correct an item: a new revision, which needs new sign-offs.",
        EDITOR, items.correct, {201: answers.Filed}, query=asks.CorrectionQuery, takes=PAPER,
        refuses=(404, 409, 413, 415, 422), keyed=True,
    ),
    Endpoint(
        "POST", "/check", "checkSubmission", "Run the checklist; nothing is stored.",
        EDITOR, items.check, {200: answers.Checked}, query=asks.SubmissionQuery, takes=PAPER, refuses=(413, 415, 422),
    ),
    Endpoint(
        "GET", "/items", "listItems", "Items with their newest revision, newest first.",
        ANYONE, items.listing, {200: answers.ItemList}, query=asks.ItemsQuery,
    ),
    Endpoint(
        "GET", "/items/{item_id}", "getItem", "An item: revisions, sign-offs, report, deliveries.",
        ANYONE, items.one, {200: answers.ItemFull}, refuses=(404,),
    ),
    Endpoint(
        "GET", "/items/{item_id}/revisions/{number}/content", "getContent",
        "The canonical bytes of a revision: what is hashed, signed and sent (RFC 8785 JSON).",
        ANYONE, items.content, {200: BYTES}, refuses=(404,),
    ),
    Endpoint(
        "POST", "/items/{item_id}/signoffs", "signItem", "Sign a stage of exactly the text that was read.",
        REVIEWER, items.sign, {201: answers.Version}, body=asks.SignoffAsk, takes=JSON, refuses=(404, 409, 415, 422),
    ),
    Endpoint(
        "POST", "/items/{item_id}/acceptances", "acceptFinding",
        "Let an overridable finding stand, for exactly this text.",
        REVIEWER, items.accept, {201: answers.Version}, body=asks.AcceptanceAsk, takes=JSON,
        refuses=(404, 409, 415, 422),
    ),
    Endpoint(
        "POST", "/items/{item_id}/withdrawal", "withdrawItem", "Take an item back on every channel.",
        OPERATOR, items.withdraw, {202: answers.Recalls}, body=asks.WithdrawalAsk, takes=JSON,
        refuses=(404, 409, 415, 422),
    ),
)

_SENDING = (
    Endpoint(
        "GET", "/deliveries", "listDeliveries", "Deliveries, newest first.",
        ANYONE, sending.deliveries, {200: answers.DeliveryList}, query=asks.DeliveriesQuery,
    ),
    Endpoint(
        "GET", "/deliveries/{delivery_id}", "getDelivery", "A delivery with every entry of the log about it.",
        ANYONE, sending.delivery, {200: answers.DeliveryFull}, refuses=(404,),
    ),
    Endpoint(
        "POST", "/deliveries/{delivery_id}/retry", "retryDelivery", "Send it again at once, on a person's word.",
        OPERATOR, sending.retry, {202: answers.DeliveryOut}, body=asks.ReasonAsk, takes=JSON,
        refuses=(404, 409, 415, 422),
    ),
    Endpoint(
        "POST", "/deliveries/{delivery_id}/resolution", "resolveDelivery",
        "Settle what waits for a person: seen live, not out, done by hand, or dropped.",
        OPERATOR, sending.resolve, {200: answers.DeliveryOut}, body=asks.ResolutionAsk, takes=JSON,
        refuses=(404, 409, 415, 422),
    ),
    Endpoint(
        "GET", "/remaining", "listRemaining", "What waits for a person, with links and what to do.",
        OPERATOR, sending.remaining, {200: answers.RemainingList}, query=asks.RemainingQuery,
    ),
    Endpoint(
        "GET", "/channels", "listChannels", "Channels: pauses, holds, stops, what waits on them.",
        ANYONE, sending.channels, {200: answers.ChannelList},
    ),
    Endpoint(
        "POST", "/channels/{channel}/pause", "pauseChannel", "Pause a channel; its deliveries are kept.",
        OPERATOR, sending.pause, {200: answers.ChannelOut}, body=asks.ReasonAsk, takes=JSON, refuses=(404, 415, 422),
    ),
    Endpoint(
        "POST", "/channels/{channel}/resume", "resumeChannel", "End a pause, a hold or a closure.",
        OPERATOR, sending.resume, {200: answers.ChannelOut}, refuses=(404,),
    ),
    Endpoint(
        "GET", "/stops", "listStops", "The stop switches that are on.",
        ANYONE, sending.stops, {200: answers.StopList},
    ),
    Endpoint(
        "POST", "/stops", "stop", "Stop everything outward of a scope: all, channel:NAME or column:SLUG.",
        OPERATOR, sending.stop, {201: answers.StopList}, body=asks.StopAsk, takes=JSON, refuses=(404, 409, 415, 422),
    ),
    Endpoint(
        "DELETE", "/stops/{scope}", "startAgain", "Start a stopped scope again; nothing was lost meanwhile.",
        OPERATOR, sending.start_again, {204: None}, refuses=(404, 409),
    ),
)

_RECORDS = (
    Endpoint(
        "GET", "/alarms", "listAlarms", "What is wrong now, what to do about it, and notices that did not get through.",
        OPERATOR, alarms.listing, {200: alarms.AlarmList},
    ),
    Endpoint(
        "GET", "/log", "readLog", "Entries of the audit log: of one item, of one kind, or the newest.",
        AUDITOR, records.entries, {200: answers.EntryList}, query=asks.LogQuery,
    ),
    Endpoint(
        "GET", "/log/checkpoint", "getCheckpoint", "The newest signed checkpoint, and the key it verifies with.",
        AUDITOR, records.checkpoint, {200: answers.Sealed}, refuses=(404,),
    ),
    Endpoint("GET", "/openapi.json", "getDocument", "This document.", None, _document, {200: BYTES}),
)  # fmt: skip

ENDPOINTS: tuple[Endpoint, ...] = (*_ITEMS, *_SENDING, *_RECORDS)
