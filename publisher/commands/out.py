"""What a command prints: tables and sentences for people, or one JSON document for machines, never both."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text as Styled

from publisher.clock import SECOND, human
from publisher.tables import clean, draw
from publisher.texts import Text, bilingual

Advance = Callable[[int], None]


def stamp(at: int | None) -> str | None:
    """ISO 8601 in UTC to the microsecond, for machines."""
    if at is None:
        return None
    moment = datetime.fromtimestamp(at // SECOND, UTC).replace(microsecond=at % SECOND)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Out:
    """`language` is `en` or `zh`. With `as_json` only `data` reaches standard output."""

    def __init__(self, *, as_json: bool, language: str, zone: str = "UTC") -> None:
        self.as_json, self.language, self.zone = as_json, language, zone
        self.console = Console(file=sys.stdout, highlight=False, soft_wrap=True, emoji=False, markup=False)
        self.errors = Console(file=sys.stderr, highlight=False, soft_wrap=True, emoji=False, markup=False)

    def of(self, text: Text) -> str:
        """The text in the reader's language."""
        return text.zh if self.language == "zh" else text.en

    def other(self, text: Text) -> str:
        """The text in the other language."""
        return text.en if self.language == "zh" else text.zh

    def words(self, msgid: str, **values: Any) -> str:
        return self.of(bilingual(msgid, **values))

    def sentences(self, parts: Iterable[str]) -> str:
        """One after another; the last one without its full stop."""
        between = "。" if self.language == "zh" else ". "
        return between.join(part.rstrip(".。") for part in parts if part)

    def time(self, at: int | None) -> str:
        """For people, in the agency's zone."""
        return human(at, self.zone)

    def line(self, text: str = "", *, style: str = "") -> None:
        """One line for people."""
        if not self.as_json:
            self.console.print(Styled(clean(text), style=style))

    def say(self, msgid: str, *, style: str = "", **values: Any) -> None:
        self.line(self.words(msgid, **values), style=style)

    def head(self, msgid: str, **values: Any) -> None:
        """The heading of a part."""
        self.line()
        self.say(msgid, style="bold", **values)

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """`headers` are message ids."""
        if not self.as_json:
            draw(self.console, [self.words(h) for h in headers], rows)

    def data(self, value: Any, *, lines: bool = False) -> None:
        """The answer for machines; `lines` puts it on one line of its own (one document a line)."""
        if self.as_json:
            indent = None if lines else 2
            click.echo(json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False))

    def warn(self, text: Text) -> None:
        """To standard error, in the reader's language."""
        self.errors.print(Styled(clean(self.of(text)), style="yellow"))

    @contextlib.contextmanager
    def progress(self, msgid: str, total: int | None = None) -> Iterator[Advance]:
        """A bar on standard error while it is a terminal; elsewhere silent."""
        if not self.errors.is_terminal:
            yield lambda _: None
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.errors, transient=True) as bar:
            task = bar.add_task(self.words(msgid), total=total)
            yield lambda steps: bar.advance(task, steps)
