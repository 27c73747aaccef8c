"""Typed access to a TOML file: every complaint names the field and, where it can be found, the line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence

from moderation.errors import PolicyError


class Table:
    """One table of a TOML file, together with where it stands."""

    def __init__(self, values: Mapping[str, object], *, source: str, path: str, name: str = "") -> None:
        self._values = values
        self._source = source
        self._path = path
        self._name = name

    def error(self, key: str, reason: str) -> PolicyError:
        """Return the error that names `key` of this table."""
        dotted = f"{self._name}.{key}" if self._name else key
        return PolicyError(reason, field=dotted, line=_line(self._source, dotted), path=self._path)

    def only(self, *keys: str) -> None:
        """Refuse every key that is not one of `keys`, so that a typing error is no silent default."""
        for key in self._values:
            if key not in keys:
                raise self.error(key, f"unknown key (known here: {', '.join(keys)})")

    def has(self, key: str) -> bool:
        """Whether the file says something about `key`."""
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default it must be there and not be empty."""
        value = self._values.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(key, "must be a text that is not empty")
        return value

    def flag(self, key: str, default: bool) -> bool:  # noqa: FBT001 - same shape as its siblings
        """Return a true or false."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "must be true or false")
        return value

    def number(self, key: str, default: float, *, low: float, high: float) -> float:
        """Return a number within the bounds."""
        return self._bounded(key, self._values.get(key, default), low, high)

    def numbers(self, key: str, default: Sequence[float], *, low: float, high: float) -> tuple[float, ...]:
        """Return a list of numbers within the bounds."""
        value = self._values.get(key, list(default))
        if not isinstance(value, list):
            raise self.error(key, "must be a list of numbers")
        return tuple(self._bounded(key, item, low, high) for item in value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings, empty where the key is missing."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "must be a list of texts")
        return tuple(value)

    def table(self, key: str) -> Table | None:
        """Return an inner table, or None."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(key, "must be a table")
        return self._inner(key, value)

    def tables(self, key: str) -> dict[str, Table]:
        """Return the named tables below `key`."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, "must hold tables")
        found: dict[str, Table] = {}
        for name, inner in value.items():
            if not isinstance(inner, dict):
                raise self.error(f"{key}.{name}", "must be a table")
            found[name] = self._inner(f"{key}.{name}", inner)
        return found

    def rows(self, key: str) -> Iterable[Table]:
        """Return the tables of an array."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, "must be an array of tables")
        return [self._inner(f"{key}[{index}]", item) for index, item in enumerate(value)]

    def _inner(self, key: str, values: Mapping[str, object]) -> Table:
        name = f"{self._name}.{key}" if self._name else key
        return Table(values, source=self._source, path=self._path, name=name)

    def _bounded(self, key: str, value: object, low: float, high: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self.error(key, f"must be a number from {low:g} to {high:g}")
        return float(value)


def parse(text: str, path: str = "") -> Table:
    """Parse TOML.

    Raises:
        PolicyError: it is not TOML; names the line.
    """
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = re.search(r"line (\d+)", str(error))
        reason = re.sub(r"\s*\(at [^)]*\)", "", str(error)) or "nested too deeply"
        raise PolicyError(
            f"not TOML: {reason}", line=int(found.group(1)) if found else None, path=path
        ) from None
    return Table(values, source=text, path=path)


def _line(source: str, dotted: str) -> int | None:
    """Find the line of `a.b.key`: the key after the header `[a.b]`, else the header, else nothing."""
    head, _, key = dotted.rpartition(".")
    current, header_line = "", None
    for number, line in enumerate(source.splitlines(), start=1):
        stripped = line.strip()
        header = re.fullmatch(r"\[\[?\s*([^\[\]]+?)\s*\]?\]\s*(?:#.*)?", stripped)
        if header:
            current = header.group(1).replace('"', "").replace(" ", "")
            if current == dotted:
                return number
            header_line = number if current == head else header_line
        elif current == head and re.match(rf'"?{re.escape(key)}"?\s*[=.]', stripped):
            return number
    return header_line
