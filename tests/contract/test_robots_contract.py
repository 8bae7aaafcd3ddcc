"""The robots of WeCom, DingTalk and Feishu: one suite, and what a lost answer means where nobody can look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from channel_contract import NetworkChannelContract
from platform_double import Platform, Reply, answer, cut_body, garbage, hang, reset
from robot_keys import CREDENTIAL, SECRET, TAKEN, keys
from sample_post import correction, post, withdrawal

from channels.contract import Channel, Checkable, Confirmable, Editable, FollowUp, Idempotency, Operation, Recallable
from channels.verdicts import Awaits, OutcomeUnknown

LOST: dict[str, Reply] = {
    "hang": hang,
    "reset": reset,
    "half": cut_body,
    "garbage": garbage,
    "page": answer(200, body=b"<html>welcome</html>"),
    "list": answer(200, body=b"[]"),
    "no code": answer(200, body=b'{"data":{}}'),
    "code of another sort": answer(200, body=b'{"errcode":"0","code":"0","StatusCode":0}'),
    "code that looks like nothing": answer(200, body=b'{"errcode":false,"code":false,"StatusCode":0}'),
    "nothing as a code": answer(200, body=b'{"errcode":null,"code":null,"StatusCode":0}'),
    "error after taking": answer(502),
}


class RobotContract(NetworkChannelContract):
    secrets = (CREDENTIAL, SECRET, "topsecret")

    def keys(self, url: str) -> dict[str, Any]:
        return keys(self.kind, url)

    @pytest.fixture
    async def platform(self) -> AsyncIterator[Platform]:
        async with Platform() as running:
            running.reply = answer(200, body=TAKEN[self.kind])
            yield running

    def test_it_can_neither_look_nor_change_nor_take_back(self, channel: Channel) -> None:
        for ability in (Confirmable, Editable, Recallable, Checkable):
            assert not isinstance(channel, ability)
        assert {channel.capabilities.of(o) for o in Operation} == {Idempotency.NONE}

    @pytest.mark.parametrize("loss", LOST)
    async def test_a_lost_answer_waits_for_a_person(self, channel: Channel, platform: Platform, loss: str) -> None:
        platform.reply = LOST[loss]
        with pytest.raises(OutcomeUnknown) as caught:
            await channel.publish(post())
        assert len(platform.seen) == 1
        assert caught.value.timing is not None
        self.hides_secrets(str(caught.value), repr(caught.value))

    async def test_a_correction_is_a_message_of_its_own(self, channel: Channel, platform: Platform) -> None:
        assert isinstance(channel, FollowUp)
        receipt = await channel.follow_up(correction())
        assert (receipt.remote_id, receipt.awaits) == ("gb_edit", Awaits.NOTHING)
        [seen] = platform.seen
        for told in ("【更正】", "更正第三条日期", post().url):
            assert told in seen.body.decode()

    async def test_after_a_withdrawal_a_person_deletes_the_message(self, channel: Channel, platform: Platform) -> None:
        assert isinstance(channel, FollowUp)
        receipt = await channel.follow_up(withdrawal(wording="好消息"))
        assert (receipt.remote_id, receipt.awaits, receipt.reason) == ("gb_recall", Awaits.PERSON, "original_stays")
        [seen] = platform.seen
        for told in ("【撤回】", "内容有误", post().url):
            assert told in seen.body.decode()
        for gone in ("好消息", "第一条"):
            assert gone not in seen.body.decode()

    async def test_a_withdrawal_whose_answer_is_lost_is_no_receipt(self, channel: Channel, platform: Platform) -> None:
        platform.reply = reset
        with pytest.raises(OutcomeUnknown):
            await channel.follow_up(withdrawal())  # type: ignore[attr-defined]
        assert len(platform.seen) == 1

    async def test_everybody_is_mentioned_only_when_told_so(self, channel: Channel, platform: Platform) -> None:
        await channel.publish(post())
        body = platform.seen[0].body.decode()
        assert not any(mention in body for mention in ("@all", "user_id", '"isAtAll":true', "<at"))


class TestWeComRobot(RobotContract):
    kind = "wecom_robot"


class TestDingTalkRobot(RobotContract):
    kind = "dingtalk_robot"


class TestFeishuRobot(RobotContract):
    kind = "feishu_robot"
