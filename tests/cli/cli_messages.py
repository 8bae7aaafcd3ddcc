"""Finds every message id in the sources of the command line, by reading them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import publisher

HOME = Path(publisher.__file__).parent
SOURCES = sorted([*(HOME / "commands").glob("*.py"), HOME / "cli.py", HOME / "first_start.py"])
# Function or method -> which argument holds the message.
PLACES = {"mark": 0, "bilingual": 0, "say": 0, "head": 0, "words": 0, "progress": 0, "table": 0, "fine": 1}
PLACE = re.compile(r"\{(\w+)\}")


def message_ids() -> set[str]:
    found = {m for path in SOURCES for m in _in(ast.parse(path.read_text("utf-8")))}
    return {m for m in found if re.search(r"[A-Za-z]", PLACE.sub("", m))}


def _in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if name in PLACES and len(node.args) > PLACES[name]:
                yield from _texts(node.args[PLACES[name]])


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Tuple):
        for part in node.elts:
            yield from _texts(part)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
