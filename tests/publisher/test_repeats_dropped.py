"""Which repeats a platform drops is said by the account as it is set up, not by its kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from look_house import Wall

from channels.contract import Capabilities, Idempotency, Operation
from channels.registry import kinds
from publisher.service import repeats_dropped

ALL = {str(o) for o in Operation}


def app(built: dict[str, Wall], *accounts: tuple[str, str, bool]) -> Any:
    named = [SimpleNamespace(name=n, kind=k, on=on) for n, k, on in accounts]
    return SimpleNamespace(accounts=named, workshop=SimpleNamespace(channels=lambda: built))


def test_the_account_outweighs_its_kind() -> None:
    assert kinds()["mastodon"].capabilities.of("publish") is Idempotency.NONE
    assert kinds()["webhook"].capabilities.of("publish") is not Idempotency.NONE
    built = {
        "toots": Wall("toots", Capabilities(Idempotency.KEYED)),
        "hook": Wall("hook", Capabilities(Idempotency.NONE, recalls=Idempotency.NATURAL)),
    }
    sure, perhaps = repeats_dropped(app(built, ("toots", "mastodon", True), ("hook", "webhook", True)))
    assert sure == {*(("toots", o) for o in ALL), ("hook", "recall")}
    assert perhaps == frozenset()


def test_what_cannot_be_built_here_is_surely_nothing() -> None:
    """Whatever its kind usually promises: a WeChat account may be set up for mass messages, whose key is known."""
    accounts = (("hook", "webhook", True), ("off", "webhook", False), ("wx", "wechat_official", True))
    sure, perhaps = repeats_dropped(app({}, *accounts))
    assert sure == frozenset()
    assert perhaps == {(n, o) for n in ("hook", "wx") for o in ALL}
