"""The command line: `gongbao COMMAND`. The commands themselves are in `publisher/commands/`."""

from __future__ import annotations

import click

from publisher.commands import (
    access,
    accounts,
    alarms,
    channels,
    checking,
    deliveries,
    items,
    logs,
    papers,
    preview,
    remaining,
    secrets,
    serve,
    signing,
    switches,
    tasks,
    verify,
)
from publisher.commands.base import Group, lang_option
from publisher.texts import mark

main = Group(
    "gongbao",
    help=mark("Publishes approved items to every channel, once, and keeps a log that an outsider can verify."),
    params=[lang_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(package_name="gongbao", message="%(package)s %(version)s")(main)

# In the order of the work: run it, hand in, sign, follow, operate, prove.
WORK = (serve, papers, preview, signing, items, deliveries, remaining, tasks, logs, channels, switches, alarms)
CARE = (checking, verify, access, accounts, secrets)
for _module in (*WORK, *CARE):
    for _command in _module.COMMANDS:
        main.add_command(_command)


if __name__ == "__main__":
    main()
