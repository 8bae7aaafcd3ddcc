"""Every reason that a robot or a task by hand can give has words; and what the queue makes of a robot's answers."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from channels import registry
from channels.contract import Operation
from channels.verdicts import Awaits, OutcomeUnknown, Receipt, Suspended
from content_queue.model import Claimed
from content_queue.states import DeliveryState
from publisher.commands import words
from publisher.commands.platforms import platform_reasons
from publisher.delivery import judge, must_start_first, resendable

NOW = 1_767_225_600_000_000
KINDS = {"wecom_robot": "wecom", "dingtalk_robot": "dingtalk", "feishu_robot": "feishu"}
BESIDE = {"dingtalk": {"dingtalk_gateway"}, "feishu": {"feishu_19021_time"}, "wecom": set[str]()}


def said(kind: str) -> set[str]:
    module = importlib.import_module(f"channels.adapters.{kind}")
    name = KINDS[kind]
    of_table = {"_".join(filter(None, (name, str(f.code), f.name))) for f in module.FAULTS}
    return of_table | BESIDE[name] | {f"{name}_unknown"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_and_its_words_are_the_same(kind: str) -> None:
    described = importlib.import_module(f"publisher.commands.platforms.{kind}").REASONS
    assert set(described) == said(kind)


SHARED = ("original_stays", "too_long", "task_waits")


@pytest.mark.parametrize("code", [*SHARED, *(c for k in KINDS for c in sorted(said(k)))])
def test_every_reason_is_told_in_both_languages_with_its_places_filled(code: str) -> None:
    meaning, advice = words.reason(code), words.advice(code, DeliveryState.FAILED, id=7, channel="group")
    for text in (meaning.en, meaning.zh, advice.en, advice.zh):
        assert text
        assert "{" not in text
    assert meaning.en != meaning.zh
    assert platform_reasons()[code][0] == meaning.en


def judged(kind: str, operation: str, answer: Receipt | Exception) -> Any:
    capabilities = registry.kinds()[kind].capabilities
    claimed = Claimed(7, "item-1", 3, 1, "group", "notices", operation, 0, NOW, "token")
    return judge(claimed, answer, capabilities, now=NOW, chance=lambda: 0.5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("operation", list(Operation))
def test_a_lost_answer_is_never_sent_again_by_the_machine(kind: str, operation: Operation) -> None:
    capabilities = registry.kinds()[kind].capabilities
    assert must_start_first(capabilities, operation)
    assert resendable(capabilities) == frozenset()
    outcome = judged(kind, operation, OutcomeUnknown("late_answer")).outcome
    assert (outcome.state, outcome.due_at) == (DeliveryState.IN_DOUBT, None)
    assert outcome.deadline_at is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_withdrawal_waits_for_somebody_who_deletes_the_message(kind: str) -> None:
    receipt = Receipt("gb_recall", awaits=Awaits.PERSON, reason="original_stays")
    outcome = judged(kind, "recall", receipt).outcome
    assert (outcome.state, outcome.awaits, outcome.look_at) == (DeliveryState.SENT, "person", None)
    assert outcome.deadline_at is not None
    assert outcome.deadline_at > NOW


@pytest.mark.parametrize("kind", KINDS)
def test_a_robot_that_is_gone_pauses_its_channel(kind: str) -> None:
    assert judged(kind, "publish", Suspended("wecom_93000")).pause == "wecom_93000"
