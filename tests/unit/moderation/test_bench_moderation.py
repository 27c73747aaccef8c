"""The benchmark returns the promised figures."""

from __future__ import annotations

import csv

from moderation.bench import bench_moderation
from moderation.moderator import Moderator
from moderation.policy import Policy


async def test_with_data_it_measures_quality(tmp_path):
    file = tmp_path / "labelled.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label_unsafe", "category", "source"])
        writer.writerows([(f"a boat on lake {n}", "0", "benign", "x") for n in range(20)])
        writer.writerows([(f"a severed head number {n}", "1", "violence", "x") for n in range(5)])
    moderator = Moderator.open(Policy.load(), rules=("lexicon",))
    try:
        result = await bench_moderation(moderator, file)
    finally:
        moderator.close()
    assert result["auroc"] == result["recall_at_1"] == result["recall_at_5"] == 1.0
    assert result["per_category"]["violence"]["stopped"] == 1.0
    assert result["harmless_blocked"] == 0.0
    assert result["prompts"] == 25
    assert len(result["evasion"]) == 13
    assert all(result["evasion"][name]["recall_kept"] == 1.0 for name in ("case", "zero-width", "spacing"))
    assert all(row["false_positives_more"] == 0.0 for row in result["evasion"].values())


async def test_without_data_it_measures_time():
    moderator = Moderator.open(Policy.load(), rules=("lexicon", "spelling"))
    try:
        result = await bench_moderation(moderator)
    finally:
        moderator.close()
    assert {"prompts_per_s", "p50_ms", "p99_ms", "seed"} <= set(result)
    assert result["prompts"] == 400
    assert 0 < result["p50_ms"] <= result["p99_ms"]
