"""Every sentence that people read exists in both languages, with the same places, and no catalogue holds more."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from house_plan import BRICKS, ROOT, modules

from publisher.texts import bilingual

CATALOGUES = ROOT / "publisher" / "locale" / "zh_CN"
TEMPLATES = ROOT / "publisher" / "web"
# Whose first argument is a message id. The store's refusals carry theirs as a template that the desk says in both.
DOORS = {"bilingual", "translate", "mark", "Conflict", "Unknown", "Forbidden"}
PLACE = re.compile(r"\{(\w+)\}")


@cache
def entries() -> dict[str, list[tuple[str, str]]]:
    """English -> (catalogue, Chinese), once for each catalogue that has it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted(CATALOGUES.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale="zh_CN", abort_invalid=True):
                if message.id:
                    found.setdefault(str(message.id), []).append((path.name, str(message.string)))
    return found


def literals(node: ast.expr, known: dict[str, list[str]]) -> Iterator[str]:
    """The texts an argument may be: itself, either branch of a choice, a constant of the module, a table's values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body, known)
        yield from literals(node.orelse, known)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from literals(value, known)
    elif isinstance(node, ast.Name):
        yield from known.get(node.id, ())
    elif isinstance(node, ast.Subscript):
        yield from literals(node.value, known)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        yield from literals(node.func.value, known)
        yield from (text for default in node.args[1:] for text in literals(default, known))


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """NAME -> its text, or the texts of its table, for the assignments of a module."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target if _annotated(node) else None
        if isinstance(target, ast.Name) and (value := node.value):  # type: ignore[union-attr]
            parts = value.values if isinstance(value, ast.Dict) else [value]
            found[target.id] = [text for part in parts for text in literals(part, {})]
    return found


def _annotated(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign)


def said_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    known = constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in DOORS:
            for text in literals(node.args[0], known):
                yield node.lineno, text


def _name(func: ast.expr) -> str:
    """`str.translate` is another thing: only bare names count."""
    return func.id if isinstance(func, ast.Name) else ""


@cache
def said() -> dict[str, str]:
    """Message id -> a place that says it."""
    found: dict[str, str] = {}
    for path, tree in modules(*BRICKS).items():
        for line, text in said_in(tree):
            found.setdefault(text, f"{path}:{line}")
    for template in sorted(TEMPLATES.rglob("*.html")):
        for text in template_ids(template):
            found.setdefault(text, str(template.relative_to(ROOT)))
    return found


def template_ids(path: Path) -> list[str]:
    pairs = re.findall(r"""\b_\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")""", path.read_text("utf-8"))
    return [one or other for one, other in pairs]


@cache
def every_text() -> frozenset[str]:
    """All string constants of the product: a wrapper of its own may hand any of them on."""
    return frozenset(
        node.value
        for tree in modules(*BRICKS).values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_every_message_has_its_chinese() -> None:
    wanted = {text: where for text, where in said().items() if any(map(str.isalpha, PLACE.sub("", text)))}
    assert {text: where for text, where in wanted.items() if text not in entries()} == {}


def test_no_entry_is_empty_or_still_english() -> None:
    empty = [text for text, found in entries().items() if not all(chinese for _, chinese in found)]
    assert empty == []
    same = [text for text, found in entries().items() if any(chinese == text for _, chinese in found)]
    assert [text for text in same if re.search(r"[a-z]{3} [a-z]{3}", text)] == []


def test_both_languages_have_the_same_places() -> None:
    unlike = {
        text: chinese
        for text, found in entries().items()
        for _, chinese in found
        if set(PLACE.findall(text)) != set(PLACE.findall(chinese))
    }
    assert unlike == {}


def test_no_entry_is_left_over() -> None:
    in_templates = {text for path in TEMPLATES.rglob("*.html") for text in template_ids(path)}
    assert [(text, found[0][0]) for text, found in entries().items() if text not in every_text() | in_templates] == []


def test_one_english_sentence_has_one_chinese() -> None:
    unlike = {t: found for t, found in entries().items() if len({chinese for _, chinese in found}) > 1}
    assert unlike == {}


def test_no_catalogue_says_a_thing_twice() -> None:
    twice = []
    for path in sorted(CATALOGUES.glob("*.po")):
        found = re.findall(r'(?m)^msgid ((?:".*"\n?)+)', path.read_text("utf-8"))
        ids = ["".join(re.findall(r'"(.*)"', block)) for block in found]
        twice += [(path.name, i) for i in ids if ids.count(i) > 1]
    assert twice == []


@pytest.mark.parametrize("path", sorted(CATALOGUES.glob("*.po")), ids=lambda p: p.name)
def test_a_catalogue_has_a_header(path: Path) -> None:
    head = path.read_text("utf-8").split("\n\n")[0]
    assert "charset=utf-8" in head.lower()
    assert "zh_CN" in head


def test_a_message_comes_out_in_chinese() -> None:
    """The catalogues are found, merged and filled where the product looks for them."""
    text = next(t for t in said() if "{" not in t and t in entries())
    assert bilingual(text).zh == entries()[text][0][1] != text


def test_the_search_sees_what_is_said() -> None:
    tree = ast.parse(
        'A = "one"\nB: dict[str, str] = {"k": "two", "l": mark("three")}\n'
        'def f(x):\n    bilingual("four" if x else A, n=1)\n    translate(B.get(x, "five"), "zh")\n'
        '    "a".translate("six")\n    bilingual(B[x])\n    raise Conflict("seven {id}", id=x)\n'
    )
    assert {text for _, text in said_in(tree)} == {"one", "two", "three", "four", "five", "seven {id}"}
