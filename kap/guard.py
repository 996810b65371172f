"""A fact that counts time since something stands only behind its guard.

Otherwise somebody to whom it never happened (a first dose) would be unknown for ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from kap.condition import All, AnyOf, ConditionError, FactName, Formula, Not, walk
from kap.workshop import Derived


def true_in(node: Formula) -> frozenset[str]:
    """Return the facts that must be true wherever `node` is."""
    if isinstance(node, FactName):
        return frozenset({node.name})
    return frozenset().union(*map(true_in, node.parts)) if isinstance(node, All) else frozenset()


def _false_in(node: Formula) -> frozenset[str]:
    """Return the facts whose being true follows where `node` is not true: `not guard or ...`."""
    match node:
        case Not(FactName(name)):
            return frozenset({name})
    return frozenset()


def insist(
    node: Formula,
    derived: Mapping[str, Derived],
    closes: bool,
    known: frozenset[str],
) -> None:
    """Insist that a guarded fact stands behind its guard; else a first dose is never known."""
    if isinstance(node, All | AnyOf):
        for place, part in enumerate(node.parts):
            others = (*node.parts[:place], *node.parts[place + 1 :])
            reveal = true_in if isinstance(node, All) else _false_in
            shown = frozenset().union(*map(reveal, others))
            insist(part, derived, closes, known | shown)
    elif isinstance(node, Not):
        insist(node.part, derived, closes, known)
    else:
        for named in walk(node):
            if isinstance(named, FactName):
                stand_behind(named.name, derived, closes, known)


def stand_behind(
    name: str,
    derived: Mapping[str, Derived],
    closes: bool,
    known: frozenset[str],
) -> None:
    made = derived.get(name)
    if made is None or not made.is_since:
        return
    if made.guard and made.guard not in known:
        raise ConditionError(f"{name} stands only behind its guard: `{made.guard} and ...`")
    if not made.guard and not closes:
        raise ConditionError(f"{name} has no guard, so it may stand only in `require` or `needs`")
