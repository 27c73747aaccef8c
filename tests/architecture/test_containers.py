"""The container files do what the Makefile does, and nothing besides."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile."""

    stage: str
    name: str
    value: str


def parse_dockerfile(text: str) -> list[Instruction]:
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: list[Instruction] = []
    stage = ""
    for line in re.sub(r"\\\n\s*", " ", lines).splitlines():
        if not line.strip():
            continue
        name, _, value = line.partition(" ")
        if name == "FROM":
            stage = value.rsplit(" AS ", 1)[1]
        found.append(Instruction(stage=stage, name=name, value=value.strip()))
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[Instruction]:
    return parse_dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def values(instructions: list[Instruction], name: str) -> list[str]:
    return [item.value for item in instructions if item.name == name]


def stages(instructions: list[Instruction]) -> dict[str, str]:
    return {item.stage: item.value.partition(" ")[0] for item in instructions if item.name == "FROM"}


def lineage(instructions: list[Instruction], stage: str) -> list[Instruction]:
    """The instructions of a stage and of those it stands on, oldest first."""
    parents = stages(instructions)
    chain = [stage]
    while parents[chain[-1]] in parents:
        chain.append(parents[chain[-1]])
    return [item for name in reversed(chain) for item in instructions if item.stage == name]


def test_every_step_of_the_build_is_the_makefiles(dockerfile: list[Instruction], targets: set[str]):
    steps = [item.value.split() for item in dockerfile if item.name == "RUN" and item.stage == "build"]
    assert [step[0] for step in steps] == ["make", "make"]
    words = [word for step in steps for word in step[1:] if not word.startswith("TORCH_INDEX=")]
    assert words == ["libraries", "install", "compile"]
    assert set(words) <= targets
    others = [item.value for item in dockerfile if item.name == "RUN" and item.stage != "build"]
    assert not any(re.search(r"\bpip\b|\bcurl\b|\bwget\b|://", step) for step in others)


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_both_images_are_finished(dockerfile: list[Instruction], target: str):
    steps = lineage(dockerfile, target)
    assert json.loads(values(steps, "CMD")[-1]) == ["make", "serve"]
    assert values(steps, "USER")[-1] not in {"root", "0"}
    assert values(steps, "VOLUME") == ["/data"]
    assert any("VERSO_DATA_DIR=/data" in value for value in values(steps, "ENV"))
    assert any(f"VERSO_ENGINE__DEVICE={target}" in value for value in values(steps, "ENV"))
    check = values(steps, "HEALTHCHECK")[-1]
    assert json.loads(check[check.index("[") :]) == [".venv/bin/verso", "doctor", "--health"]
    assert "COPY" not in {item.name for item in steps if item.value.startswith(". ")}, (
        "the context is for the builder"
    )


def test_no_stage_runs_as_root_after_the_user_is_set(dockerfile: list[Instruction]):
    steps = lineage(dockerfile, "cpu")
    user = next(number for number, item in enumerate(steps) if item.name == "USER")
    assert "RUN" not in {item.name for item in steps[user:]}


def test_the_last_stage_is_the_one_for_every_machine(dockerfile: list[Instruction]):
    assert list(stages(dockerfile))[-1] == "cpu"


def test_the_build_sees_all_it_copies_and_no_secret(dockerfile: list[Instruction]):
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert rules[0] == "*"
    admitted = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    for value in values(dockerfile, "COPY"):
        *sources, _target = value.split()
        for source in sources:
            if source != "." and not source.startswith(("--from", "/")):
                assert source in admitted
    assert {"bot", "generation", "moderation", "attribution", "migrations", "pyproject.toml"} <= admitted
    assert all((ROOT / name).exists() for name in admitted)
    for secret in (".env", "data", "keys", ".git", ".venv"):
        assert not any(fnmatch.fnmatch(secret, rule) for rule in admitted)


def test_compose_runs_the_makefiles_steps(compose: dict, targets: set[str]):
    own = {name: service for name, service in compose["services"].items() if "build" in service}
    assert set(own) == {"verso", "verso-cuda", "worker"}
    for name, service in own.items():
        program, *words = service["command"]
        assert program == "make"
        assert words == (["worker"] if name == "worker" else ["serve"])
        assert set(words) <= targets
        assert service["build"]["context"] == "."
        assert "data:/data" in service["volumes"]
        assert service["env_file"] == [{"path": ".env", "required": False}]
    assert compose["services"]["verso"]["build"]["target"] == "cpu"
    assert compose["services"]["verso-cuda"]["build"]["target"] == "cuda"


def test_compose_starts_one_service_unless_asked(compose: dict):
    assert [name for name, service in compose["services"].items() if "profiles" not in service] == ["verso"]
    assert compose["services"]["postgres"]["profiles"] == ["postgres"]
    assert set(compose["volumes"]) == {"data", "postgres"}


def test_compose_gives_no_more_rights_than_needed(compose: dict):
    for name, service in compose["services"].items():
        assert not service.get("privileged"), name
        if name != "postgres":
            assert service["cap_drop"] == ["ALL"]
            assert service["read_only"] is True


def test_compose_targets_exist(compose: dict, dockerfile: list[Instruction]):
    built = {service["build"]["target"] for service in compose["services"].values() if "build" in service}
    assert built <= set(stages(dockerfile))
