"""check-config's look at alarms.toml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from publisher.texts import bilingual

if TYPE_CHECKING:
    from publisher.app import ChannelAccount, Settings
    from publisher.commands.checking import Looks

WHERE = "alarms.toml"


def look_at_alarms(looks: Looks, chosen: Settings, accounts: Sequence[ChannelAccount] | None) -> None:
    """Reads every key of every target; nothing is sent."""
    from publisher.app import load_alarms

    file = looks.read(WHERE, lambda: load_alarms(chosen.config_dir))
    if file is None:
        return
    _look_at_targets(looks, chosen, file)
    _look_at_canary(looks, file, accounts)


def _look_at_targets(looks: Looks, chosen: Settings, file: Any) -> None:
    from publisher.lookout import check_targets

    def sound(target: Any) -> bool:
        return looks.read(WHERE, lambda: check_targets(chosen, [target])) is not None

    good = [sound(target) for target in file.targets]
    if not file.targets:
        message = bilingual("Nobody is told of alarms: alarms.toml names no target.")
        looks.warn(WHERE, message, bilingual("Name a mail address or a webhook there; docs/alarms.md shows how."))
    elif all(good):
        names = ", ".join(t.name for t in file.targets)
        looks.fine(WHERE, "Alarms go to: {names}. Try it: gongbao alarms --test", names=names)


def _look_at_canary(looks: Looks, file: Any, accounts: Sequence[ChannelAccount] | None) -> None:
    canary = file.canary
    if not canary.on or accounts is None or canary.channel == "canary":
        return
    if not any(a.name == canary.channel and a.on for a in accounts):
        message = bilingual("{name} is no channel of channels.toml.", name=canary.channel)
        looks.wrong(f"{WHERE}: canary.channel", message, bilingual("Correct the name, or add the channel."))
