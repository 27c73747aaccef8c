"""The form of a license description on the disk: TOML, checked strictly."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)

from attribution.errors import LicenseError

Commercial = Literal["yes", "no", "threshold"]
Confidence = Literal["text", "third", "memory"]

_MAX_BYTES = 262_144
_Line = Annotated[str, StringConstraints(min_length=1, max_length=600, pattern=r"^[^\x00-\x1f]+$")]
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")]
_Url = Annotated[str, StringConstraints(max_length=300, pattern=r"^https://[^\s\x00-\x1f]+$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")]
_Place = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
_Count = Annotated[int, Field(strict=True, gt=0)]
_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_ClauseId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*$")]


class ClauseTable(BaseModel):
    """One forbidden use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _ClauseId
    text: _Line


class ClauseSet(BaseModel):
    """Forbidden uses that several licenses share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    restrictions: tuple[ClauseTable, ...]


class LicenseFile(BaseModel):
    """One description; `licenses.License` tells what the fields mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Id
    name: _Line
    edition: Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f]+$")]
    url: _Url
    enabled: StrictBool = False
    disabled_reason: _Line | Literal[""] = ""
    confidence: Confidence
    commercial: Commercial
    threshold: _Line | Literal[""] = ""
    threshold_usd: _Count | None = None
    threshold_users: _Count | None = None
    threshold_inclusive: StrictBool = False
    notice: _Line | Literal[""] = ""
    notice_where: _Line | Literal[""] = ""
    output: _Line
    output_training: _Line | Literal[""] = ""
    pass_on: _Line
    territory: _Line
    territory_denied: tuple[_Place, ...] = ()
    duties: tuple[_Line, ...] = ()
    policy_url: _Url | Literal[""] = ""
    models: tuple[_Line, ...] = ()
    restriction_set: _Name | Literal[""] = ""  # a file in `clauses/`
    restrictions: tuple[ClauseTable, ...] = ()  # the set's first, then those of the file itself
    full_text: str = ""  # in the file: the name of a text file beside it
    full_text_sha256: _Digest | Literal[""] = ""  # of that file; empty: not checked
    full_text_source: _Line | Literal[""] = ""  # where the text was taken from

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.commercial == "threshold" and not self.threshold:
            raise ValueError("a threshold needs its words")
        if self.notice and not self.notice_where:
            raise ValueError("a notice has to say where it shows")
        if self.confidence != "text" and self.enabled:
            # An operator who has read the license says so by setting both.
            raise ValueError("a license whose text nobody read cannot be enabled")
        return self


def read_folder(folder: Path | Traversable, *, sets: Traversable) -> Iterator[LicenseFile]:
    """Every `*.toml` of a folder, by name.

    Args:
        folder: holds descriptions, and the license texts they name.
        sets: holds `clauses/<restriction_set>.toml`.

    Raises:
        LicenseError: a file is malformed or missing; the message names it.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    except OSError as error:
        raise LicenseError(f"the folder of licenses cannot be read: {error.strerror}") from error
    for name in names:
        try:
            yield _resolved(LicenseFile.model_validate(_toml(folder / name)), folder, sets)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise LicenseError(f"{name}: {where}: {first['msg']}") from None
        except LicenseError as error:
            raise LicenseError(f"{name}: {error}") from error


def _resolved(file: LicenseFile, folder: Path | Traversable, sets: Traversable) -> LicenseFile:
    changes: dict[str, object] = {}
    if file.restriction_set:
        shared = ClauseSet.model_validate(_toml(sets / "clauses" / f"{file.restriction_set}.toml"))
        changes["restrictions"] = shared.restrictions + file.restrictions
    if file.full_text:
        if "/" in file.full_text or "\\" in file.full_text:
            raise LicenseError("full_text names a file in the same folder")
        text = _text(folder / file.full_text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if file.full_text_sha256 not in {"", digest}:
            raise LicenseError(f"{file.full_text} has another SHA-256 than full_text_sha256 says")
        changes |= {"full_text": text, "full_text_sha256": digest}
    return file.model_copy(update=changes)


def _toml(path: Path | Traversable) -> dict[str, object]:
    try:
        return tomllib.loads(_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LicenseError(f"not TOML: {error}") from None


def _text(path: Path | Traversable) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise LicenseError(f"{path.name} is too large")
        return data.decode()
    except OSError as error:
        raise LicenseError(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise LicenseError(f"{path.name} is not UTF-8") from None
