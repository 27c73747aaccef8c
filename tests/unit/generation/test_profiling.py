"""The measured knee, on a tiny model of the real architecture."""

from __future__ import annotations

import pytest

from generation.card import ModelCard
from generation.families.base import InFlight, LoadedModel
from generation.knees import Knees, load_knees
from generation.models import ModelShelf
from generation.profiling import knee_of, measure_knee


@pytest.fixture(scope="module")
def model(tiny_card: ModelCard) -> LoadedModel[InFlight]:
    return ModelShelf(device="cpu", room=1, services={}).get(tiny_card, in_use=lambda _: False)


def test_what_is_measured_is_kept_and_read_again(tiny_card, model, tmp_path) -> None:
    said: list[str] = []
    knee = measure_knee(tiny_card, model, aspect="1:1", device="cpu", rows=(1, 2), progress=said.append)
    assert (knee.width, knee.height, knee.dtype) == (64, 64, "float32")
    assert knee.rows in {1, 2}
    assert knee.invariant  # bucket mode keeps the bits on the CPU
    assert [rows for rows, _ in knee.ms_per_row] == [1, 2]
    assert any("2 rows" in words for words in said)
    file = tmp_path / "knees.json"
    Knees().with_(knee).save(file)
    assert load_knees(file).rows("tiny", width=64, height=64) == knee.rows


@pytest.mark.parametrize(
    ("ms", "rows"),
    [
        ({1: 10.0, 2: 10.0, 4: 10.0, 8: 10.0}, 1),
        ({1: 10.0, 2: 6.0, 4: 5.8, 8: 2.0}, 2),  # the next doubling does not pay
        ({1: 10.0, 2: 8.0, 4: 6.0, 8: 4.0}, 8),
    ],
)
def test_the_knee_is_where_doubling_stops_to_pay(ms: dict[int, float], rows: int) -> None:
    assert knee_of(ms) == rows
