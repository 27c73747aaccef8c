"""The set-up, run by the real make on a Python that only writes down what it is asked to do."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RECORDER = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in *FAIL_HERE*) exit 1;; esac
exit 0
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORDER.format(log=tmp_path / "log"), encoding="utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return folder


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the project's own Makefile
        ["make", *words],  # noqa: S607 - whichever make the user has
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def installs(folder: Path, *words: str) -> list[str]:
    """What `make install...` asks pip for."""
    log = folder.parent / "log"
    log.unlink(missing_ok=True)
    done = make(folder, *words)
    assert done.returncode == 0, done.stderr
    calls = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [call for call in calls if " install " in call]


def test_set_up_installs_hashed_libraries_then_torch_then_verso(checkout: Path):
    libraries, torch, verso = installs(checkout, "install")
    assert "--require-hashes" in libraries
    assert "--only-binary :all:" in libraries
    assert libraries.endswith("-r requirements.lock")
    assert re.search(r" torch==[\d.]+$", torch)
    assert "--index-url" not in torch
    assert verso.endswith("--no-deps --no-build-isolation --editable .")


def test_a_second_run_does_nothing(checkout: Path):
    assert installs(checkout, "install-dev")
    assert installs(checkout, "install-dev") == []


def test_clocks_do_not_matter(checkout: Path):
    installs(checkout, "install-dev")
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "Makefile"):
        os.utime(checkout / name, (4e9, 4e9))
    assert installs(checkout, "install-dev") == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("requirements.lock", "-r requirements.lock"),
        ("requirements-dev.lock", "-r requirements-dev.lock"),
        ("pyproject.toml", "--editable ."),
    ],
)
def test_a_changed_input_is_installed_again(checkout: Path, name: str, word: str):
    installs(checkout, "install-dev")
    with (checkout / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert word in installs(checkout, "install-dev")[0]
    assert installs(checkout, "install-dev") == []


def test_an_index_of_ones_own_replaces_torch(checkout: Path):
    installs(checkout, "install")
    (torch,) = installs(checkout, "install", "TORCH_INDEX=https://index.example/cpu")
    assert "--index-url https://index.example/cpu" in torch
    assert installs(checkout, "install", "TORCH_INDEX=https://index.example/cpu") == []
    assert installs(checkout, "install") == [], "the build that is there will do"


def test_an_interrupted_step_is_repeated(checkout: Path):
    assert make(checkout, "install", "TORCH_VERSION=FAIL_HERE").returncode != 0
    torch, _ = installs(checkout, "install")
    assert "torch==" in torch, "the libraries had been finished, torch had not"


def test_a_python_that_went_away_means_a_fresh_set_up(checkout: Path):
    installs(checkout, "install")
    stamps = checkout / ".venv" / "stamps"
    assert any(stamps.iterdir())
    (checkout / ".venv" / "bin" / "python").unlink()
    assert make(checkout, "help").returncode == 0
    assert not stamps.exists()


def test_another_python_is_refused_in_one_sentence(checkout: Path):
    shutil.rmtree(checkout / ".venv")
    done = make(checkout, "install", "PYTHON=/nonexistent/python")
    assert done.returncode == 2
    assert "Verso needs Python 3.11, and '/nonexistent/python' is not one." in done.stderr
    assert not (checkout / ".venv").exists()


def test_help_names_every_target(checkout: Path):
    listed = set(re.findall(r"^  make ([a-z-]+)", make(checkout).stdout, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", (checkout / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    assert listed == set(phony[1].split())


def test_a_prompt_cannot_run_a_command(checkout: Path):
    verso = checkout / ".venv" / "bin" / "verso"
    shutil.copy(checkout / ".venv" / "bin" / "python", verso)
    prompt = 'a cat"; touch broken; echo "`touch broken`\' $(touch broken)'
    done = make(checkout, "demo", f"PROMPT={prompt.replace('$', '$$')}")
    assert done.returncode == 0, done.stderr
    assert not (checkout / "broken").exists()
    assert f"imagine --accept-terms -- {prompt}" in (checkout.parent / "log").read_text(encoding="utf-8")
