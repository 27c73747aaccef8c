"""Where the reference pictures come from, and under which terms they may be shipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ALLOWED_LICENSES = frozenset({"MIT", "Apache-2.0", "CC-BY-4.0", "CC0-1.0", "CC-PDDC", "BSD-3-Clause", "ISC"})
"""SPDX ids under which a picture may be shipped, changed and mixed with others: no SA, NC or ND."""

Kind = Literal["iconify", "webp", "own", "clipart"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One package of pictures under one license, by one author; of clip art, what one author gave to it."""

    key: str  # prefix of its pictures' ids
    package: str
    version: str
    style: str  # what the pictures look like: a style of `vocabulary.STYLES`
    author: str
    license: str  # SPDX id
    license_url: str
    upstream: str
    kind: Kind

    @property
    def origin(self) -> str:
        """The package with the registry it comes from."""
        registry = {"own": "", "clipart": "deb:"}.get(self.kind, "npm:")
        return f"{registry}{self.package}"

    def locate(self, file: str) -> str:
        """A reference to `file` that a stranger can resolve."""
        if self.kind == "own":
            return f"{self.package} {self.version}, {file}"
        return f"{self.origin}@{self.version}, {file} ({self.upstream})"


SOURCES: tuple[Source, ...] = (
    Source(
        key="fluent3d",
        package="@lobehub/fluent-emoji-3d",
        version="1.1.0",
        style="3d",
        author="Microsoft Corporation",
        license="MIT",
        license_url="https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE",
        upstream="https://github.com/microsoft/fluentui-emoji",
        kind="webp",
    ),
    Source(
        key="fluentflat",
        package="@iconify-json/fluent-emoji-flat",
        version="1.2.6",
        style="icon",
        author="Microsoft Corporation",
        license="MIT",
        license_url="https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE",
        upstream="https://github.com/microsoft/fluentui-emoji",
        kind="iconify",
    ),
    Source(
        key="noto",
        package="@iconify-json/noto",
        version="1.2.9",
        style="shaded",
        author="Google Inc",
        license="Apache-2.0",
        license_url="https://www.apache.org/licenses/LICENSE-2.0",
        upstream="https://github.com/googlefonts/noto-emoji",
        kind="iconify",
    ),
    Source(
        key="twemoji",
        package="@iconify-json/twemoji",
        version="1.2.5",
        style="flat",
        author="Twitter, Inc and other contributors",
        license="CC-BY-4.0",
        license_url="https://creativecommons.org/licenses/by/4.0/",
        upstream="https://github.com/jdecked/twemoji",
        kind="iconify",
    ),
    Source(
        key="own",
        package="verso-bot",
        version="0.1.0",
        style="3d",
        author="Verso contributors",
        license="Apache-2.0",
        license_url="https://www.apache.org/licenses/LICENSE-2.0",
        upstream="generation/sticker/own",
        kind="own",
    ),
)
"""Every source of the reference pack, best first: among equally good titles the earlier source wins."""

CLIPART = Source(
    key="clipart",
    package="openclipart-svg",
    version="1:0.18+dfsg-19",
    style="shaded",
    author="many, each picture names its own",
    license="CC-PDDC",
    license_url="https://creativecommons.org/licenses/publicdomain/",
    upstream="https://openclipart.org",
    kind="clipart",
)
"""Used in training only: its titles are too weak for a reference that a prompt asks for by name."""

ALL_SOURCES = (*SOURCES, CLIPART)
