"""Third parties have one door each, the settings one reader, and the bricks know only themselves.

Import-linter holds the lines between the bricks; here is what it cannot say: which module of a brick may open
which door, where a door is a part of a package, and whether `config` has a second reader.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

import pytest
from house_plan import BRICKS, imports, modules

# What is imported -> where it may be.
DOORS: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("content_queue/",),
    "alembic": ("content_queue/migrations/",),
    "psycopg": ("content_queue/",),
    "sqlite3": ("content_queue/",),
    "apscheduler": ("publisher/schedule.py",),
    "feedgen": ("publisher/web/feeds/",),
    "tenacity": ("channels/transport.py",),
    "aiosmtplib": ("channels/mail.py",),
    "aiomqtt": ("channels/broker.py",),
    "jwt": ("channels/adapters/fcm/form.py", "channels/sandbox/fcm.py"),
    "prometheus_client": ("publisher/metrics.py",),
    "opencc": ("publisher/checklist/", "publisher/editions.py"),
    "stdnum": ("publisher/checklist/",),
    "jinja2": ("publisher/web/pages/",),
    "babel": ("publisher/texts.py",),
    "rich": ("publisher/tables.py", "publisher/commands/"),
    "click": ("publisher/cli.py", "publisher/commands/"),
    "yaml": ("publisher/intake/",),
    "markdown_it": ("publisher/intake/",),
    "filetype": ("publisher/intake/",),
    "pydantic_settings": ("config/",),
    "uvloop": ("publisher/commands/base.py",),
    "config": ("publisher/app.py", "config/"),
}
# aiohttp has two sides. `web` is the way in, everything else the way out.
WAY_IN = ("publisher/web/", "channels/sandbox/")
WAY_OUT = ("channels/transport.py",)
CLIENT_NAMES = {"ClientSession", "ClientTimeout", "TCPConnector", "ClientError", "ClientResponse", "client"}


def strangers(name: str, allowed: tuple[str, ...]) -> list[str]:
    """Modules outside `allowed` that import `name` or a part of it."""
    return [
        path
        for path, tree in modules(*BRICKS).items()
        if not path.startswith(allowed) and any(within(i, name) for i in imports(tree))
    ]


def within(imported: str, name: str) -> bool:
    return imported == name or imported.startswith(name + ".")


@pytest.mark.parametrize("name", DOORS)
def test_a_third_party_has_one_door(name: str) -> None:
    assert strangers(name, DOORS[name]) == []


@pytest.mark.parametrize("name", DOORS)
def test_every_door_is_used(name: str) -> None:
    assert any(within(i, name) for tree in modules(*BRICKS).values() for i in imports(tree))


def test_requests_leave_through_the_transport_alone() -> None:
    out = [
        path
        for path, tree in modules(*BRICKS).items()
        if not path.startswith(WAY_OUT) and any(_client(i, tree) for i in imports(tree))
    ]
    assert out == []


def _client(imported: str, tree: ast.Module) -> bool:
    """`import aiohttp` gives both sides: then it counts what is taken from it."""
    if imported == "aiohttp":
        return any(isinstance(node, ast.Attribute) and node.attr in CLIENT_NAMES for node in ast.walk(tree))
    return imported.startswith("aiohttp.client") or imported.removeprefix("aiohttp.") in CLIENT_NAMES


def test_requests_come_in_through_the_web_alone() -> None:
    found = strangers("aiohttp.web", WAY_IN)
    assert found == []


ELSEWHERE = ("urllib.request", "http.client", "requests", "httpx", "smtplib", "ftplib", "xmlrpc", "paho")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_there_is_no_other_way_out(name: str) -> None:
    assert strangers(name, ()) == []


def test_a_stranger_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    odd: Callable[..., dict[str, ast.Module]] = lambda *_: {  # noqa: E731
        "publisher/desk.py": ast.parse("def f():\n    from sqlalchemy.engine import Engine"),
        "publisher/sqlalchemy_words.py": ast.parse("import sqlalchemyx"),
    }
    monkeypatch.setattr("test_house_doors.modules", odd)
    assert strangers("sqlalchemy", ("content_queue/",)) == ["publisher/desk.py"]


# A bare name in a task set nobody keeps: it may be collected half-way, and nobody hears its failure.
def test_no_task_is_without_an_owner() -> None:
    makers = {"create_task", "ensure_future"}
    orphans = [
        f"{path}:{node.lineno}"
        for path, tree in modules(*BRICKS).items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in makers
    ]
    assert orphans == []


PURE = ("publisher/retry.py", "publisher/checklist/", "content_queue/audit_log/", "channels/adapters/")
CLOCKS = {"time.time", "time.monotonic", "datetime.now", "datetime.today", "date.today", "time.sleep", "asyncio.sleep"}


def test_pure_parts_ask_no_clock_and_never_sleep() -> None:
    asked = [
        f"{path}:{node.lineno}"
        for path, tree in modules(*BRICKS).items()
        if path.startswith(PURE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).removeprefix("datetime.") in CLOCKS
    ]
    assert asked == []
