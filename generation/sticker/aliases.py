"""What people say for the things in the reference sets, read from `data/things.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache

from generation.sticker.vocabulary import DATA, split_names


@cache
def _tables() -> Mapping[str, Mapping[str, str]]:
    with (DATA / "things.toml").open("rb") as stream:
        tables = tomllib.load(stream)
    return {
        kind: {name: title for title, text in table.items() for name in split_names(text)}
        for kind, table in tables.items()
    }


def aliases() -> Mapping[str, str]:
    """What people say -> the title that the reference sets have for it."""
    return _tables()["names"]


def kin() -> Mapping[str, str]:
    """Words without a picture -> the nearest title there is; the reader is told."""
    return _tables()["near"]
