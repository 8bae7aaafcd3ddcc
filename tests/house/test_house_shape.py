"""How the house is built: who lives on its ground floor, how long a module and a function may be."""

from __future__ import annotations

import ast
import re
import statistics
from collections import Counter

import pytest
from house_plan import BRICKS, LEFT_BEHIND, ROOT, kept_files, modules

GROUND_FLOOR = {
    "publisher", "channels", "content_queue", "config", "tests", "docs", "bench", "deploy", ".ci",
    "pyproject.toml", "README.md", "README.zh-CN.md", "Makefile",
}  # fmt: skip
MODULE_LINES, FUNCTION_LINES = 400, 60
# Home folders of developers on Linux, macOS and Windows, and the usual places of checkouts in containers.
OWN_PLACE = re.compile(r"/(?:home|Users|root|work|workspaces?|mnt/data)/[\w.-]+/|[A-Z]:\\Users\\", re.ASCII)
TEXTS = {".py", ".md", ".toml", ".txt", ".po", ".html", ".css", ".json", ".yaml", ".service", ".ini", ".cfg", ""}


def test_nobody_else_lives_on_the_ground_floor() -> None:
    found = {p.name for p in ROOT.iterdir()} - LEFT_BEHIND
    strangers = {n for n in found if n not in GROUND_FLOOR and not n.endswith(".egg-info")}
    assert {n for n in strangers if not (n.startswith(".") and (ROOT / n).is_file())} == set()
    assert GROUND_FLOOR - found == set()


def test_no_two_test_modules_have_one_name() -> None:
    """Their folders are no packages: of two with one name only the first would run."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", modules(*BRICKS, "bench"))
def test_a_module_is_short_enough_to_be_read(path: str) -> None:
    lines = (ROOT / path).read_text("utf-8").count("\n")
    assert lines <= MODULE_LINES, f"{path} has {lines} lines"


def lengths(*folders: str) -> dict[str, int]:
    return {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, tree in modules(*folders).items()
        if "migrations/versions" not in path  # a migration tells its tables once and is never changed
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_functions_are_short() -> None:
    found = lengths(*BRICKS)
    assert {where: n for where, n in found.items() if n > FUNCTION_LINES} == {}
    assert statistics.median(found.values()) <= 12
    assert statistics.quantiles(found.values(), n=10)[-1] <= 30


def test_nothing_names_a_place_on_a_developers_machine() -> None:
    mine = ROOT / "tests" / "house" / "test_house_shape.py"
    named = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in kept_files()
        if path.suffix in TEXTS and path != mine
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1)
        if OWN_PLACE.search(line)
    ]
    assert named == []


def test_the_search_for_such_places_finds_them() -> None:
    for place in ("see /home/li/gongbao/x", "/Users/wang/src/", r"C:\Users\li"):
        assert OWN_PLACE.search(place), place
    for harmless in ("/var/lib/gongbao/", "/etc/gongbao/env", "https://example.gov.cn/home/news"):
        assert not OWN_PLACE.search(harmless), harmless


def test_nothing_is_left_to_be_done_later() -> None:
    later = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|placeholder|for now|not implemented)\b")
    found = [
        f"{path}:{number}"
        for path in modules(*BRICKS)
        for number, line in enumerate((ROOT / path).read_text("utf-8").splitlines(), 1)
        if later.search(line)
    ]
    assert found == []
