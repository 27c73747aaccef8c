"""What `verso models show` prints of a license, and the operator's own folder of licenses."""

from __future__ import annotations

import hashlib
import os
from importlib import resources
from pathlib import Path

import pytest

from bot.cli import run

OWN = """
id = "Apache-2.0"
name = "Apache License 2.0, as our counsel reads it"
edition = "2.0"
url = "https://license.example/apache"
enabled = true
confidence = "text"
commercial = "yes"
output = "Ours to use."
pass_on = "Nothing."
territory = "worldwide"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_full_text_is_printed_with_its_digest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show"]) == 0
    shown = capsys.readouterr().out
    text = (resources.files("attribution") / "licenses" / "Apache-2.0.txt").read_text()
    assert text.strip() in shown
    assert hashlib.sha256(text.encode()).hexdigest() in shown
    assert "common-licenses" in shown


def test_the_operators_folder_replaces_a_license(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "licenses").mkdir()
    (home / "licenses" / "apache.toml").write_text(OWN)
    monkeypatch.setenv("VERSO_LICENSES__PATH", "licenses")
    assert run(["models", "show"]) == 0
    shown = capsys.readouterr().out
    assert "as our counsel reads it" in shown
    assert "The full text is not stored here. It is at https://license.example/apache" in " ".join(
        shown.split()
    )
    assert run(["models", "list"]) == 0
    assert "counsel" in " ".join(capsys.readouterr().out.split())
    (home / "licenses" / "apache.toml").write_text(OWN.replace('"yes"', '"perhaps"'))
    assert run(["models", "list"]) != 0
    assert "apache.toml" in capsys.readouterr().err
