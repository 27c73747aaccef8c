"""House rules that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("bot", "generation", "moderation", "attribution", "migrations", "tools")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TRADES = ("generation", "moderation", "attribution")

READS_ENVIRONMENT = {"bot/settings.py", "bot/compose.py"}
READS_SETTINGS = {"bot/settings.py", "bot/compose.py", "bot/serve.py", "bot/bench.py"}
"""`serve` composes the processes of a server, `bench` a house of its own, as `compose` does the rooms."""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_command_line(path: Path) -> bool:
    return relative(path) == "bot/cli.py" or relative(path).startswith("bot/cli/")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def environment_reads(tree: ast.AST) -> Iterator[int]:
    """Lines that read the environment. Setting what a third-party library reads is no reading."""
    setting = {
        id(node.value.func.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr in {"setdefault", "update"}
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in setting:
            if node.attr in {"environ", "environb", "getenv", "getenvb"}:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for alias in node.names if alias.name in {"environ", "getenv"})


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import os\nos.environ['A']", [2]),
        ("import os\nx = os.environ.get('A')", [2]),
        ("import os\nos.getenv('A')", [2]),
        ("from os import environ", [1]),
        ("import os\nx = os.environ.setdefault('A', 'b')", [2]),
        ("import os\nos.environ.setdefault('A', 'b')", []),
        ("import os\nos.environ.update(A='b')", []),
    ],
)
def test_reading_is_told_from_setting(source: str, lines: list[int]):
    assert list(environment_reads(ast.parse(source))) == lines


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def test_there_is_something_to_look_at(trees: dict[Path, ast.Module]):
    assert len(trees) > 40


def test_every_file_says_what_it_is_for(trees: dict[Path, ast.Module]):
    silent = [relative(path) for path, tree in trees.items() if not ast.get_docstring(tree)]
    assert silent == []


def test_no_file_is_a_drawer_for_leftovers():
    leftovers = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert [relative(path) for path in FILES if path.name in leftovers] == []


def test_every_trade_has_the_same_rooms():
    for trade in TRADES:
        present = {path.name for path in (ROOT / trade).glob("*.py")}
        assert {"__init__.py", "errors.py", "tables.py"} <= present, trade


def test_the_environment_is_read_in_one_place(trees: dict[Path, ast.Module]):
    readers = {
        f"{relative(path)}:{line}"
        for path, tree in trees.items()
        for line in environment_reads(tree)
        if relative(path) not in READS_ENVIRONMENT and not is_command_line(path)
    }
    assert readers == set()


def test_settings_are_read_in_one_place(trees: dict[Path, ast.Module]):
    readers = {
        relative(path)
        for path, tree in trees.items()
        if {"bot.settings", "pydantic_settings"} & set(imported(tree))
        and relative(path) not in READS_SETTINGS
        and not relative(path).startswith("bot/composition/")
        and not is_command_line(path)
    }
    assert readers == set()


def test_no_broad_except_is_silent(trees: dict[Path, ast.Module]):
    silent = [
        f"{relative(path)}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body)
    ]
    assert silent == []


def test_errors_end_in_error_and_speak():
    import importlib

    for room in (*TRADES, "bot"):
        module = importlib.import_module(f"{room}.errors")
        own = [
            item
            for item in vars(module).values()
            if isinstance(item, type) and item.__module__ == module.__name__
        ]
        assert own
        for item in own:
            assert item.__name__.endswith("Error"), item
            assert item.__doc__, item


def test_test_files_have_unique_names():
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
