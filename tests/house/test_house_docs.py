"""What the documents name exists: files, commands, options, settings, dependencies."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from house_plan import BRICKS, ROOT, documents, imports, modules

from config.settings import Settings
from publisher.cli import main

PAGES = {str(p.relative_to(ROOT)): p.read_text("utf-8") for p in documents()}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# Read by the commands themselves: before there are settings, or because tests set it.
BESIDE_SETTINGS = {"GONGBAO_LANG", "GONGBAO_TEST_POSTGRES", "GONGBAO_TEST_EXAMPLES"}


# -- links ---------------------------------------------------------------------------------------------------


def links(text: str) -> list[str]:
    """Relative ones, outside code blocks."""
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", t)]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    dead = []
    for target in links(PAGES[page]):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    assert dead == []


def anchors(file: Path) -> set[str]:
    """As GitHub makes them of headings."""
    heads = re.findall(r"(?m)^#+ (.+)$", file.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_every_page_is_reached_from_the_front() -> None:
    """By links alone, from the two READMEs; decisions by their folder."""
    seen, todo = set[Path](), [ROOT / "README.md", ROOT / "README.zh-CN.md"]
    while todo:
        page = todo.pop().resolve()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        if page.is_dir():
            todo += page.glob("*.md")
        elif page.suffix == ".md":
            todo += [page.parent / t.partition("#")[0] for t in links(page.read_text("utf-8"))]
    assert {str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md") if p.resolve() not in seen} <= EXAMPLES


EXAMPLES = {"docs/examples/notice.md"}  # named by commands, not by links

# -- commands ------------------------------------------------------------------------------------------------


def said_commands(text: str) -> Iterator[str]:
    """`gongbao ...` in code spans and code blocks, comments cut off."""
    fenced = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    indented = re.findall(r"(?m)^    (\S.*)$", text)
    for line in (*indented, *(line for block in fenced for line in block.splitlines())):
        yield from _commands(line.split("  #")[0])
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    for span in re.findall(r"`([^`]+)`", prose):
        yield from _commands(" ".join(span.split()))


def _commands(line: str) -> Iterator[str]:
    found = re.match(r"(?:\$ )?(?:\S*/)?(gongbao(?: .*)?)$", line.strip())
    if found:
        yield re.split(r"\s[|>]\s|\s&&\s|;", found[1])[0]


def wrong_with(said: str) -> str | None:
    """What the commands do not know of it."""
    words = shlex.split(said.replace("...", ""))[1:]
    command: click.Command = main
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if re.match(r"--?[a-z]", word) and word.split("=")[0] not in known:
            return f"no option {word}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    assert {said: fault for said in said_commands(PAGES[page]) if (fault := wrong_with(said))} == {}


def test_the_search_for_commands_finds_them() -> None:
    blocks = "\n\n    gongbao log > x\n\n```\ngongbao a  # b\n```\n"
    page = "`gongbao serve --roles web`, `gongbao:` and `gongbao\nstop`" + blocks
    assert list(said_commands(page)) == ["gongbao log", "gongbao a", "gongbao serve --roles web", "gongbao stop"]
    assert wrong_with("gongbao serve --rolls web") == "no option --rolls"
    assert wrong_with("gongbao token burn 1") == "no command burn"
    assert wrong_with("gongbao token revoke 1 --json") is None


def leaves(command: click.Command, path: tuple[str, ...] = ("gongbao",)) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield " ".join(path)


def test_every_command_is_explained() -> None:
    spoken = [said for text in PAGES.values() for said in said_commands(text)]
    assert [c for c in leaves(main) if not any(s == c or s.startswith(c + " ") for s in spoken)] == []


# -- settings ------------------------------------------------------------------------------------------------


def settings() -> set[str]:
    return {f"GONGBAO_{name.upper()}" for name in Settings.model_fields}


def named_settings(text: str) -> set[str]:
    """Names behind `env:` are an account's own."""
    return set(re.findall(r"(?<!env:)\bGONGBAO_[A-Z_]*[A-Z]\b", text))


@pytest.mark.parametrize("page", [*PAGES, "deploy/Containerfile", "deploy/compose.yaml", "deploy/gongbao.service"])
def test_every_setting_that_is_named_exists(page: str) -> None:
    assert named_settings((ROOT / page).read_text("utf-8")) - settings() - BESIDE_SETTINGS == set()


@pytest.mark.parametrize("page", ["docs/operating.md", "docs/operating.zh-CN.md"])
def test_every_setting_is_explained(page: str) -> None:
    assert settings() - named_settings(PAGES[page]) == set()


# -- dependencies and changes --------------------------------------------------------------------------------


def direct() -> set[str]:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return {re.split(r"[\[<>=!~; ]", line)[0].lower() for group in groups for line in group}


def explained() -> list[str]:
    return re.findall(r"(?m)^\| `([\w.-]+)` \|", (ROOT / "docs" / "dependencies.md").read_text("utf-8"))


def test_every_dependency_is_accounted_for_once() -> None:
    assert sorted(explained()) == sorted(direct())


def test_what_is_imported_is_a_direct_dependency() -> None:
    """By the name it is installed under; what comes along with another package may leave with it."""
    from importlib.metadata import packages_distributions
    from sys import stdlib_module_names

    makers = packages_distributions()
    tops = {name.split(".")[0] for tree in modules(*BRICKS).values() for name in imports(tree)}
    foreign = tops - stdlib_module_names - set(BRICKS)
    runtime = {re.split(r"[\[<>=!~; ]", line)[0].lower() for line in PROJECT["dependencies"]}
    made_by = {t: {m.lower().replace("_", "-") for m in makers.get(t, [])} for t in foreign}
    assert {t for t, names in made_by.items() if not names & runtime} == set()


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    text = PAGES["docs/changelog.md"]
    heads = re.findall(r"(?m)^## (.+)$", text)
    assert heads[0] == "Unreleased"
    assert len(re.findall(r"(?m)^\* ", text)) >= 5


def test_decisions_are_numbered_without_gap() -> None:
    files = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [f.name[:4] for f in files] == [f"{n:04}" for n in range(1, len(files) + 1)]
    for file in files:
        text = file.read_text("utf-8")
        assert text.startswith("# "), file
        assert len(re.findall(r"(?m)^## ", text)) >= 3, file
