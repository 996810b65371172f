"""A law of every rule: what turns it by being known leaves it open by being unknown.

Wherever a rule says one thing of a value and another of another, all else being equal, it must say
"unknown" while that value is unknown. And every fact that a rule names turns it somewhere. Both
are looked for among invented patients who stand on and beside the limits of the rule; the same
ones each time.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

from kap.chart import Chart
from kap.compiled import Column
from kap.condition import Comparison, Formula, Member, Number, ParamName, walk
from kap.evidence import Look
from kap.examples import AT
from kap.known import Reason
from kap.plan import PlannedRule
from kap.protocol import Protocol
from kap.rule import Rule
from kap.value import FALSE, TRUE, UNKNOWN, Value, number

TRIES = 1500
ENOUGH = 24  # times that each fact turned the rule
ELSEWHERE = (0, 1, 5, 10, 20, 100)  # numbers in steps, where a rule compares facts with each other
_NOT_KNOWN = Value(reason=Reason.NOT_KNOWN)


class Broken(NamedTuple):
    """A rule and a fact of it for which the law does not hold, and how."""

    rule: str
    fact: str
    how: str


def broken(
    protocol: Protocol, rules: Iterable[PlannedRule], derived: Collection[str] = ()
) -> Iterator[Broken]:
    """Yield where the law fails: at most once for a rule and a fact.

    The facts named in `derived` are not invented, but made of the others.
    """
    for planned in rules:
        facts = [name for name in planned.rule.facts if name not in derived]
        yield from _of_rule(protocol, planned, facts)


def _of_rule(protocol: Protocol, planned: PlannedRule, facts: list[str]) -> Iterator[Broken]:
    rule, dice = planned.rule, random.Random(planned.rule.id)
    columns = {name: protocol.plan.columns[name] for name in facts}
    pools = {name: _pool(protocol, rule, column) for name, column in columns.items()}
    always = {name for name in columns if "on_file" in protocol.derived.get(name, {})}
    turned: Counter[str] = Counter()
    found: set[str] = set()
    for _ in range(TRIES):
        values = {name: dice.choice(pool) for name, pool in pools.items()}
        look = _look(protocol, rule)
        said = _says(planned, look, columns, values)
        for name in columns:
            if name in found or turned[name] >= ENOUGH:
                continue
            other = {**values, name: dice.choice(pools[name])}
            if _says(planned, look, columns, other) == said:
                continue
            turned[name] += 1
            hidden = _says(planned, look, columns, {**values, name: _NOT_KNOWN})
            if hidden != UNKNOWN and name not in always:
                found.add(name)
                yield Broken(rule.id, name, "turns it, and may be unknown all the same")
        if all(turned[name] >= ENOUGH or name in found for name in columns):
            break
    for name in columns:
        if not turned[name]:
            yield Broken(rule.id, name, "never turns it")


def _look(protocol: Protocol, rule: Rule) -> Look:
    stage = protocol.stage(rule.stages[0])
    return Look(Chart(), AT, protocol.plan.derivers, stage.limits, stage.now)


def _says(
    planned: PlannedRule, look: Look, columns: dict[str, Column], values: dict[str, Value]
) -> int:
    look.values = [None] * len(look.values)
    for name, value in values.items():
        look.values[columns[name].slot] = value
    return planned.speaks(look)


# --- the patients -------------------------------------------------------------------------------


def _pool(protocol: Protocol, rule: Rule, column: Column) -> list[Value]:
    """Return the values that a fact takes: for `needs`, known and not known."""
    made = _POOLS[column.kind](protocol, rule, column) if column.kind in _POOLS else [_known()]
    return [*made, _NOT_KNOWN] if column in _needed(protocol, rule) else made


def _needed(protocol: Protocol, rule: Rule) -> list[Column]:
    return [protocol.plan.columns[name] for name in rule.needs]


def _known() -> Value:
    return Value(truth=TRUE)


def _truths(_protocol: Protocol, _rule: Rule, _column: Column) -> list[Value]:
    return [Value(truth=TRUE), Value(truth=FALSE)]


def _codes(protocol: Protocol, rule: Rule, _column: Column) -> list[Value]:
    listed = {
        str(code)
        for node in _nodes(rule)
        if isinstance(node, Member)
        for code in _items(protocol, node.param)
    }
    return [Value(code=code) for code in (*sorted(listed), "of no list")]


def _items(protocol: Protocol, param: ParamName) -> tuple[object, ...]:
    value = protocol.parameters[param.name].value
    return value if isinstance(value, tuple) else (value,)


def _numbers(protocol: Protocol, rule: Rule, column: Column) -> list[Value]:
    steps = {
        int(Fraction(str(limit)) / column.step) + beside
        for node in _nodes(rule)
        if isinstance(node, Comparison | Member)
        for part in walk(node)
        for limit in _limits(protocol, part)
        for beside in (-1, 0, 1)
    }
    return [number(step, step) for step in sorted(steps | set(ELSEWHERE))]


def _limits(protocol: Protocol, part: object) -> tuple[object, ...]:
    if isinstance(part, ParamName):
        return _items(protocol, part)
    return (part.value,) if isinstance(part, Number) else ()


def _nodes(rule: Rule) -> Iterator[Formula]:
    for expression in filter(None, (rule.expression, rule.only_if)):
        yield from walk(expression.tree)  # type: ignore[misc]  # terms among them are passed over


_POOLS: dict[str, Callable[[Protocol, Rule, Column], list[Value]]] = {
    "bool": _truths,
    "code": _codes,
    "number": _numbers,
}
