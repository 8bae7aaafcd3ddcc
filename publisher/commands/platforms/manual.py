"""What a task by hand waits for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from publisher.texts import mark

_TASK = mark("What to do, and the prepared text: gongbao task {id}")

REASONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "task_waits": (mark("a person has to post it by hand"), _TASK),
        "edit_task_waits": (mark("a person has to replace the text by hand"), _TASK),
        "notice_task_waits": (mark("a person has to post a notice by hand"), _TASK),
        "recall_task_waits": (mark("a person has to take the post down by hand"), _TASK),
        "stop_task_waits": (mark("a person has to make sure that it was not posted"), _TASK),
    }
)
