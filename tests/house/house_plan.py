"""What the house tests share: where things lie, and the product's modules as syntax trees."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BRICKS = ("publisher", "channels", "content_queue", "config")
# What tools leave behind; version control ignores it.
LEFT_BEHIND = {
    "var", "build", "__pycache__", ".git", ".venv", ".venv-test", ".hypothesis", ".mypy_cache", ".ruff_cache",
    ".pytest_cache", ".import_linter_cache",
}  # fmt: skip


@cache
def modules(*folders: str) -> dict[str, ast.Module]:
    """Path from the root -> tree, for every Python file under `folders`."""
    files = [f for folder in folders for f in sorted((ROOT / folder).rglob("*.py"))]
    return {str(f.relative_to(ROOT)): ast.parse(f.read_text("utf-8")) for f in files}


def kept_files() -> Iterator[Path]:
    """Every file that belongs to the repository."""
    for folder, below, names in os.walk(ROOT):
        below[:] = sorted(name for name in below if not _left_behind(name))
        yield from (Path(folder, name) for name in sorted(names) if not _left_behind(name))


def _left_behind(name: str) -> bool:
    return name in LEFT_BEHIND or name.startswith(".coverage") or name.endswith((".egg-info", ".pyc"))


def documents() -> list[Path]:
    """What people read: the READMEs and everything under docs/."""
    return [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "bench" / "README.md"]


def imports(tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
