"""The plot of latency against load in `docs/engine.md`, from the figures of `verso bench engine`."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from generation.sticker.quality.plots import line_chart

_NAMES = {
    "serial": "one at a time",
    "static": "fours",
    "stepwise": "exact",
    "bucket": "bucket",
    "preview": "exact, preview",
    "serial_preview": "one at a time, preview",
}


def plot(by_load: Mapping[str, Mapping[str, Mapping[str, float]]], *, service_s: float) -> Image.Image:
    """Draw the latencies, in services: how long a picture of 20 steps takes alone.

    Args:
        by_load: load -> policy -> figures, as `bench_traces` returns them.
        service_s: of one picture alone.
    """

    def points(policy: str, key: str) -> list[tuple[float, float]]:
        return [(float(load), policies[policy][key] / service_s) for load, policies in by_load.items()]

    series = {name: points(name, "mean_s") for name in next(iter(by_load.values()))}
    series["preview"] = points("stepwise", "preview_p95_s")
    series["serial_preview"] = points("serial", "preview_p95_s")
    return line_chart(
        {_NAMES[name]: values for name, values in series.items()},
        title="Mean latency, and first preview p95, in times of one picture alone",
        across="load, as a share of what one at a time can serve",
    )
