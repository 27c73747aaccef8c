"""Where a model's files come from: a repository of a hub, one commit of it, and the digest of every file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

FETCHED_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".jinja", ".model"})
"""What is ever downloaded: weights that cannot run code, configurations, vocabularies."""


class HubSource(BaseModel):
    """The `[model.hub]` table of a card."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    repo: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")]
    files: Annotated[
        dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]], Field(min_length=1, max_length=2000)
    ]  # path in the repository -> SHA-256

    @field_validator("files")
    @classmethod
    def _plain_paths(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            path = PurePosixPath(name)
            if path.suffix not in FETCHED_SUFFIXES:
                raise ValueError(
                    f"{name}: only {', '.join(sorted(FETCHED_SUFFIXES))} are fetched, no pickles"
                )
            hidden = any(part.startswith(".") for part in path.parts)
            if path.is_absolute() or hidden or str(path) != name or any(c in name for c in "\\:\0"):
                raise ValueError(f"{name!r} is not a plain path inside the repository")
        return files
