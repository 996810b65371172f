"""Where a condition can be changed: every leaf and every branch of it, and the condition rebuilt.

A leaf is what is true, false or unknown by itself: a fact, a comparison, a look-up in a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from kap.condition import (
    All,
    AnyOf,
    Comparison,
    FactName,
    Formula,
    Member,
    Not,
    Number,
    ParamName,
    Product,
    Sum,
    Term,
    walk,
)

Leaf = FactName | Comparison | Member
OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
# The same side, with the other answer on the edge itself.
EDGE = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}


class Spot(NamedTuple):
    """A part of a condition, and how the whole reads with another part there."""

    part: Formula
    put: Callable[[Formula], Formula]


def spots(tree: Formula) -> Iterator[Spot]:
    """Yield every part of a condition, the whole first."""
    yield Spot(tree, lambda new: new)
    match tree:
        case Not(part):
            for spot in spots(part):
                yield Spot(spot.part, _negated(spot.put))
        case All(parts) | AnyOf(parts):
            for place, part in enumerate(parts):
                for spot in spots(part):
                    yield Spot(spot.part, _within(tree, place, spot.put))


def _negated(put: Callable[[Formula], Formula]) -> Callable[[Formula], Formula]:
    return lambda new: Not(put(new))


def _within(
    tree: All | AnyOf, place: int, put: Callable[[Formula], Formula]
) -> Callable[[Formula], Formula]:
    def rebuilt(new: Formula) -> Formula:
        return joined(type(tree), tree.parts[:place], put(new), tree.parts[place + 1 :])

    return rebuilt


def joined(
    kind: type[All] | type[AnyOf],
    before: tuple[Formula, ...],
    part: Formula,
    after: tuple[Formula, ...],
) -> Formula:
    """Return `and` (or `or`) of the parts; a part of the same kind is one list with them."""
    middle = part.parts if isinstance(part, kind) else (part,)
    return kind((*before, *middle, *after))


def leaves(tree: Formula) -> Iterator[Spot]:
    """Yield the leaves of a condition from left to right."""
    return (spot for spot in spots(tree) if isinstance(spot.part, FactName | Comparison | Member))


def dropped(tree: Formula, kind: type[All] | type[AnyOf]) -> Iterator[tuple[Formula, Formula]]:
    """Yield (branch, the condition without it) for every branch of each `and` (or `or`)."""
    for spot in spots(tree):
        if isinstance(spot.part, kind):
            parts = spot.part.parts
            for place, part in enumerate(parts):
                rest = (*parts[:place], *parts[place + 1 :])
                yield part, spot.put(rest[0] if len(rest) == 1 else kind(rest))


def flipped(tree: Formula) -> Iterator[tuple[Leaf, Formula]]:
    """Yield (leaf, the condition in which it is its opposite)."""
    for spot in spots(tree):
        match spot.part:
            case FactName() | Member():
                yield spot.part, _without_double(spot)
            case Comparison(op=op):
                yield spot.part, spot.put(replace(spot.part, op=OPPOSITE[op]))


def _without_double(spot: Spot) -> Formula:
    """Return the condition with `not x` for x, and with x for `not x`."""
    assert isinstance(spot.part, FactName | Member)
    negated = spot.put(Not(spot.part))
    for outer in spots(negated):
        match outer.part:
            case Not(Not(part)) if part == spot.part:
                return outer.put(part)
    return negated


def swapped(node: Comparison, old: Term, new: Term) -> Comparison:
    """Return a comparison with one term in the place of another."""

    def turned(term: Term) -> Term:
        if term == old:
            return new
        match term:
            case Sum(left, sign, right):
                return Sum(turned(left), sign, turned(right))
            case Product(fact, param):
                one, two = turned(fact), turned(param)
                assert isinstance(one, FactName)
                assert isinstance(two, ParamName)
                return Product(one, two)
        return term

    return Comparison(turned(node.left), node.op, turned(node.right))


def named(node: Formula | Term) -> tuple[str, ...]:
    """Return the facts that a part names, each once."""
    return tuple(dict.fromkeys(n.name for n in walk(node) if isinstance(n, FactName)))


def limits(node: Comparison) -> tuple[ParamName | Number, ...]:
    """Return the parameters and the numbers that a comparison is made with."""
    return tuple(n for n in walk(node) if isinstance(n, ParamName | Number))
