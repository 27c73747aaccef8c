"""The picture rules' own settings, and the guard's: a switch, a threshold and a time limit for each.

Categories say what a score leads to; these tables say which checks run, from what on they count, and how
long they may take. What a threshold means is told where its default stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from moderation.policy_file import Table


@dataclass(frozen=True, kw_only=True, slots=True)
class RulePolicy:
    """How one rule runs; one that takes longer than `timeout_s` seconds holds the content."""

    on: bool = True
    demanded: bool = False  # the policy says `on = true`: no start without what the rule needs
    threshold: float
    timeout_s: float
    model: str = ""  # of the guard: a folder, or an id in the hub's cache


@dataclass(frozen=True, kw_only=True, slots=True)
class _Range:
    """What a threshold may be."""

    default: float
    low: float
    high: float
    timeout_s: float = 2.0
    on: bool = True


_RANGES = MappingProxyType(
    {
        # contrast in 8-bit levels below which a picture shows nothing
        "blank": _Range(default=3.0, low=0.5, high=64),
        # share of the network that a moderator is asked about (0.5 on the policy's scale)
        "image_safety": _Range(default=0.5, low=0.05, high=0.95),
        # share from which the second network confirms the first; below it, it calls the picture safe
        "second_nsfw": _Range(default=0.2, low=0.01, high=0.95),
        # certainty from which a piece of recognized text counts
        "watermark": _Range(default=0.8, low=0.3, high=1.0, timeout_s=8.0),
        # score of the detector from which something is a face
        "faces": _Range(default=0.3, low=-1.0, high=5.0, timeout_s=4.0),
        # key points that must agree on one placement before a picture holds a part of a protected one
        "protected_parts": _Range(default=12, low=6, high=500, timeout_s=4.0),
        # likeness from which what the model's index calls a copy counts; 0.05: whatever it calls one
        "near_copy": _Range(default=0.05, low=0.05, high=1.0, timeout_s=4.0),
        # share that a guard model must be sure of before a prompt waits for a moderator
        "guard": _Range(default=0.5, low=0.05, high=0.99, timeout_s=20.0, on=False),
    }
)
RULE_NAMES = tuple(_RANGES)


def default_rules() -> Mapping[str, RulePolicy]:
    """What holds where a policy says nothing."""
    return MappingProxyType(
        {name: RulePolicy(on=r.on, threshold=r.default, timeout_s=r.timeout_s) for name, r in _RANGES.items()}
    )


def read_rules(layers: Iterable[Table]) -> Mapping[str, RulePolicy]:
    """Read the `[rule.NAME]` tables of all layers; later ones win.

    Raises:
        PolicyError: no such rule, an unknown key, or a value out of bounds.
    """
    rules = dict(default_rules())
    for layer in layers:
        for name, table in layer.tables("rule").items():
            if name not in _RANGES:
                raise layer.error(f"rule.{name}", f"no such rule (known here: {', '.join(_RANGES)})")
            rules[name] = _rule(name, table, rules[name])
    return MappingProxyType(rules)


def rules_content(rules: Mapping[str, RulePolicy]) -> dict[str, list[object]]:
    """What the policy's version is made from."""
    return {name: [r.on, r.demanded, r.threshold, r.timeout_s, r.model] for name, r in rules.items()}


def _rule(name: str, table: Table, base: RulePolicy) -> RulePolicy:
    bounds = _RANGES[name]
    table.only("on", "threshold", "timeout_s", *(("model",) if name == "guard" else ()))
    said = table.flag("on", base.on)
    return RulePolicy(
        on=said,
        demanded=said and (base.demanded or table.has("on")),
        threshold=table.number("threshold", base.threshold, low=bounds.low, high=bounds.high),
        timeout_s=table.number("timeout_s", base.timeout_s, low=0.05, high=120),
        model=table.text("model", base.model),
    )
