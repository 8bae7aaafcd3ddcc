"""FCM: one notice to a topic, a token of a service account, and no repeat of what may be out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from patience import PatientTransport
from platform_double import Platform, Reply, answer, hang
from push_world import World, heavy, world
from sample_post import correction, post, withdrawal

from channels import registry
from channels.adapters.fcm.form import CODES, SCOPE, TOPIC_LIMIT, Settings, assertion, prepared, service_account
from channels.contract import Checkable, Confirmable, Idempotency, Post
from channels.refusals import Sort
from channels.registry import BadSettings, Tools
from channels.sandbox.fcm import EMAIL, FcmStandIn
from channels.sandbox.fcm_key import PRIVATE_KEY
from channels.sandbox.stand_in import Misbehaviour
from channels.transport import Transport
from channels.verdicts import Deferred, OutcomeUnknown, Rejected, Suspended
from publisher.commands.platforms.fcm import REASONS

NOW = 1_767_225_600.0


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world("fcm", {"topic": "gongbao"}) as running:
        yield running


def account_file(**changes: Any) -> str:
    told = {
        "project_id": "p", "private_key_id": "k1", "private_key": PRIVATE_KEY, "client_email": "a@p.test",
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    return json.dumps(told | changes)


def settings(**changes: Any) -> Settings:
    return Settings.model_validate({"service_account": "{}", "topic": "gongbao"} | changes)


def message(it: Post, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = prepared(it, settings(**changes)).form["message"]
    return found


def stand_in(it: World) -> FcmStandIn:
    assert isinstance(it.stand_in, FcmStandIn)
    return it.stand_in


# -- what is sent --------------------------------------------------------------------------------------------


def test_a_notice_opens_the_page_on_every_platform() -> None:
    sent = message(post())
    assert sent["topic"] == "gongbao"
    assert sent["notification"] == {"title": post().title, "body": post().summary}
    assert sent["webpush"]["fcm_options"]["link"] == sent["data"]["url"] == post().url
    assert "fcm_options" not in message(post(url="http://intranet.test/1"))["webpush"]
    assert all(isinstance(value, str) for value in sent["data"].values())
    assert (sent["android"]["ttl"], sent["android"]["priority"]) == ("86400s", "HIGH")


def test_what_comes_later_takes_the_place_of_the_first() -> None:
    names = set()
    for sent in (message(post()), message(correction()), message(withdrawal())):
        names |= {
            sent["android"]["collapse_key"],
            sent["android"]["notification"]["tag"],
            sent["apns"]["headers"]["apns-collapse-id"],
            sent["webpush"]["notification"]["tag"],
        }
    assert len(names) == 1
    assert len(names.pop().encode()) <= 64
    taken = message(withdrawal())
    assert (taken["data"]["withdrawn"], taken["notification"]["title"]) == ("true", f"【撤回】{post().title}")


def test_a_condition_takes_the_place_of_a_topic() -> None:
    wanted = "'a' in topics && ('b' in topics || 'c' in topics)"
    sent = message(post(), topic="", condition=wanted)
    assert (sent["condition"], "topic" in sent) == (wanted, False)


@pytest.mark.parametrize(
    "own",
    [
        {"topic": ""},
        {"condition": "'a' in topics"},
        {"topic": "", "condition": "everybody"},
        {"topic": "", "condition": " && ".join(f"'{n}' in topics" for n in range(6))},
        {"topic": "公告"},
        {"time_to_live": 2_419_201},
        {"service_account": "hush-hush"},
        {"service_account": '{"project_id": "hush-hush"}'},
        {"service_account": account_file(private_key="hush-hush")},
        {"service_account": "[]"},
    ],
)
def test_settings_that_cannot_be_are_refused(own: dict[str, Any]) -> None:
    keys = {"service_account": account_file(), "topic": "gongbao", **own}
    with pytest.raises(BadSettings) as caught:
        registry.build("acct", "fcm", keys, Tools(Transport(user_agent="t"), lambda: NOW))
    assert "hush-hush" not in str(caught.value)


def test_the_assertion_is_signed_for_an_hour() -> None:
    account = service_account(account_file())
    made = assertion(account, NOW)
    assert jwt.get_unverified_header(made) == {"alg": "RS256", "kid": "k1", "typ": "JWT"}
    key: Any = load_pem_private_key(PRIVATE_KEY.encode(), None).public_key()
    claims = jwt.decode(made, key, ["RS256"], audience=account.token_uri, options={"verify_exp": False})
    assert claims == {
        "iss": "a@p.test", "scope": SCOPE, "aud": account.token_uri, "iat": int(NOW), "exp": int(NOW) + 3600
    }  # fmt: skip
    assert PRIVATE_KEY.splitlines()[3] not in repr(account)


# -- limits --------------------------------------------------------------------------------------------------


async def test_the_limit_is_kept_to_the_byte(it: World) -> None:
    longest = max(prepared(post(wording="x"), settings()).measured, key=lambda m: m.length)
    at = "x" * (1 + TOPIC_LIMIT - int(longest.length))
    await it.publish(post(wording=at))
    with pytest.raises(Rejected, match=rf"{longest.part} counts 2049 bytes, the limit is 2048: shorten it"):
        await it.publish(post(wording=at + "x"))
    assert len(it.stand_in.live()) == 1
    spare = prepared(post(summary="长" * 700), settings())
    assert spare.dropped == ("summary", "body", "images")


async def test_a_heavy_item_goes_out_whole(it: World) -> None:
    await it.publish(heavy())
    [shown] = it.stand_in.live()
    assert (shown.title, heavy().summary in shown.text) == (heavy().title, True)


# -- codes ---------------------------------------------------------------------------------------------------

VERDICTS = {Sort.RATE: Deferred, Sort.ACCOUNT: Suspended, Sort.POST: Rejected, Sort.GONE: Rejected}
TOKEN = json.dumps({"access_token": "ya29.hush-hush", "expires_in": 3599}).encode()


async def told(reply: Reply, token: Reply | None = None) -> tuple[Exception, int]:
    """The verdict, and how many messages were tried."""
    async with Platform() as platform, PatientTransport() as way:
        base = platform.url.split("/in")[0]
        platform.helpers["/token"] = token or answer(200, body=TOKEN)
        platform.reply = reply
        keys = {"base_url": base, "topic": "t", "service_account": account_file(token_uri=f"{base}/token")}
        channel = registry.build("acct", "fcm", keys, Tools(way, lambda: NOW))
        with pytest.raises(Exception) as caught:
            await channel.publish(post())
        assert "hush-hush" not in str(caught.value)
        return caught.value, len(platform.seen)


def refused(status: int, general: str, own: str = "", *headers: tuple[str, str]) -> Reply:
    details = [{"errorCode": own}] if own else []
    body = {"error": {"code": status, "status": general, "message": "no", "details": details}}
    return answer(status, *headers, body=json.dumps(body).encode())


@pytest.mark.parametrize("code", CODES)
async def test_every_code_is_one_answer(code: str) -> None:
    verdict, tried = await told(refused(400, "GENERAL", code))
    assert type(verdict) is VERDICTS[CODES[code]]
    assert verdict.reason == f"fcm_{code}"
    assert tried == 1


def test_every_code_has_words() -> None:
    own = {"fcm_no_name", "fcm_token_refused", "fcm_token_unreadable"}
    assert {f"fcm_{code}" for code in CODES} | own == set(REASONS)


async def test_the_general_code_counts_where_there_is_no_other() -> None:
    assert (await told(refused(404, "NOT_FOUND")))[0].reason == "fcm_NOT_FOUND"  # type: ignore[attr-defined]
    gone = (await told(refused(404, "NOT_FOUND", "UNREGISTERED")))[0]
    assert isinstance(gone, Rejected)
    assert gone.gone


@pytest.mark.parametrize("wait, headers", [(60, ()), (40, (("Retry-After", "40"),))])
async def test_a_quota_holds_the_whole_account(wait: float, headers: tuple[tuple[str, str], ...]) -> None:
    verdict, _ = await told(refused(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", *headers))
    assert isinstance(verdict, Deferred)
    assert (verdict.retry_after, verdict.whole_endpoint) == (wait, True)


async def test_its_own_faults_prove_nothing_unless_they_name_a_wait() -> None:
    replies = (
        refused(500, "INTERNAL", "INTERNAL"),
        refused(503, "UNAVAILABLE", "UNAVAILABLE"),
        answer(502, body=b"<html>bad gateway</html>"),
        refused(503, "UNAVAILABLE", "UNAVAILABLE", ("Retry-After", "30")),
    )
    found = [type((await told(reply))[0]) for reply in replies]
    assert found == [OutcomeUnknown, OutcomeUnknown, OutcomeUnknown, Deferred]


async def test_without_a_token_nothing_is_tried() -> None:
    no_grant = b'{"error":"invalid_grant","error_description":"hush-hush"}'
    for token, verdict, reason in (
        (answer(400, body=no_grant), Suspended, "fcm_token_refused"),
        (answer(200, body=b"<html>"), Deferred, "fcm_token_unreadable"),
        (answer(200, body=b'{"expires_in": 1}'), Deferred, "fcm_token_unreadable"),
        (answer(500), Deferred, "http_500"),
        (hang, Deferred, "late_answer"),
    ):
        raised, tried = await told(answer(200), token)
        assert (type(raised), raised.reason, tried) == (verdict, reason, 0)  # type: ignore[attr-defined]


# -- with the stand-in ---------------------------------------------------------------------------------------


async def test_one_token_serves_until_shortly_before_its_end(it: World) -> None:
    await it.publish()
    it.now += 3299 - 1
    await it.publish(post(item_id="b"))
    assert stand_in(it).handed_out == 1
    it.now += 1
    await it.publish(post(item_id="c"))
    assert (stand_in(it).handed_out, len(it.stand_in.live())) == (2, 3)


async def test_a_killed_token_is_renewed_once_and_leaves_one_copy(it: World) -> None:
    await it.publish(post(item_id="before"))
    it.stand_in.misbehave(Misbehaviour.TOKEN_KILLED)
    await it.publish()
    assert (stand_in(it).handed_out, [s.versions for s in it.stand_in.live()]) == (2, [1, 1])
    it.stand_in.misbehave(Misbehaviour.TOKEN_KILLED, times=9)
    with pytest.raises(Suspended, match="fcm_UNAUTHENTICATED"):
        await it.publish()
    assert stand_in(it).handed_out == 3


LOST = (Misbehaviour.HANG, Misbehaviour.RESET, Misbehaviour.ERROR, Misbehaviour.GARBAGE)


@pytest.mark.parametrize("how", LOST)
async def test_a_lost_answer_is_left_to_a_person(it: World, how: Misbehaviour) -> None:
    it.stand_in.misbehave(how)
    with pytest.raises(OutcomeUnknown):
        await it.publish()
    assert [s.versions for s in it.stand_in.live()] == [1]
    assert {it.channel.capabilities.of(o) for o in ("publish", "edit", "recall")} == {Idempotency.NONE}
    assert not isinstance(it.channel, Confirmable)


async def test_a_correction_and_a_withdrawal_take_the_place_of_the_notice(it: World) -> None:
    first = await it.publish()
    await it.edit(correction(remote=first))
    await it.recall(withdrawal(remote=first))
    [shown] = it.stand_in.live()
    assert (shown.versions, shown.title) == (3, f"【撤回】{post().title}")


async def test_busy_means_not_taken(it: World) -> None:
    it.stand_in.misbehave(Misbehaviour.BUSY)
    with pytest.raises(Deferred) as caught:
        await it.publish()
    assert (caught.value.retry_after, it.stand_in.shown) == (7, [])


async def test_a_check_sends_nothing(it: World) -> None:
    assert isinstance(it.channel, Checkable)
    assert (await it.channel.check()).facts == {"project": "stand-in"}
    assert it.stand_in.shown == []
    keys = it.stand_in.keys(it.url, {"topic": "gongbao"})
    file = keys["service_account"].replace(EMAIL, "somebody@else.test")
    wrong = registry.build("other", "fcm", keys | {"service_account": file}, it.tools)
    assert isinstance(wrong, Checkable)
    with pytest.raises(Suspended, match="fcm_token_refused"):
        await wrong.check()
