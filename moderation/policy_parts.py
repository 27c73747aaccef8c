"""The parts of a policy and how each is read from its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moderation.errors import PolicyError
from moderation.policy_file import Table
from moderation.types import Action, Category

_CEILINGS = {"note": Action.ALLOW, "hold": Action.HOLD, "block": Action.BLOCK}


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


def read_clauses(layers: Sequence[Table]) -> dict[str, ClauseText]:
    """The clauses by id; later layers win.

    Raises:
        PolicyError: a value cannot be used.
    """
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


def read_categories(
    layers: Sequence[Table],
) -> tuple[dict[Category, CategoryPolicy], dict[Category, CategoryPolicy]]:
    """What categories do, and what they do in age-restricted channels; later layers win.

    Raises:
        PolicyError: no such category, or a value cannot be used.
    """
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


def check_complete(
    categories: Mapping[Category, CategoryPolicy],
    restricted: Mapping[Category, CategoryPolicy],
    clauses: Mapping[str, ClauseText],
    path: str,
) -> None:
    """Make sure that every category is there, rests on a clause, and that one of them acts.

    Raises:
        PolicyError: it is not so.
    """
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


def read_strikes(table: Table, base: StrikePolicy) -> StrikePolicy:
    """The table `strikes` over what was read before.

    Raises:
        PolicyError: a value cannot be used.
    """
    table.only("per_timeout", "decay_days", "timeouts_s")
    timeouts = table.numbers("timeouts_s", base.timeouts_s, low=1, high=365 * 86_400)
    if not timeouts or sorted(timeouts) != list(timeouts):
        raise table.error("timeouts_s", "must be a rising list of seconds")
    return StrikePolicy(
        per_timeout=int(table.number("per_timeout", base.per_timeout, low=1, high=1000)),
        decay_days=table.number("decay_days", base.decay_days, low=0.001, high=3650),
        timeouts_s=tuple(int(t) for t in timeouts),
    )


def read_alerts(table: Table, base: AlertPolicy) -> AlertPolicy:
    """The table `alerts` over what was read before.

    Raises:
        PolicyError: a value cannot be used.
    """
    table.only("blocks", "hours")
    return AlertPolicy(
        blocks=int(table.number("blocks", base.blocks, low=1, high=100_000)),
        hours=table.number("hours", base.hours, low=0.1, high=24 * 30),
    )
