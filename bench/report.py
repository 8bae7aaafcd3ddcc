"""What was measured, beside its bound and its aim: as a table for the terminal and as a page to keep."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.table import Table

LIBRARIES = ("aiohttp", "uvloop", "sqlalchemy", "psycopg", "cryptography", "orjson")
HEADS = ("measured", "ours", "bound", "ratio", "aim", "met")
TITLE = "# Results of the benchmarks\n"
PREFACE = """
Written by `make bench`. [README.md](README.md) says what each figure means and how it is taken. A ratio compares two
measurements of the same run; absolute figures hold for this machine only.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is ours to the bound. `aim` is (at least or at most, limit), for the ratio; without one it informs."""

    measured: str
    ours: str
    bound: str = ""
    ratio: float | None = None
    aim: tuple[str, float] | None = None

    @property
    def met(self) -> bool | None:
        """None when there is no aim."""
        if self.aim is None or self.ratio is None:
            return None
        word, limit = self.aim
        return self.ratio >= limit if word == "at least" else self.ratio <= limit

    def cells(self) -> tuple[str, ...]:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        aim = "" if self.aim is None else f"{self.aim[0]} {self.aim[1]:g}"
        return (self.measured, self.ours, self.bound, ratio, aim, {None: "", True: "yes", False: "no"}[self.met])


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark's results; `notes` are sentences that belong to the figures."""

    name: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()

    def missed(self) -> list[str]:
        return [_missed(row) for row in self.rows if row.met is False]


def _missed(row: Row) -> str:
    assert row.aim is not None
    return f"The aim is missed: {row.measured} is {row.ratio:.2f}, where {row.aim[0]} {row.aim[1]:g} is wanted."


def table(sections: Sequence[Section]) -> Table:
    made = Table(*HEADS, title="Gongbao, measured")
    for column, side in zip(made.columns, ("left", "right", "right", "right", "left", "left"), strict=True):
        column.justify = side  # type: ignore[assignment]
    for section in sections:
        made.add_section()
        made.add_row(f"[bold]{section.title}[/bold]")
        for row in section.rows:
            made.add_row(*row.cells(), style="red" if row.met is False else None)
    return made


def machine() -> str:
    """CPU, cores, memory, kernel, Python and library versions, as a Markdown list."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.1f} GiB of memory"
    return (
        f"* {_cpu_model()}, {cores}\n"
        f"* {platform.system()} {platform.release()}, {platform.machine()}\n"
        f"* {platform.python_implementation()} {platform.python_version()}; {libraries}\n"
    )


def _cpu_model() -> str:
    """As Linux tells it; elsewhere what Python knows."""
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        told = ""
    found = re.search(r"^model name\s*: (.+)$", told, re.M)
    return found[1] if found else platform.processor() or "unknown processor"


def busy() -> str:
    """When, and how much the machine had to do besides: a figure taken on a busy machine is worth less."""
    now = datetime.datetime.now(datetime.UTC)
    load = os.getloadavg()[0]
    return f"{now:%Y-%m-%d %H:%M} UTC; load average at the start {load:.1f} on {psutil.cpu_count()} cores"


def page_part(section: Section, when: str) -> str:
    lines = [f"## {section.title}", "", f"Taken {when}.", ""]
    lines += ["| " + " | ".join(HEADS) + " |", "|---|--:|--:|--:|---|---|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in section.rows]
    said = [*section.notes, *section.missed()]
    return "\n".join([*lines, *([""] if said else []), *said]) + "\n"


def page(previous: str, parts: Mapping[str, str], order: Sequence[str]) -> str:
    """The whole page. A part that was not measured now is kept if it was taken on this same machine and software."""
    about = f"\n## The machine\n\n{machine()}"
    kept = _parts_of(previous) if about in previous else {}
    shown = {**kept, **parts}
    return TITLE + PREFACE + about + "".join("\n" + shown[title] for title in order if title in shown)


def _parts_of(text: str) -> dict[str, str]:
    found = re.split(r"(?m)^(?=## )", text)[1:]
    return {part.splitlines()[0].removeprefix("## "): part.strip() + "\n" for part in found}
