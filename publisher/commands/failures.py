"""Every error as one message with a remedy and an exit code.

Failure (Exception)    what a command ends with when it cannot do what was asked
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import click
from rich.console import Console
from rich.text import Text as Styled

from publisher.commands.config_words import in_both
from publisher.problems import Held, NotFound, Problem, disk_full, is_disk_full, locked_out
from publisher.tables import clean
from publisher.texts import Text, bilingual


class Exit(IntEnum):
    OK = 0
    FOUND = 1  # the checklist blocks, or something wrong was found
    USAGE = 2  # wrong use or bad input; click uses 2 as well
    REFUSED = 3
    NOT_FOUND = 4
    INTERNAL = 5
    INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Failure(Exception):
    """`parts` are (message, remedy or None), shown in both languages; `facts` go into the JSON answer."""

    def __init__(
        self,
        status: Exit,
        code: str,
        message: Text,
        remedy: Text | None = None,
        *,
        more: tuple[tuple[Text, Text | None], ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message.en)
        self.status, self.code, self.facts = status, code, dict(facts or {})
        self.parts = ((message, remedy), *more)

    def to_dict(self) -> dict[str, Any]:
        message, remedy = self.parts[0]
        facts = {"code": self.code, "exit_code": int(self.status), "message": message.as_dict()}
        return facts | {"remedy": remedy.as_dict() if remedy else None} | self.facts

    def show(self, errors: Console, language: str, *, as_json: bool) -> None:
        """Both languages on standard error, the reader's own first; JSON on standard output when asked for."""
        for message, remedy in self.parts:
            first, second = (message.zh, message.en) if language == "zh" else (message.en, message.zh)
            errors.print(Styled(clean(first), style="bold red"))
            if second != first:
                errors.print(Styled(clean(second), style="red"))
            if remedy:
                errors.print(Styled(clean(f"  → {remedy}")))
        if as_json:
            click.echo(json.dumps({"error": self.to_dict()}, ensure_ascii=False, indent=2))


def as_failure(error: Exception) -> Failure:
    """What the error means for the person at the terminal. Values that may be secret are left out."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, Problem):
        return _from_problem(error)
    return _from_files(error) or _from_database(error) or _unexpected(error)


def _from_problem(problem: Problem) -> Failure:
    status = Exit.REFUSED
    if isinstance(problem, Held):
        status = Exit.FOUND
    elif isinstance(problem, NotFound):
        status = Exit.NOT_FOUND
    facts = {k: v for k, v in problem.to_dict().items() if k not in {"code", "message", "remedy"}}
    return Failure(status, problem.code, problem.message, problem.remedy, facts=facts)


def _from_files(error: Exception) -> Failure | None:
    """Submissions, settings, rules and keys. Imported here: the error's module is loaded when it is raised."""
    from channels.registry import RegistryError
    from publisher.app import ConfigError
    from publisher.checklist import RuleError
    from publisher.intake import IntakeError
    from publisher.keys import KeyFileError
    from publisher.vault import VaultError

    if isinstance(error, IntakeError):
        return intake_failure(error)
    if isinstance(error, ConfigError):
        parts = tuple((config_problem(error.where, *problem), None) for problem in error.problems)
        remedy = bilingual("Mend it there; gongbao check-config looks at everything.")
        return Failure(Exit.USAGE, "configuration", parts[0][0], remedy, more=parts[1:])
    if isinstance(error, RuleError):
        return Failure(Exit.USAGE, "rules", error.text)
    if isinstance(error, RegistryError):
        remedy = bilingual("Mend it there; gongbao check-config looks at everything.")
        return Failure(Exit.USAGE, "channels", bilingual("A channel cannot be built: {what}", what=str(error)), remedy)
    if isinstance(error, VaultError):
        return Failure(Exit.USAGE, "vault", bilingual("The vault cannot be opened: {what}", what=str(error)))
    if isinstance(error, KeyFileError):
        return Failure(Exit.USAGE, "key_file", bilingual("The log's key cannot be used: {what}", what=str(error)))
    return None


def config_problem(where: str, key: str, what: str) -> Text:
    return bilingual("{where}: {key}: {what}", where=where, key=key or bilingual("(file)"), what=in_both(what))


def intake_failure(error: Any, path: str = "") -> Failure:
    """One part for each problem of an `IntakeError`."""
    parts = tuple((_placed(p, path), p.remedy) for p in error.problems)
    facts = {"file": path, "problems": [p.to_dict() for p in error.problems]}
    return Failure(Exit.USAGE, "submission", *parts[0], more=parts[1:], facts=facts)


def _placed(problem: Any, path: str) -> Text:
    where = ":".join(str(p) for p in (path, problem.line) if p)
    prefix = f"{where}: " if where else ""
    prefix += f"{problem.field}: " if problem.field else ""
    return Text(prefix + problem.message.en, prefix + problem.message.zh)


def _from_database(error: Exception) -> Failure | None:
    from content_queue.store import Conflict, Forbidden, StoreBusy, StoreError, StoreFull, Unknown

    if isinstance(error, StoreFull) or is_disk_full(error):
        return Failure(Exit.INTERNAL, "disk_full", *disk_full())
    if isinstance(error, StoreError):
        status = {Unknown: Exit.NOT_FOUND, Conflict: Exit.REFUSED, Forbidden: Exit.REFUSED}
        message = bilingual(error.template, **error.facts)
        if isinstance(error, StoreBusy):
            return Failure(Exit.INTERNAL, "database_busy", message, locked_out())
        return Failure(status.get(type(error), Exit.INTERNAL), "store", message)
    if type(error).__module__.startswith("sqlalchemy."):
        kind = type(getattr(error, "orig", None) or error).__name__
        return Failure(
            Exit.INTERNAL,
            "database",
            bilingual("The database cannot be used ({kind}).", kind=kind),
            bilingual("Check GONGBAO_DATABASE_URL, and that the database is running; gongbao check-config helps."),
        )
    return None


def _unexpected(error: Exception) -> Failure:
    """The error's own text is left out: nobody has vouched that it holds no secret."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return Failure(Exit.USAGE, "file", bilingual("{place}{what}", place=place, what=error.strerror))
    return Failure(
        Exit.INTERNAL,
        "internal",
        bilingual("Something went wrong inside ({kind}); nothing was half done.", kind=type(error).__name__),
        bilingual("Run it again with GONGBAO_LOG_LEVEL=DEBUG and send the trace to whoever looks after the service."),
    )
