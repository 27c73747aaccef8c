"""The documents speak of what exists: commands, options, settings, links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

ROOT = Path(__file__).parents[2]
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "THIRD-PARTY-NOTICES.md")
DOCUMENTS = sorted([*(ROOT / name for name in TOP), *(ROOT / "docs").rglob("*.md")])
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def commands(text: str, program: str) -> Iterator[list[str]]:
    """What documents tell the reader to type: in fences, and between single backticks."""
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from command_of(line, program)
    for span in INLINE.findall(FENCE.sub("", text)):
        yield from command_of(span, program)


def command_of(line: str, program: str) -> Iterator[list[str]]:
    words = shlex.split(line.removeprefix("$ "), comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # settings in front of a command
        del words[0]
    if words and words[0].removeprefix(".venv/bin/") == program:
        yield words[1:]


def heading_anchors(text: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)
    return set(plain)


@pytest.fixture(scope="module")
def cli() -> click.Command:
    import typer

    from bot.cli import app

    return typer.main.get_command(app)


def options_of(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("name", NAMES)
def test_every_verso_command_exists(name: str, cli: click.Command):
    for words in commands(read(name), "verso"):
        command, rest = cli, list(words)
        while rest and hasattr(command, "commands") and not rest[0].startswith("-"):
            assert rest[0] in command.commands, f"{name}: verso {' '.join(words)}"
            command = command.commands[rest.pop(0)]
        known = options_of(command) | {"--help"}
        for word in rest:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{name}: verso {' '.join(words)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_make_command_exists(name: str):
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for words in commands(read(name), "make"):
        for word in words:
            variable, equals, _ = word.partition("=")
            assert variable in (variables if equals else targets), f"{name}: make {' '.join(words)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str):
    text = read(name)
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "http://www.apache.org/", "mailto:")) or "://" in target
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name} links to {target}"
        assert path.resolve().is_relative_to(ROOT), f"{name} links out of the project: {target}"
        if anchor:
            assert anchor in heading_anchors(path.read_text(encoding="utf-8")), f"{name} links to {target}"


@pytest.mark.parametrize("name", NAMES)
def test_every_file_named_exists(name: str):
    text = FENCE.sub("", read(name))
    rooms = "attribution|bot|docs|generation|migrations|moderation|tests|tools"
    for span in INLINE.findall(text):
        if re.fullmatch(rf"(?:{rooms})/[\w./-]+", span) and "yours" not in span:
            assert (ROOT / span).exists(), f"{name} names {span}"


def leaves(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from leaves(field.annotation, f"{variable}__")
        else:
            yield variable


def test_the_example_lists_every_setting_and_no_other():
    from bot.settings import Settings

    listed = re.findall(r"^#?(VERSO_\w+)=", read(".env.example"), re.MULTILINE)
    assert sorted(listed) == sorted(leaves(Settings, "VERSO_"))


def test_the_example_shows_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from bot.settings import Settings, load_settings

    for variable in leaves(Settings, "VERSO_"):
        monkeypatch.delenv(variable, raising=False)
    example = tmp_path / "env"
    shown = (line.removeprefix("#") for line in read(".env.example").splitlines())
    filled = [line for line in shown if re.match(r"VERSO_\w+=.", line)]
    example.write_text("\n".join(filled), encoding="utf-8")
    assert load_settings(example) == load_settings(None)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CHANGELOG.md"])
def test_every_setting_named_exists(name: str):
    from bot.settings import Settings

    known = set(leaves(Settings, "VERSO_"))
    for variable in re.findall(r"\bVERSO_[A-Z_]+[A-Z]\b", read(name)):
        assert variable in known, f"{name} names {variable}"


def test_the_changelog_knows_this_version():
    import tomllib

    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert re.search(rf"^## \[(Unreleased|{re.escape(version)})\]", read("CHANGELOG.md"), re.MULTILINE)


def test_every_decision_has_its_four_parts():
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert len(decisions) >= 6
    for number, path in enumerate(decisions, start=1):
        assert path.name.startswith(f"{number:04d}-")
        titles = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert titles == ["Context", "Options", "Decision", "Cost"], path.name


def test_each_recipe_names_one_small_file_to_copy():
    recipes = re.split(r"^## ", read("docs/adding.md"), flags=re.MULTILINE)[1:]
    assert len(recipes) >= 4
    for recipe in recipes[:4]:
        copied = re.search(r"^1\. Copy `([\w./-]+)`", recipe, re.MULTILINE)
        assert copied is not None, recipe[:40]
        path = ROOT / copied[1]
        size = sum(
            len(file.read_bytes().splitlines()) for file in ([path] if path.is_file() else path.rglob("*.py"))
        )
        assert 0 < size <= 400, f"{copied[1]} is no small file"
