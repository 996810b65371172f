"""Mutants of a protocol: its parsed file with one thing wrong, of the kinds of docs/reliability.md.

Each says what is wrong in words, so that a survivor has a name that stays the same as long as the
rule does. `rules` are those whose example patients may notice; None: any may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kap.condition import (
    All,
    AnyOf,
    Comparison,
    FactName,
    Formula,
    Member,
    Number,
    ParamName,
    Product,
    parse,
)
from kap.protocol import Protocol
from kap.rule import Answer
from tests.mutation import tree as trees
from tests.mutation.unknown_as_no import KEY

Data = Mapping[str, Any]
CONDITIONS = ("when", "require", "only_if")
MADE = "mutant"  # the parameter or derived fact that a mutant brings along


@dataclass(frozen=True, slots=True)
class Mutant:
    """One thing wrong with one protocol: of what kind, in words, the tables that say so."""

    kind: str
    name: str
    data: Data
    rules: frozenset[str] | None


def mutants(data: Data, protocol: Protocol) -> Iterator[Mutant]:
    """Yield every mutant of the tables `data`, which write `protocol`."""
    seen: Counter[tuple[str, str]] = Counter()
    for make in KINDS.values():
        for mutant in make(data, protocol):
            key = (mutant.kind, mutant.name)
            seen[key] += 1
            twice = f" (no. {seen[key]})" if seen[key] > 1 else ""
            yield replace(mutant, name=mutant.name + twice)


def put(data: Data, *path: str, value: Any) -> dict[str, Any]:
    """Return the tables with another value at a path; what is not on the path is shared."""
    head, *rest = path
    return {**data, head: put(data.get(head, {}), *rest, value=value) if rest else value}


def without(data: Data, *path: str) -> dict[str, Any]:
    """Return the tables without what stands at a path."""
    head, *rest = path
    if rest:
        return {**data, head: without(data[head], *rest)}
    return {key: value for key, value in data.items() if key != head}


# --- rules --------------------------------------------------------------------------------------


def _conditions(data: Data) -> Iterator[tuple[str, str, Formula]]:
    """Yield (rule, key, condition) of every condition in the file."""
    for rule_id, row in data["rule"].items():
        for key in CONDITIONS:
            if key in row:
                yield rule_id, key, parse(row[key]).tree


def _rewritten(kind: str, data: Data, rule: str, key: str, what: str, new: Formula) -> Mutant:
    where = rule if key != "only_if" else f"{rule}, only if"
    changed = put(data, "rule", rule, key, value=str(new))
    return Mutant(kind, f"{where}: {what}", changed, frozenset({rule}))


def deleted(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """A rule, or a row of medicines, is not there."""
    for rule_id in data["rule"]:
        yield Mutant("rule deleted", rule_id, without(data, "rule", rule_id), frozenset())
    for tag in data.get("medication", {}):
        yield Mutant("rule deleted", f"M-{tag}", without(data, "medication", tag), frozenset())


def flipped(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """A fact, a comparison or a look-up says the opposite."""
    for rule, key, tree in _conditions(data):
        for leaf, new in trees.flipped(tree):
            yield _rewritten("truth flipped", data, rule, key, f"not `{leaf}`", new)


def taken_for_no(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """What is not known is taken for "no", and what must be known need not be."""
    for rule, key, tree in _conditions(data):
        for spot in trees.leaves(tree):
            if "on_file" in data["derived"].get(str(spot.part), {}):
                continue  # always known
            # `x and no(x)` is no(x), and a guard stays where the loader looks for it.
            new = spot.put(All((spot.part, FactName(MADE))))
            made = _rewritten("unknown as no", data, rule, key, f"`{spot.part}`", new)
            held = put(made.data, "derived", MADE, value={KEY: str(spot.part)})
            yield replace(made, data=held)
    for rule, row in data["rule"].items():
        for name in row.get("needs", ()):
            rest = [need for need in row["needs"] if need != name]
            changed = put(data, "rule", rule, "needs", value=rest)
            yield Mutant("unknown as no", f"{rule}: needs no {name}", changed, frozenset({rule}))


def branch_dropped(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """One branch of an `and` is not asked; a restriction is not made."""
    for rule, key, tree in _conditions(data):
        for part, new in trees.dropped(tree, All):
            yield _rewritten("AND branch dropped", data, rule, key, f"without `{part}`", new)
        if key == "only_if":
            changed = without(data, "rule", rule, key)
            name = f"{rule}: always, not only if"
            yield Mutant("AND branch dropped", name, changed, frozenset({rule}))


def alternative_dropped(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """One branch of an `or` is not asked."""
    for rule, key, tree in _conditions(data):
        for part, new in trees.dropped(tree, AnyOf):
            yield _rewritten("OR branch dropped", data, rule, key, f"without `{part}`", new)


def milder(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """A rule gives the next milder answer that the loader lets it give."""
    for section, prefix in (("rule", ""), ("medication", "M-")):
        for key, row in data.get(section, {}).items():
            said = Answer(row["verdict"])
            may = [a for a in Answer if Answer.ELIGIBLE.rank < a.rank < said.rank]
            if not row.get("conditions"):
                may = [a for a in may if a is not Answer.ELIGIBLE_WITH_CONDITIONS]
            if not row.get("conditions") and not row.get("reask"):
                may = [a for a in may if a is not Answer.DEFER]
            if may:
                less = max(may, key=lambda answer: answer.rank)
                changed = put(data, section, key, "verdict", value=str(less))
                rules = frozenset({prefix + key})
                yield Mutant("verdict milder", f"{prefix}{key}: {less}", changed, rules)


def retargeted(data: Data, protocol: Protocol) -> Iterator[Mutant]:
    """A condition reads another fact of the same kind and unit: the next one by name."""
    neighbours = _neighbours(protocol)
    for rule, key, tree in _conditions(data):
        for spot in trees.leaves(tree):
            for name in trees.named(spot.part):
                other = neighbours.get(name)
                if other is not None:
                    new = spot.put(_with_fact(spot.part, name, other))
                    what = f"`{spot.part}` reads {other}"
                    yield _rewritten("fact retargeted", data, rule, key, what, new)


def _with_fact(leaf: Formula, name: str, other: str) -> Formula:
    match leaf:
        case FactName():
            return FactName(other)
        case Member(_, param):
            return Member(FactName(other), param)
    assert isinstance(leaf, Comparison)
    return trees.swapped(leaf, FactName(name), FactName(other))


def _neighbours(protocol: Protocol) -> dict[str, str]:
    alike: dict[tuple[str, str], list[str]] = {}
    for name, column in sorted(protocol.plan.columns.items()):
        if not name.startswith("m_"):
            alike.setdefault((column.kind, column.unit), []).append(name)
    return {
        name: names[(place + 1) % len(names)]
        for names in alike.values()
        if len(names) > 1
        for place, name in enumerate(names)
    }


# --- thresholds ---------------------------------------------------------------------------------


def thresholds(data: Data, protocol: Protocol) -> Iterator[Mutant]:
    """A limit stands one step higher or lower, in one rule; without a limit, the edge itself."""
    for rule, key, tree in _conditions(data):
        for spot in trees.leaves(tree):
            if isinstance(spot.part, Comparison):
                yield from _beside(data, protocol, rule, key, spot)


def _beside(
    data: Data, protocol: Protocol, rule: str, key: str, spot: trees.Spot
) -> Iterator[Mutant]:
    node = spot.part
    assert isinstance(node, Comparison)
    kind = "threshold one step off"
    held = trees.limits(node)
    if not held or any(isinstance(n, Product) for n in (node.left, node.right)):
        new = spot.put(replace(node, op=trees.EDGE[node.op]))
        yield _rewritten(kind, data, rule, key, f"`{node}` {trees.EDGE[node.op]}", new)
    columns = protocol.plan.columns
    for limit in held:
        step = max(columns[name].step for name in trees.named(node))
        for sign, word in ((1, "up"), (-1, "down")):
            row, old = _limit(data, limit)
            if _is_factor(node, limit):
                step = Fraction(1, 10 ** max(0, -int(old.as_tuple().exponent)))
            value = old + sign * Decimal(step.numerator) / Decimal(step.denominator)
            new = spot.put(trees.swapped(node, limit, ParamName(MADE)))
            made = _rewritten(kind, data, rule, key, f"`{node}` {word}", new)
            yield replace(made, data=put(made.data, "param", MADE, value={**row, "value": value}))


def _limit(data: Data, limit: ParamName | Number) -> tuple[Data, Decimal]:
    if isinstance(limit, ParamName):
        row = data["param"][limit.name]
        return row, Decimal(row["value"])
    return {"unit": "1", "source": MADE, "mark": "D"}, limit.value


def _is_factor(node: Comparison, limit: ParamName | Number) -> bool:
    sides = (node.left, node.right)
    return any(isinstance(side, Product) and side.param == limit for side in sides)


# --- tables -------------------------------------------------------------------------------------

_LENGTH = {
    "s": 1,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "wk": 604_800,
    "mo": 2_629_800,
    "a": 31_557_600,
}
_WORDS = {"same-day": 43_200, "always": 10**12}


def widened(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """One fact stays valid as long as the next class of the file does; a class one unit longer."""
    order = sorted(_classes(data), key=lambda key: (_seconds(data, key), key))
    for stage, table in data["validity"].items():
        for key, names in table.items():
            for name in names:
                longer = _longer(data, order, key)
                if longer is None:
                    continue
                held = {**table, key: [n for n in names if n != name]}
                held[longer] = [*held.get(longer, []), name]
                changed = put(data, "validity", stage, value=held)
                yield Mutant("validity widened", f"{stage}: {name}, {longer}", changed, frozenset())
    for key in order:
        if key not in _WORDS:
            row = data["param"][key]
            changed = put(data, "param", key, "value", value=row["value"] + 1)
            yield Mutant("validity widened", f"{key} + 1 {row['unit']}", changed, frozenset())


def _classes(data: Data) -> set[str]:
    return {key for table in data["validity"].values() for key in table}


def _seconds(data: Data, key: str) -> int:
    if key in _WORDS:
        return _WORDS[key]
    row = data["param"][key]
    return int(row["value"]) * _LENGTH[row["unit"]]


def _longer(data: Data, order: list[str], key: str) -> str | None:
    """Return the shortest class that is longer than another."""
    return next((o for o in order if _seconds(data, o) > _seconds(data, key)), None)


# Each unit with one that somebody could write for it by mistake.
UNITS = {
    "1": "%",
    "%": "1",
    "/min": "/h",
    "a": "mo",
    "d": "wk",
    "h": "min",
    "kg": "g",
    "kg/m2": "kg",
    "mL": "L",
    "mL/h": "mL/min",
    "mL/min/{1.73_m2}": "mL/min",
    "mg": "mg/kg",
    "mg/d": "mg",
    "mg/kg": "mg",
    "mg/kg/min": "mg/kg",
    "mg/mL": "mg",
    "min": "h",
    "mm[Hg]": "kPa",
    "mo": "a",
    "ms": "s",
    "s": "min",
    "wk": "d",
}


def unit_swapped(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """A parameter has another unit, and the same number."""
    for name, row in data["param"].items():
        other = UNITS[row["unit"]]
        changed = put(data, "param", name, "unit", value=other)
        yield Mutant("unit swapped", f"{name}: {row['unit']} as {other}", changed, None)


def derivation_off(data: Data, _protocol: Protocol) -> Iterator[Mutant]:
    """A number that a derived fact or a jump is made with is one unit higher or lower."""
    read = {value for row in data["derived"].values() for value in _words(row)}
    for name in sorted((read | set(data.get("jump", {}).values())) & set(data["param"])):
        value = data["param"][name]["value"]
        for more in (1, -1):
            changed = put(data, "param", name, "value", value=value + more)
            yield Mutant("derivation off", f"{name} {more:+d}", changed, None)


def _words(row: Data) -> Iterator[str]:
    for value in row.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from value


KINDS: Mapping[str, Callable[[Data, Protocol], Iterator[Mutant]]] = {
    "rule deleted": deleted,
    "truth flipped": flipped,
    "unknown as no": taken_for_no,
    "threshold one step off": thresholds,
    "validity widened": widened,
    "AND branch dropped": branch_dropped,
    "OR branch dropped": alternative_dropped,
    "unit swapped": unit_swapped,
    "fact retargeted": retargeted,
    "verdict milder": milder,
    "derivation off": derivation_off,
}
