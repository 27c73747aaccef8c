"""The workspace's policy: which categories are on, where their thresholds lie, on which clause they rest.

Every rule reports scores on one scale: 0.5 is where the shipped lists and the trained head would ask
a moderator, 0.9 where they would refuse. A policy moves those points per category, caps what a
category may do (`note`, `hold`, `block`), or switches it off. Policies are TOML files; a file may
extend a preset. The version is a digest of the effective content, so that every stored decision
says under which words it was made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from moderation.errors import PolicyError
from moderation.policy_file import Table, parse
from moderation.policy_parts import (
    AlertPolicy,
    CategoryPolicy,
    ClauseText,
    StrikePolicy,
    check_complete,
    read_alerts,
    read_categories,
    read_clauses,
    read_strikes,
)
from moderation.rule_policy import RulePolicy, default_rules, read_rules, rules_content
from moderation.types import Category, Finding

PRESETS = ("community", "workplace")
MAX_POLICY_BYTES = 1024 * 1024

_MAX_EXTENDS = 8
_TOP_KEYS = (
    "schema",
    "name",
    "title",
    "extends",
    "rule_timeout_s",
    "appeal_hours",
    "category",
    "clause",
    "rule",
    "strikes",
    "alerts",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A validated policy; build it with `Policy.load`."""

    name: str
    title: str
    categories: Mapping[Category, CategoryPolicy]
    age_restricted: Mapping[Category, CategoryPolicy] = field(default_factory=dict)  # overrides there
    clauses: Mapping[str, ClauseText]
    rules: Mapping[str, RulePolicy] = field(default_factory=default_rules)  # of pictures, by name
    strikes: StrikePolicy = field(default_factory=StrikePolicy)
    alerts: AlertPolicy = field(default_factory=AlertPolicy)
    rule_timeout_s: float = 2.0
    appeal_hours: float = 72.0
    version: str = ""

    @classmethod
    def load(cls, path: Path | str | None = None) -> Policy:
        """Read a policy file, or a preset by name; None is the community preset.

        Raises:
            PolicyError: the file is missing, not TOML, empty, or a value in it cannot be used.
        """
        name = "community" if path is None else str(path)
        if name in PRESETS:
            return cls.parse(_preset(name))
        file = Path(name)
        try:
            with file.open("rb") as stream:
                data = stream.read(MAX_POLICY_BYTES + 1)
        except OSError as error:
            raise PolicyError(f"cannot be read ({error.strerror})", path=name) from None
        if len(data) > MAX_POLICY_BYTES:
            raise PolicyError("is larger than 1 MiB", path=name)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise PolicyError("is not UTF-8 text", path=name) from None
        return cls.parse(text, path=name)

    @classmethod
    def parse(cls, text: str, *, path: str = "") -> Policy:
        """Read a policy from TOML text.

        Raises:
            PolicyError: see `load`.
        """
        return _build(cls, _layers(text, path), path)

    @property
    def content(self) -> str:
        """Canonical JSON of all that is in force; `version` is its SHA-256."""
        return _content(self)

    def clause(self, clause_id: str) -> ClauseText:
        """Return a clause's words.

        Raises:
            PolicyError: no such clause.
        """
        try:
            return self.clauses[clause_id]
        except KeyError:
            raise PolicyError("no such clause", field=clause_id) from None

    def of(self, category: Category, *, age_restricted: bool = False) -> CategoryPolicy:
        """Return what holds for a category in a channel with or without the platform's age flag."""
        if age_restricted and category in self.age_restricted:
            return self.age_restricted[category]
        return self.categories[category]

    def runs(self, rule: str) -> bool:
        """Whether a rule is switched on; rules that read prompts cannot be switched off."""
        return rule not in self.rules or self.rules[rule].on

    def timeout_of(self, rule: str) -> float:
        """Seconds that a rule may take."""
        return self.rules[rule].timeout_s if rule in self.rules else self.rule_timeout_s

    def finding(
        self, *, rule: str, category: Category, score: float, age_restricted: bool = False
    ) -> Finding:
        """Judge a rule's score: the action, the clause and the advice come from the policy."""
        score = min(1.0, max(0.0, score))
        part = self.of(category, age_restricted=age_restricted)
        return Finding(
            rule=rule,
            category=category,
            score=score,
            action=part.action(score),
            clause=part.clause or None,
            advice=part.advice or None,
        )


def _preset(name: str) -> str:
    return (resources.files("moderation") / "data" / "policies" / f"{name}.toml").read_text("utf-8")


def _layers(text: str, path: str) -> list[Table]:
    """The clauses that ship, then the extended presets, then the file itself: later layers win."""
    layers = [parse(text, path)]
    while base := layers[0].text("extends", ""):
        if base not in PRESETS or len(layers) > _MAX_EXTENDS:
            raise layers[0].error("extends", f"must be one of {', '.join(PRESETS)}")
        layers.insert(0, parse(_preset(base), f"preset {base}"))
        if layers[0].text("name", "") == layers[1].text("name", "") == base:
            raise layers[1].error("extends", "a preset cannot extend itself")
    return [parse(_preset("clauses"), "shipped clauses"), *layers]


def _build(cls: type[Policy], layers: list[Table], path: str) -> Policy:
    top = layers[-1]
    for layer in layers:
        layer.only(*_TOP_KEYS)
        if layer.number("schema", 1, low=1, high=1e9) != 1:
            raise layer.error("schema", "this program reads schema 1")
    if not any(layer.tables("category") for layer in layers[1:]):
        reason = "the policy is empty: it names no category (a policy that checks nothing is refused)"
        raise PolicyError(reason, path=path)
    clauses = read_clauses(layers)
    categories, restricted = read_categories(layers)
    check_complete(categories, restricted, clauses, path)
    strikes, alerts = StrikePolicy(), AlertPolicy()
    timeout, appeal = 2.0, 72.0
    for layer in layers:
        timeout = layer.number("rule_timeout_s", timeout, low=0.05, high=60)
        appeal = layer.number("appeal_hours", appeal, low=1, high=24 * 90)
        table = layer.table("strikes")
        strikes = strikes if table is None else read_strikes(table, strikes)
        table = layer.table("alerts")
        alerts = alerts if table is None else read_alerts(table, alerts)
    policy = cls(
        name=top.text("name", "custom"),
        title=top.text("title", top.text("name", "custom")),
        categories=MappingProxyType(categories),
        age_restricted=MappingProxyType(restricted),
        clauses=MappingProxyType(clauses),
        rules=read_rules(layers),
        strikes=strikes,
        alerts=alerts,
        rule_timeout_s=timeout,
        appeal_hours=appeal,
    )
    return replace(policy, version=hashlib.sha256(policy.content.encode()).hexdigest())


def _content(policy: Policy) -> str:
    def part(value: CategoryPolicy) -> list[object]:
        return [value.on, value.note, value.hold, value.block, int(value.ceiling), value.clause, value.advice]

    content = {
        "name": policy.name,
        "categories": {str(c): part(p) for c, p in policy.categories.items()},
        "age_restricted": {str(c): part(p) for c, p in policy.age_restricted.items()},
        "clauses": {c.id: [c.title, c.text, c.source] for c in policy.clauses.values()},
        "rules": rules_content(policy.rules),
        "strikes": [policy.strikes.per_timeout, policy.strikes.decay_days, *policy.strikes.timeouts_s],
        "alerts": [policy.alerts.blocks, policy.alerts.hours],
        "rule_timeout_s": policy.rule_timeout_s,
        "appeal_hours": policy.appeal_hours,
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
