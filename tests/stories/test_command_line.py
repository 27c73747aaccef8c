"""The command line as scripts see it: exit codes, one JSON document, one clear sentence, no traceback."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from bot.cli import run
from generation.families.tiny import build_tiny_model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VERSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VERSO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out
    return captured.out, captured.err


def test_one_picture_through_the_whole_path(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["imagine", "a red apple on a blue plate", "--json"]) == 5
    document = json.loads(told(capsys)[0])
    assert document["status"] == "terms_required"
    assert document["license"]["accepted_at"] is None

    assert run(["imagine", "a red apple on a blue plate", "--accept-terms", "--seed", "3", "--json"]) == 0
    document = json.loads(told(capsys)[0])
    assert document["status"] == "posted"
    (image,) = document["images"]
    assert (image["seed"], image["width"], image["height"]) == (3, 512, 512)
    assert {"title", "author", "license", "source", "share"} == set(image["credits"][0])
    assert set(image["receipt"]) >= {
        "leaf_index",
        "tree_size",
        "root_hash",
        "leaf",
        "inclusion_proof",
        "checkpoint",
    }
    assert document["license"]["accepted_at"].endswith("Z")
    assert document["timings"]["total_s"] > 0
    file = Path(image["path"])
    with Image.open(file) as picture:
        picture.load()

    assert run(["whomade", str(file), "--json"]) == 0
    (match,) = json.loads(told(capsys)[0])["matches"]
    assert (match["image_id"], match["confidence"]) == (image["image_id"], "certain")

    bundle = home / "bundle.zip"
    assert run(["evidence", image["image_id"], "--out", str(bundle), "--json"]) == 0
    told(capsys)
    assert run(["verify", str(bundle), "--json"]) == 0
    assert json.loads(told(capsys)[0])["self_certified"] is True
    damaged = bytearray(bundle.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    bundle.write_bytes(damaged)
    assert run(["verify", str(bundle), "--json"]) == 1
    assert json.loads(told(capsys)[0])["ok"] is False

    assert run(["account", "show", "root" if os.geteuid() == 0 else os.environ["USER"], "--json"]) == 0
    events = json.loads(told(capsys)[0])["events"]
    assert [e["kind"] for e in events][:3] == ["terms_accepted", "prompt_submitted", "job_accepted"]
    assert run(["ledger", "audit", "--json"]) == 0
    assert json.loads(told(capsys)[0])["ok"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["imagine", "", "--json"], 2, "usage"),
        (["imagine", "x" * 10_000, "--json"], 2, "usage"),
        (["imagine", "a dog", "--count", "5", "--json"], 2, "usage"),
        (["imagine", "a dog", "--model", "nope", "--json"], 2, "usage"),
        (["imagine", "a dog", "--nonsense", "--json"], 2, "usage"),
        (["whomade", "no-such-file.png", "--json"], 2, "usage"),
        (["account", "show", "nobody", "--json"], 1, "not_found"),
        (["vary", "0123456789abcdef", "--json"], 1, "not_found"),
    ],
)
def test_wrong_use_is_one_document_and_the_right_code(
    arguments: list[str], code: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    out, err = told(capsys)
    document = json.loads(out)
    assert document["status"] == "failed"
    assert document["error"]["code"] == error
    assert len(err.strip().splitlines()) >= 1


def test_a_blocked_prompt_exits_3_and_quotes_its_clause(capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "explicit pornographic scene of a naked woman having sex"
    assert run(["imagine", prompt, "--accept-terms", "--json"]) == 3
    document = json.loads(told(capsys)[0])
    assert document["status"] == "blocked"
    gravest = document["verdict"]["findings"][0]
    assert gravest["category"] == "sexual"
    assert gravest["clause"]


def test_hostile_files_are_refused_in_a_sentence(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    bomb = home / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    archive = home / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("record.json", b"0" * 50_000_000)
    noise = home / "noise.bin"
    noise.write_bytes(os.urandom(2048))
    for file, command in ((bomb, "whomade"), (noise, "whomade"), (archive, "verify"), (noise, "verify")):
        assert run([command, str(file)]) == 1, (file, command)
        out, err = told(capsys)
        assert 1 <= len((out + err).strip().splitlines()) <= 6


def test_a_database_that_is_none_and_keys_that_are_open(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    data = home / "data"
    data.mkdir()
    (data / "verso.db").write_bytes(b"no database at all" * 400)
    assert run(["ledger", "head"]) == 1
    assert "database cannot be used" in told(capsys)[1]
    (data / "verso.db").unlink()
    assert run(["ledger", "head"]) == 0
    told(capsys)
    key = next((data / "keys").glob("ledger*"))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    assert run(["ledger", "head"]) == 1
    assert "chmod 600" in " ".join(told(capsys)[1].split())


def test_screen_reads_lines_in_order(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    lines = [{"id": n, "text": text} for n, text in enumerate(["a red apple", "", "a green pear \ud83c"])]
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(json.dumps(line) + "\n" for line in lines)))
    assert run(["screen", "--jsonl"]) == 0
    answers = [json.loads(line) for line in told(capsys)[0].splitlines()]
    assert [a["id"] for a in answers] == [0, 1, 2]
    assert answers[0]["action"] == "allow"
    assert len(answers[0]["scores"]) == 11


def test_a_closed_license_gate_shows_before_anybody_asks(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = build_tiny_model(home / "tiny")
    (home / "catalog.toml").write_text(
        f"""[[model]]
id = "tiny"
name = "Tiny"
family = "stable_diffusion"
folder = "{card.folder}"
revision = "1"
weights_sha256 = "{card.weights_sha256}"
license_id = "LicenseRef-Stability-AI-Community"
width = 64
height = 64
max_pixels = 4096
default_steps = 4
max_steps = 8
default_guidance = 1.0
"""
    )
    monkeypatch.setenv("VERSO_CATALOG__PATH", str(home / "catalog.toml"))
    monkeypatch.setenv("VERSO_WORKSPACE__COMMERCIAL", "true")
    monkeypatch.setenv("VERSO_WORKSPACE__REVENUE_USD", "5000000")
    assert run(["models", "list", "--json"]) == 0
    closed = {model["id"]: model["closed"] for model in json.loads(told(capsys)[0])}
    assert closed["sticker-v1"] is None
    assert "1,000,000" in closed["tiny"]
    assert run(["imagine", "a dog", "--model", "tiny", "--accept-terms", "--json"]) == 1
    assert json.loads(told(capsys)[0])["status"] == "failed"

    monkeypatch.setenv("VERSO_WORKSPACE__REVENUE_USD", "5000")
    assert run(["models", "list"]) == 0
    assert "closed" not in told(capsys)[0]
