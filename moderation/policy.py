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
from moderation.rule_policy import RulePolicy, default_rules, read_rules, rules_content
from moderation.types import Action, Category, Finding

PRESETS = ("community", "workplace")
MAX_POLICY_BYTES = 1024 * 1024

_CEILINGS = {"note": Action.ALLOW, "hold": Action.HOLD, "block": Action.BLOCK}
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
class ClauseText:
    """The words that a refusal rests on."""

    id: str
    title: str
    text: str
    source: str  # "house rules", or the license that the words paraphrase


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoryPolicy:
    """What one category does: scores from `note` are reported, from `hold` held, from `block` refused."""

    category: Category
    on: bool = True
    note: float = 0.5
    hold: float = 0.5
    block: float = 0.9
    ceiling: Action = Action.BLOCK  # the most that this category may do
    clause: str = ""
    advice: str = ""

    def action(self, score: float) -> Action:
        """Return what a score leads to."""
        if not self.on:
            return Action.ALLOW
        reached = Action.BLOCK if score >= self.block else Action.HOLD if score >= self.hold else Action.ALLOW
        return min(reached, self.ceiling)


@dataclass(frozen=True, kw_only=True, slots=True)
class StrikePolicy:
    """How strikes add up and fade."""

    per_timeout: int = 3  # live strikes that lead to a time-out
    decay_days: float = 30.0
    timeouts_s: tuple[int, ...] = (600, 3_600, 86_400, 604_800)


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertPolicy:
    """When moderators are told of one person, instead of each block."""

    blocks: int = 5
    hours: float = 24.0


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
    clauses = _clauses(layers)
    categories, restricted = _categories(layers)
    _complete(categories, restricted, clauses, path)
    strikes, alerts = StrikePolicy(), AlertPolicy()
    timeout, appeal = 2.0, 72.0
    for layer in layers:
        timeout = layer.number("rule_timeout_s", timeout, low=0.05, high=60)
        appeal = layer.number("appeal_hours", appeal, low=1, high=24 * 90)
        table = layer.table("strikes")
        strikes = strikes if table is None else _strikes(table, strikes)
        table = layer.table("alerts")
        alerts = alerts if table is None else _alerts(table, alerts)
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


def _clauses(layers: list[Table]) -> dict[str, ClauseText]:
    clauses: dict[str, ClauseText] = {}
    for layer in layers:
        for clause_id, table in layer.tables("clause").items():
            table.only("title", "text", "source")
            clauses[clause_id] = ClauseText(
                id=clause_id,
                title=table.text("title"),
                text=table.text("text"),
                source=table.text("source", "house rules"),
            )
    return clauses


def _categories(
    layers: list[Table],
) -> tuple[dict[Category, CategoryPolicy], dict[Category, CategoryPolicy]]:
    categories: dict[Category, CategoryPolicy] = {}
    restricted: dict[Category, CategoryPolicy] = {}
    for layer in layers:
        for name, table in layer.tables("category").items():
            if name not in {c.value for c in Category}:
                raise layer.error(f"category.{name}", "no such category")
            category = Category(name)
            categories[category] = _category(category, table, categories.get(category))
            inner = table.table("age_restricted")
            if inner is not None:
                restricted[category] = _category(category, inner, categories[category])
            elif category in restricted and not categories[category].on:
                del restricted[category]  # switched off is off everywhere
    return categories, restricted


def _complete(
    categories: Mapping[Category, CategoryPolicy],
    restricted: Mapping[Category, CategoryPolicy],
    clauses: Mapping[str, ClauseText],
    path: str,
) -> None:
    for category in Category:
        field = f"category.{category}"
        if category not in categories:
            raise PolicyError("the category is missing", field=field, path=path)
        for part in (categories[category], restricted.get(category)):
            if part is not None and part.clause not in clauses:
                raise PolicyError(f"no such clause {part.clause!r}", field=f"{field}.clause", path=path)
    acting = [
        p for c, p in categories.items() if c is not Category.MINORS and p.on and p.ceiling > Action.ALLOW
    ]
    if not acting:
        raise PolicyError("the policy is empty: every category is off or only noted", path=path)


def _category(category: Category, table: Table, base: CategoryPolicy | None) -> CategoryPolicy:
    base = base or CategoryPolicy(category=category, clause=f"house/{category}", advice=str(category))
    if category is Category.MINORS:
        table.only("clause")
        return CategoryPolicy(
            category=category,
            note=0.5,
            hold=0.5,
            block=0.9,
            clause=table.text("clause", base.clause),
            advice="minors",
        )
    table.only("on", "note", "hold", "block", "action", "clause", "advice", "age_restricted")
    hold = table.number("hold", base.hold, low=0.01, high=1.01)
    note = table.number("note", min(base.note, hold), low=0.01, high=1.01)
    block = table.number("block", max(base.block, hold), low=0.01, high=1.01)
    if not note <= hold <= block:
        raise table.error("hold", "must lie between note and block")
    names = {action: name for name, action in _CEILINGS.items()}
    action = table.text("action", names[base.ceiling])
    if action not in _CEILINGS:
        raise table.error("action", f"must be one of {', '.join(_CEILINGS)}")
    if category is Category.EVASION and action == "block":
        raise table.error("action", "spelling alone never blocks: use note or hold")
    return CategoryPolicy(
        category=category,
        on=table.flag("on", base.on),
        note=note,
        hold=hold,
        block=block,
        ceiling=_CEILINGS[action],
        clause=table.text("clause", base.clause),
        advice=table.text("advice", base.advice),
    )


def _strikes(table: Table, base: StrikePolicy) -> StrikePolicy:
    table.only("per_timeout", "decay_days", "timeouts_s")
    timeouts = table.numbers("timeouts_s", base.timeouts_s, low=1, high=365 * 86_400)
    if not timeouts or sorted(timeouts) != list(timeouts):
        raise table.error("timeouts_s", "must be a rising list of seconds")
    return StrikePolicy(
        per_timeout=int(table.number("per_timeout", base.per_timeout, low=1, high=1000)),
        decay_days=table.number("decay_days", base.decay_days, low=0.001, high=3650),
        timeouts_s=tuple(int(t) for t in timeouts),
    )


def _alerts(table: Table, base: AlertPolicy) -> AlertPolicy:
    table.only("blocks", "hours")
    return AlertPolicy(
        blocks=int(table.number("blocks", base.blocks, low=1, high=100_000)),
        hours=table.number("hours", base.hours, low=0.1, high=24 * 30),
    )


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
