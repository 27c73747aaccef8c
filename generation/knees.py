"""The knees: how many rows a forward should have, as `verso models profile` measured it on this machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_log = logging.getLogger(__name__)

MAX_ROWS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Knee:
    """What was measured for one model, size and dtype on one device."""

    model_id: str
    weights_sha256: str
    width: int
    height: int
    dtype: str
    device: str
    rows: int  # the knee; 1: sharing forwards does not pay
    invariant: bool  # whether a picture has the same bits in the mix as alone
    ms_per_row: tuple[tuple[int, float], ...]  # (rows, CPU or device milliseconds per row of a step)


class Knees:
    """The measured knees; empty until somebody measures."""

    def __init__(self, knees: Sequence[Knee] = ()) -> None:
        self._knees = {(knee.model_id, knee.width, knee.height): knee for knee in knees}

    def rows(self, model_id: str, *, width: int, height: int) -> int | None:
        """Rows of a forward; None if nobody has measured. 1 where the mix would change bits."""
        knee = self._knees.get((model_id, width, height))
        if knee is None:
            return None
        return knee.rows if knee.invariant else 1

    def with_(self, knee: Knee) -> Knees:
        """These, with one measured anew."""
        kept = [known for known in self._knees.values() if known is not self._same(knee)]
        return Knees([*kept, knee])

    def _same(self, knee: Knee) -> Knee | None:
        return self._knees.get((knee.model_id, knee.width, knee.height))

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps([asdict(knee) for knee in self._knees.values()], indent=1), "utf-8")
        draft.replace(path)


def load_knees(path: Path) -> Knees:
    """Read what `Knees.save` wrote; none if the file is missing or damaged, which costs speed alone."""
    try:
        rows = json.loads(path.read_text("utf-8"))
        return Knees([_checked(row) for row in rows])
    except FileNotFoundError:
        return Knees()
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s cannot be read: %s; measure again", path, type(error).__name__)
        return Knees()


def _checked(row: dict[str, object]) -> Knee:
    knee = Knee(**row)  # type: ignore[arg-type]  # checked below, and by the field names
    if type(knee.rows) is not int or not 1 <= knee.rows <= MAX_ROWS or type(knee.invariant) is not bool:
        raise ValueError("rows or invariant")
    return knee
