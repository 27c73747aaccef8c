"""The lock's format, and what the check finds."""

from __future__ import annotations

import dataclasses

import pytest
from packaging.requirements import Requirement

from tools.lock import LockError, Pin, Project, parse, problems, render

HASH = "sha256:" + "0a" * 32
OTHER = "sha256:" + "1b" * 32


def a_pin(name: str = "thing", version: str = "1.2", hashes: tuple[str, ...] = (HASH,)) -> Pin:
    return Pin(name=name, version=version, hashes=hashes)


def a_project(
    *, runtime: tuple[str, ...] = ("thing>=1,<2", "torch>=2,<3"), development: tuple[str, ...] = ("probe==3",)
) -> Project:
    return Project(
        runtime=tuple(map(Requirement, runtime)),
        build=(Requirement("builder>=7"),),
        development=tuple(map(Requirement, development)),
    )


def check(project: Project, *, runtime: tuple[Pin, ...], development: tuple[Pin, ...] = ()) -> list[str]:
    return problems(
        project,
        runtime={pin.name: pin for pin in (a_pin("builder", "80"), *runtime)},
        development={pin.name: pin for pin in (a_pin("probe", "3"), *development)},
        torch="2.5.1",
    )


def test_what_is_written_is_read_again():
    pins = {name: a_pin(name, hashes=(HASH, OTHER)) for name in ("beta", "alpha")}
    text = render(pins, "Some title.")
    assert parse(text) == pins
    assert text.index("alpha") < text.index("beta")


def test_names_are_compared_in_their_canonical_form():
    assert parse(f"Some_Thing==1 --hash={HASH}\n")["some-thing"].version == "1"


@pytest.mark.parametrize(
    "line", ["thing>=1", "--index-url https://index.example", "-e .", "thing @ file:///x"]
)
def test_what_is_no_pin_is_refused(line: str):
    with pytest.raises(LockError):
        parse(line + "\n")


def test_a_fitting_lock_has_no_problem():
    assert check(a_project(), runtime=(a_pin(),)) == []


@pytest.mark.parametrize(
    ("runtime", "development", "word"),
    [
        ((), (), "thing is not locked"),
        ((a_pin(version="2.0"),), (), "does not admit the locked 2.0"),
        ((a_pin(hashes=()),), (), "thing has no hash"),
        ((a_pin(), a_pin("torch", "2.5.1")), (), "torch must not be locked"),
        ((a_pin(), a_pin("nvidia-cublas-cu12", "12")), (), "nvidia-cublas-cu12 must not be locked"),
        ((a_pin(), a_pin("triton", "3")), (), "triton must not be locked"),
        ((a_pin(),), (a_pin(),), "thing is locked twice"),
    ],
)
def test_each_misfit_is_named(runtime: tuple[Pin, ...], development: tuple[Pin, ...], word: str):
    assert any(word in problem for problem in check(a_project(), runtime=runtime, development=development))


def test_a_test_tool_alone_does_not_serve_the_product():
    project = a_project(runtime=("torch>=2,<3", "probe==3"))
    assert "probe is not locked" in check(project, runtime=())


def test_the_version_of_torch_has_to_fit():
    project = a_project(runtime=("torch>=2.6",))
    assert check(project, runtime=()) == ["torch>=2.6 does not admit the locked 2.5.1"]


def test_other_systems_needs_are_left_out():
    project = a_project(runtime=("torch", "winthing; sys_platform == 'win32'"))
    assert check(project, runtime=()) == []


def test_pins_are_values():
    with pytest.raises(dataclasses.FrozenInstanceError):
        a_pin().version = "2"
