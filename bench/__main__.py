"""`python -m bench`: runs the benchmarks, each in a process of its own, prints one table and keeps the results."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import click
from rich.console import Console

from bench.report import Section, busy, page, page_part, table
from bench.suite import RUNNERS, TITLES

RESULTS = Path(__file__).with_name("RESULTS.md")


class Taken(NamedTuple):
    section: Section
    when: str


def _apart(name: str, quick: bool) -> Taken:
    """In a fresh process: memory and collector settings of one benchmark must not colour the next."""
    when = busy()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return Taken(pool.submit(RUNNERS[name], quick).result(), when)


def _keep(taken: Sequence[Taken]) -> None:
    previous = RESULTS.read_text("utf-8") if RESULTS.exists() else ""
    parts = {t.section.title: page_part(t.section, t.when) for t in taken}
    RESULTS.write_text(page(previous, parts, tuple(TITLES.values())), "utf-8")


@click.command()
@click.option("--only", type=click.Choice(tuple(RUNNERS)), multiple=True, help="Just this one; may be repeated.")
@click.option("--quick", is_flag=True, help="Small sizes, one round: does everything run? Nothing is kept.")
@click.option("--no-write", is_flag=True, help="Leave bench/RESULTS.md as it is.")
def main(only: Sequence[str], quick: bool, no_write: bool) -> None:
    """Measures the service against bounds taken in the same run."""
    console = Console(width=None if Console().is_terminal else 140)
    taken = []
    for name in only or RUNNERS:
        console.print(f"measuring: {TITLES[name]} ...", style="dim")
        taken.append(_apart(name, quick))
    console.print(table([t.section for t in taken]))
    for line in (line for t in taken for line in t.section.missed()):
        console.print(line, style="red")
    if not (quick or no_write):
        _keep(taken)
        console.print(f"kept in {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")


if __name__ == "__main__":
    main()
