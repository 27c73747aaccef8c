"""Which licenses pass, and what is said about the others."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tools.licenses import Part, license_of, permitted, problems, render


def a_part(**changes: object) -> Part:
    values = {
        "name": "thing",
        "version": "1",
        "license": "MIT",
        "home": "https://thing.example",
        "libraries": (),
    }
    return Part(**{**values, **changes})


def a_distribution(folder: Path, metadata: str) -> Distribution:
    info = folder / "thing-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: thing\nVersion: 1\n{metadata}", encoding="utf-8"
    )
    return Distribution.at(info)


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "Apache-2.0 AND MIT",
        "GPL-2.0-only OR MIT",
        "Apache-2.0 WITH LLVM-exception",
        "GPL-3.0-or-later WITH GCC-exception-3.1",
        "MPL-2.0 and MIT",
    ],
)
def test_permitted(expression: str):
    assert permitted(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "GPL-3.0-or-later",
        "AGPL-3.0-only",
        "MIT AND GPL-2.0-only",
        "LGPL-3.0-or-later",
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "MIT WITH made-up-exception",
        "LicenseRef-Proprietary",
    ],
)
def test_not_permitted(expression: str):
    assert not permitted(expression)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: ISC\n", "ISC"),
        ("Classifier: License :: OSI Approved :: MIT License\n", "MIT"),
        ("Classifier: License :: OSI Approved :: GNU Affero General Public License v3\n", ""),
        (
            (
                "Classifier: License :: OSI Approved :: MIT License\n"
                "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n"
            ),
            "",
        ),
        ("License: some words about it\n", ""),
    ],
)
def test_only_what_is_stated_plainly_counts(tmp_path: Path, metadata: str, expected: str):
    assert license_of("thing", a_distribution(tmp_path, metadata)) == expected


def test_a_person_is_asked_to_look():
    parts = [
        a_part(license=""),
        a_part(license="AGPL-3.0-only"),
        a_part(libraries=("libmystery",)),
        a_part(libraries=("libquadmath", "libgomp", "libwebp")),
    ]
    found = problems(parts)
    assert len(found) == 3
    assert "states no license" in found[0]
    assert "AGPL-3.0-only" in found[1]
    assert "libmystery" in found[2]


def test_the_page_lists_packages_and_what_they_carry():
    parts = [a_part(name="one", libraries=("libwebp",)), a_part(name="two", home="", libraries=("libwebp",))]
    packages, libraries = render(parts, "{packages}\n--\n{libraries}").split("\n--\n")
    assert packages == "| [one](https://thing.example) | 1 | MIT |\n| two | 1 | MIT |"
    assert libraries == "| libwebp | one, two | BSD-3-Clause |"
