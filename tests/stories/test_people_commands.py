"""The moderators' commands as scripts see them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bot.cli import run

NAME = "Marlo Quibblestone"
ASKED = ["--for", "The estate", "--reason", "no likeness"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> object:
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_protected_name_from_the_shell(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    entry = answer(capsys, "protect", "name", NAME, *ASKED, "--as", "mo")
    assert (entry["kind"], entry["action"], entry["candidates"]) == ("name", "hold", [])
    (listed,) = answer(capsys, "protect", "list")
    assert (listed["id"], listed["requested_by"], listed["reason"]) == (
        entry["id"],
        "The estate",
        "no likeness",
    )
    assert run(["imagine", f"a bust of {NAME}", "--accept-terms", "--json"]) == 4
    held = json.loads(capsys.readouterr().out)
    assert held["verdict"]["findings"][0]["clause"] == "house/rights_holder"

    day = answer(capsys, "review", "digest")
    assert [one["id"] for one in day["reviews"]] == [held["review_id"]]
    assert {"content": "prompt", "action": "hold", "category": "real_person", "count": 1} in day["counts"]
    (policy,) = answer(capsys, "review", "policies")
    assert policy["name"] == "community"
    assert answer(capsys, "review", "takedown", "list") == []
    assert answer(capsys, "review", "quarantine", "list") == []

    assert run(["protect", "remove", entry["id"]]) == 0
    capsys.readouterr()
    replayed = answer(capsys, "screen", "--recorded", "--since", "1d")
    assert replayed["screened"] == 1
    (change,) = replayed["changes"]
    assert (change["old"], change["new"]) == ("hold", "allow")
    assert "prompt" not in change
    assert run(["screen", "--recorded"]) == 0
    assert NAME not in capsys.readouterr().out
    shown = answer(capsys, "screen", "--recorded", "--show-prompts")
    assert shown["changes"][0]["prompt"] == f"a bust of {NAME}"

    case = answer(capsys, "review", "quarantine", "add", held["review_id"])
    assert case["what"] == "prompt"
    assert answer(capsys, "review", "quarantine", "show", case["id"])["id"] == case["id"]
    secret = home / "secret"
    secret.write_text("a long enough passphrase\n")
    out = home / "case.bin"
    export = ["review", "quarantine", "export", case["id"], "--out", str(out)]
    assert run([*export, "--passphrase-file", str(secret), "--confirm", "yes"]) == 2
    assert not out.exists()
    assert run([*export, "--passphrase-file", str(secret), "--confirm", case["id"]]) == 0
    assert out.read_bytes().startswith(b"Salted__")
    assert out.stat().st_mode & 0o077 == 0
    assert NAME not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["protect", "name", "ab", *ASKED], "too short"),
        (["protect", "name", NAME, *ASKED, "--received", "yesterday"], "no moment"),
        (["protect", "image", "missing.png", *ASKED], "cannot be read"),
        (["protect", "remove", "none"], "no protected entry"),
        (["review", "takedown", "confirm", "none"], "no take-down"),
        (["review", "takedown", "open", "none", *ASKED], "no image"),
        (["review", "quarantine", "show", "none"], "no quarantine case"),
        (["screen"], "one of a text"),
        (["screen", "--recorded", "--since", "soon"], "neither days"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert run(arguments) in {1, 2}
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
