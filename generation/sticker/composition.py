"""Which things of a scene belong together: a tree of rows and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from generation.sticker.prompt import Layout


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Things side by side."""

    members: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two things, the first in a relation to the second other than beside it."""

    first: Node
    relation: Layout
    second: Node


Node = int | Row | Pair
"""A subject's index, or some subjects together."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Composition:
    """What stands side by side, from left to right."""

    units: tuple[Node, ...]
    ordered: bool  # left and right were asked for


def compose(relations: Sequence[Layout], *, joined: Sequence[bool] = ()) -> Composition:
    """Put subjects together.

    Args:
        relations: of each subject: how the one before it stands to it; the first is not read.
        joined: whether "and" stood before the subject: "a cat and a dog on a mat" are both on the mat.
    """
    units: list[Node] = [0] if relations else []
    run = 1  # units at the end that a relation would take together
    ordered = False
    for i, relation in enumerate(relations[1:], 1):
        if relation is Layout.WEARING:
            units[-1] = Pair(first=units[-1], relation=relation, second=i)
        elif relation is Layout.BESIDE:
            units.append(i)
            run = run + 1 if i < len(joined) and joined[i] else 1
        elif relation in {Layout.LEFT, Layout.RIGHT}:
            units.insert(len(units) if relation is Layout.LEFT else len(units) - 1, i)
            ordered, run = True, 1
        else:
            first = units[-run:]
            units[-run:] = [
                Pair(first=first[0] if run == 1 else Row(members=tuple(first)), relation=relation, second=i)
            ]
            run = 1
    return Composition(units=tuple(units), ordered=ordered)


def indices(node: Node) -> tuple[int, ...]:
    """The subjects of a node."""
    if isinstance(node, Row):
        return tuple(i for member in node.members for i in indices(member))
    if isinstance(node, Pair):
        return (*indices(node.first), *indices(node.second))
    return (node,)
