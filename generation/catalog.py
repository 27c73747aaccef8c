"""Reads the models that an operator offers from TOML: the embedded one first, then the operator's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from generation.card import Lora, ModelCard, weights_digest
from generation.errors import ModelFetchError, ModelLoadError, UnknownModelError
from generation.families import ABILITIES, FAMILIES, SERVED, TAKE_LORAS
from generation.fetching import Fetch
from generation.hub_source import HubSource
from generation.image_server import ImageServer

__all__ = ["EMBEDDED_CARD", "Catalog", "ModelCard", "weights_digest"]

EMBEDDED_CARD = Path(__file__).parent / "sticker" / "embedded" / "card.toml"

_NOT_IN_CARDS = {"folder", "weights_sha256", "aspects", "abilities", "lora", "hub", "server", "about"}

_Guidance = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
Edge = Annotated[int, Field(ge=64, le=8192, multiple_of=8)]


LicenseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,99}$")]


class _LoraEntry(BaseModel):
    """One `[[model.lora]]` table."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
    file: Annotated[str, Field(min_length=1, pattern=r"\.safetensors$")]
    weight: Annotated[float, Field(ge=-4, le=4, allow_inf_nan=False)] = 1.0
    license_id: LicenseId


class _CardEntry(BaseModel):
    """The keys of one card, as they may stand in TOML."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    family: str
    folder: Annotated[str, Field(min_length=1)] | None = None  # every model's but a server's
    revision: Annotated[str, Field(min_length=1, max_length=128)]
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    license_id: LicenseId
    width: Edge
    height: Edge
    max_pixels: Annotated[int, Field(ge=64 * 64, le=8192 * 8192)]
    default_steps: Annotated[int, Field(ge=1, le=1000)]
    max_steps: Annotated[int, Field(ge=1, le=1000)]
    default_guidance: _Guidance
    negative_guidance: _Guidance | None = None  # None: the default
    aspects: dict[
        Annotated[str, Field(pattern=r"^[1-9][0-9]?:[1-9][0-9]?$")],
        Annotated[list[Edge], Field(min_length=2, max_length=2)],
    ] = Field(default_factory=dict)
    description: Annotated[str, Field(max_length=4000)] = ""
    enabled: bool = True
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    abilities: list[Literal["img2img", "inpaint"]] | None = None  # None: all of the family's
    lora: Annotated[list[_LoraEntry], Field(max_length=8)] = Field(default_factory=list)
    hub: HubSource | None = None  # for `verso models fetch`
    server: ImageServer | None = None
    about: dict[str, object] = Field(default_factory=dict)  # for readers: sources, figures; not interpreted

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.family not in FAMILIES:
            raise ValueError(f"family {self.family!r} is unknown; known are {', '.join(sorted(FAMILIES))}")
        if beyond := set(self.abilities or ()) - ABILITIES[self.family]:
            raise ValueError(f"abilities: family {self.family} has no {', '.join(sorted(beyond))}")
        if self.lora and self.family not in TAKE_LORAS:
            raise ValueError(f"lora: models of the family {self.family} take none")
        if (self.server is not None) != (self.family in SERVED):
            raise ValueError(
                f"server: models of the families {', '.join(sorted(SERVED))} have one, no others"
            )
        if self.server is not None and (self.folder or self.weights_sha256 or self.hub):
            raise ValueError("a model on a server has no folder, weights_sha256 or hub here")
        if self.server is None and self.folder is None:
            raise ValueError("folder is missing")
        if self.default_steps > self.max_steps:
            raise ValueError("default_steps is above max_steps")
        for name, (width, height) in {"native size": (self.width, self.height), **self.aspects}.items():
            if width * height > self.max_pixels:
                raise ValueError(f"{name}: {width}x{height} is above max_pixels = {self.max_pixels}")
        return self


class Catalog:
    """The models on offer, in the order of their cards; the first one is the default."""

    def __init__(self, cards: Sequence[ModelCard]) -> None:
        self._cards: dict[str, ModelCard] = {}
        for card in cards:
            if card.id in self._cards:
                raise ModelLoadError(card.id, "two cards have this id")
            if card.enabled:
                self._cards[card.id] = card
        if not self._cards:
            raise ModelLoadError("", "the catalog offers no model")

    @classmethod
    def load(cls, paths: Sequence[Path], *, embedded: Path | None = EMBEDDED_CARD) -> Catalog:
        """Read every card.

        Args:
            paths: TOML files, or model folders that hold a `card.toml`. A file is one card, or holds
                `[[model]]` tables. `folder` in a card is relative to the file.
            embedded: the card of the model that ships with Verso, or None to leave it out.

        Raises:
            ModelLoadError: a file cannot be read, a card is wrong, or a model folder is missing; the message
                names the file, the model and the key.
        """
        files = [embedded] if embedded else []
        files += [path / "card.toml" if path.is_dir() else path for path in paths]
        return cls([_read_card(table, file) for file in files for table in _tables(file)])

    def get(self, model_id: str | None) -> ModelCard:
        """The card called `model_id`; None means the default.

        Raises:
            UnknownModelError: no enabled model has that id.
        """
        if model_id is None:
            return next(iter(self._cards.values()))
        try:
            return self._cards[model_id]
        except KeyError:
            raise UnknownModelError(model_id, tuple(self._cards)) from None

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self._cards.values())

    def __len__(self) -> int:
        return len(self._cards)


def fetch_of(file: Path, model_id: str) -> tuple[Fetch, str]:
    """What a card says about downloading its model, and the id of its license; the folder need not exist.

    Raises:
        UnknownModelError: the file has no such card.
        ModelFetchError: the card names no hub.
        ModelLoadError: the file or the card is wrong.
    """
    tables = {str(table.get("id", "?")): table for table in _tables(file)}
    if model_id not in tables:
        raise UnknownModelError(model_id, tuple(tables))
    entry = _entry(tables[model_id], file)
    if entry.hub is None:
        raise ModelFetchError(model_id, f"its card in {file} has no [model.hub] table")
    order = Fetch(
        model_id=entry.id,
        hub=entry.hub,
        revision=entry.revision,
        folder=_folder(entry, file),
        weights_sha256=None if entry.lora else entry.weights_sha256,  # with LoRAs it covers more
    )
    return order, entry.license_id


def _tables(file: Path) -> list[Mapping[str, object]]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelLoadError(file.name, f"the catalog file {file} cannot be read: {error}") from error
    tables = document["model"] if list(document) == ["model"] else [document]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ModelLoadError(file.name, f"{file}: models stand in [[model]] tables")
    return tables


def _entry(table: Mapping[str, object], file: Path) -> _CardEntry:
    try:
        return _CardEntry.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "card"
        reason = f"{file}: {key}: {first['msg'].removeprefix('Value error, ')}"
        raise ModelLoadError(str(table.get("id", "?")), reason) from None


def _folder(entry: _CardEntry, file: Path) -> Path:
    return (file.parent / Path(entry.folder or ".").expanduser()).resolve()


def _read_card(table: Mapping[str, object], file: Path) -> ModelCard:
    entry = _entry(table, file)
    folder = _folder(entry, file)
    if entry.enabled and not folder.is_dir():
        how = f"; 'verso models fetch {entry.id}' downloads it" if entry.hub else ""
        raise ModelLoadError(entry.id, f"{file}: the folder {folder} does not exist{how}")
    loras = tuple(
        Lora(
            name=lora.name,
            file=(file.parent / Path(lora.file).expanduser()).resolve(),
            weight=lora.weight,
            license_id=lora.license_id,
        )
        for lora in entry.lora
    )
    if entry.weights_sha256 is None and entry.enabled and entry.server is None:
        # Evidence names the exact weights, so a card must pin them; the message saves the operator the sum.
        raise ModelLoadError(
            entry.id,
            f'{file}: weights_sha256 is missing; the files there now have "{weights_digest(folder, loras)}"',
        )
    aspects = {name: (width, height) for name, (width, height) in entry.aspects.items()}
    usual = ABILITIES[entry.family] if entry.server is None else frozenset[str]()  # of a server, nobody knows
    return ModelCard(
        folder=folder,
        weights_sha256=entry.weights_sha256 or "",
        loras=loras,
        abilities=usual if entry.abilities is None else frozenset(entry.abilities),
        server=entry.server,
        aspects={"1:1": (min(entry.width, entry.height),) * 2, **aspects},
        **entry.model_dump(exclude=_NOT_IN_CARDS),
    )
