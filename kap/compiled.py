"""The fast evaluator: a condition becomes closures over numbered slots, built once per rule.

Inside, truth is 0 false, 1 unknown, 2 true, and every number is an integer of its fact's step.
A comparison becomes one linear form with integer coefficients, so nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, lcm
from typing import NamedTuple
from typing import Protocol as Shape

from kap.condition import (
    All,
    AnyOf,
    Comparison,
    ConditionError,
    FactName,
    Formula,
    Member,
    Not,
    Number,
    ParamName,
    Product,
    Sum,
    Term,
)


class Slotted(Shape):
    """What a slot holds: a truth (0, 1, 2), both ends of a number in steps (or None), a code."""

    truth: int
    low: int | None
    high: int | None
    code: str | None


class Slots(Shape):
    """What a closure reads: the value of each slot; `values` has those that are read already."""

    @property
    def values(self) -> Sequence[Slotted | None]: ...
    def value(self, slot: int) -> Slotted: ...


Closure = Callable[["Slots"], int]


@dataclass(frozen=True, slots=True)
class Column:
    """One fact as the compiler sees it. `kind` is "bool", "number", "code" or "other"."""

    slot: int
    kind: str
    unit: str = ""
    step: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """A parameter's value with its unit; a tuple is a list for `in`."""

    value: Decimal | tuple[Decimal | str, ...]
    unit: str


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that a condition may name."""

    columns: Mapping[str, Column]
    parameters: Mapping[str, ParameterValue]

    def column(self, fact: FactName, kinds: tuple[str, ...]) -> Column:
        """Return the column of `fact`; ConditionError when it is unknown or of another kind."""
        found = self.columns.get(fact.name)
        if found is None:
            raise ConditionError(f"no fact is called {fact.name!r}")
        if found.kind not in kinds:
            raise ConditionError(f"{fact.name} is a {found.kind}, not a {' or '.join(kinds)}")
        return found

    def parameter(self, name: ParamName) -> ParameterValue:
        """Return the parameter; ConditionError when the protocol does not define it."""
        if name.name not in self.parameters:
            raise ConditionError(f"no parameter is called {name}")
        return self.parameters[name.name]


def compile_formula(node: Formula, names: Names) -> Closure:
    """Return the closure of `node`; ConditionError on unknown names, mixed units or kinds."""
    match node:
        case FactName():
            return _truth(names.column(node, ("bool",)).slot)
        case Not(FactName() as fact):
            return _false(names.column(fact, ("bool",)).slot)
        case Not(part):
            return _not(compile_formula(part, names))
        case All(parts):
            found = [_part(part, names) for part in parts]
            return _all_true(_slots(found)) if _are_facts(found) else _all(found)
        case AnyOf(parts):
            found = [_part(part, names) for part in parts]
            return _any_true(_slots(found)) if _are_facts(found) else _any(found)
        case Member(fact, param):
            return _member(names.column(fact, ("number", "code")), names.parameter(param))
        case _:
            return _comparison(node, names)


def _truth(slot: int) -> Closure:
    return lambda look: (look.values[slot] or look.value(slot)).truth


def _false(slot: int) -> Closure:
    return lambda look: 2 - (look.values[slot] or look.value(slot)).truth


def _not(part: Closure) -> Closure:
    return lambda look: 2 - part(look)


# A part of `and` or `or`: a fact by its slot, itself (1) or negated (-1), else (0) a closure.
_Part = tuple[int, int, Closure]


def _part(node: Formula, names: Names) -> _Part:
    """Return a part; a fact is read where it stands, which saves a call for most parts."""
    match node:
        case FactName():
            return 1, names.column(node, ("bool",)).slot, compile_formula(node, names)
        case Not(FactName() as fact):
            return -1, names.column(fact, ("bool",)).slot, compile_formula(node, names)
    return 0, 0, compile_formula(node, names)


def _are_facts(parts: list[_Part]) -> bool:
    return all(sign == 1 for sign, _, _ in parts)


def _slots(parts: list[_Part]) -> tuple[int, ...]:
    return tuple(slot for _, slot, _ in parts)


def _all_true(slots: tuple[int, ...]) -> Closure:
    """Return the closure of `a and b and ...`, each a fact: read where they stand."""

    def closure(look: Slots) -> int:
        least, values = 2, look.values
        for slot in slots:
            truth = (values[slot] or look.value(slot)).truth
            if not truth:
                return 0
            if truth < least:
                least = truth
        return least

    return closure


def _any_true(slots: tuple[int, ...]) -> Closure:
    """Return the closure of `a or b or ...`, each a fact."""

    def closure(look: Slots) -> int:
        most, values = 0, look.values
        for slot in slots:
            truth = (values[slot] or look.value(slot)).truth
            if truth == 2:
                return 2
            if truth > most:
                most = truth
        return most

    return closure


def _all(parts: list[_Part]) -> Closure:
    def closure(look: Slots) -> int:
        least, values = 2, look.values
        for sign, slot, part in parts:
            if sign:
                truth = (values[slot] or look.value(slot)).truth
                if sign < 0:
                    truth = 2 - truth
            else:
                truth = part(look)
            if not truth:
                return 0
            if truth < least:
                least = truth
        return least

    return closure


def _any(parts: list[_Part]) -> Closure:
    def closure(look: Slots) -> int:
        most, values = 0, look.values
        for sign, slot, part in parts:
            if sign:
                truth = (values[slot] or look.value(slot)).truth
                if sign < 0:
                    truth = 2 - truth
            else:
                truth = part(look)
            if truth == 2:
                return 2
            if truth > most:
                most = truth
        return most

    return closure


def _member(column: Column, parameter: ParameterValue) -> Closure:
    listed = parameter.value
    if not isinstance(listed, tuple):
        raise ConditionError("`in` needs a parameter that holds a list")
    slot = column.slot
    if column.kind == "code":
        codes = frozenset(item for item in listed if isinstance(item, str))
        if len(codes) != len(listed):
            raise ConditionError("a code is looked up in a list that holds numbers")

        def has_code(look: Slots) -> int:
            code = look.value(slot).code
            return 1 if code is None else 2 if code in codes else 0

        return has_code
    if parameter.unit != column.unit:
        raise ConditionError(f"a fact in {column.unit!r} is looked up in {parameter.unit!r}")
    steps = frozenset(Fraction(i) / column.step for i in listed if not isinstance(i, str))
    if len(steps) != len(listed):
        raise ConditionError("a number is looked up in a list that holds texts")

    def has_number(look: Slots) -> int:
        seen = look.value(slot)
        low, high = seen.low, seen.high
        if low is None or high is None:
            return 1
        if low == high:
            return 2 if low in steps else 0
        return 1 if any(low <= step <= high for step in steps) else 0

    return has_number


# --- comparisons --------------------------------------------------------------------------------


@dataclass(slots=True)
class Linear:
    """A sum of fact * coefficient, plus a constant, all in one unit."""

    unit: str
    terms: dict[str, Fraction]
    constant: Fraction


def linear(term: Term, names: Names) -> Linear:
    match term:
        case Number(value):
            return Linear("1", {}, Fraction(value))
        case ParamName():
            constant, unit = _scalar(term, names)
            return Linear(unit, {}, constant)
        case FactName(name):
            return Linear(names.column(term, ("number",)).unit, {name: Fraction(1)}, Fraction(0))
        case Product(fact, param):
            factor, unit = _scalar(param, names)
            if unit != "1" or not factor:
                raise ConditionError(f"{term}: a factor has the unit '1' and is not 0")
            column = names.column(fact, ("number",))
            return Linear(column.unit, {fact.name: factor}, Fraction(0))
        case _:
            left, right = linear(term.left, names), linear(term.right, names)
            return _added(left, 1 if term.sign == "+" else -1, right, term)


def _scalar(param: ParamName, names: Names) -> tuple[Fraction, str]:
    found = names.parameter(param)
    if isinstance(found.value, tuple):
        raise ConditionError(f"{param} is a list; lists are for `in`")
    return Fraction(found.value), found.unit


def _added(left: Linear, sign: int, right: Linear, where: Sum) -> Linear:
    if left.unit != right.unit:
        raise ConditionError(f"{where}: {left.unit!r} and {right.unit!r} do not mix")
    twice = left.terms.keys() & right.terms.keys()
    if twice:
        # A fact that cancels itself out would seem known while it is not.
        raise ConditionError(f"{where}: names {', '.join(sorted(twice))} twice; write it once")
    terms = left.terms | {name: sign * factor for name, factor in right.terms.items()}
    return Linear(left.unit, terms, left.constant + sign * right.constant)


def _comparison(node: Comparison, names: Names) -> Closure:
    form = linear(Sum(node.left, "-", node.right), names)
    scaled = {
        names.columns[name].slot: factor * names.columns[name].step
        for name, factor in form.terms.items()
    }
    if not scaled:
        raise ConditionError(f"{node}: compares no fact")
    if len(scaled) == 1:
        return _one_fact(scaled, form.constant, node)
    return _many_facts(scaled, form.constant, node.op)


_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def _one_fact(scaled: dict[int, Fraction], constant: Fraction, node: Comparison) -> Closure:
    ((slot, factor),) = scaled.items()
    edge = -constant / factor  # `fact op edge`, the edge in steps, turned round when factor < 0
    op = _FLIPPED[node.op] if factor < 0 else node.op
    if op in ("==", "!="):
        if edge.denominator != 1:
            raise ConditionError(f"{node}: lies between two steps, so it is never so; use < or >=")
        return _bounded(_read_one(slot), op, edge)
    return _ordered_one(slot, *_order(op, edge))


def _many_facts(scaled: dict[int, Fraction], constant: Fraction, op: str) -> Closure:
    scale = lcm(constant.denominator, *(factor.denominator for factor in scaled.values()))
    terms = tuple((slot, int(factor * scale)) for slot, factor in scaled.items())
    return _bounded(_read_sum(terms), op, -constant * scale)


class _Ended(Shape):
    """Both ends of a number in steps; None when it is not known."""

    @property
    def low(self) -> int | None: ...
    @property
    def high(self) -> int | None: ...


class _Ends(NamedTuple):
    """Both ends of a sum."""

    low: int | None
    high: int | None


Reader = Callable[["Slots"], _Ended]
_NO_ENDS = _Ends(None, None)


def _read_one(slot: int) -> Reader:
    return lambda look: look.values[slot] or look.value(slot)


def _read_sum(terms: tuple[tuple[int, int], ...]) -> Reader:
    def read(look: Slots) -> _Ends:
        least = most = 0
        for slot, factor in terms:
            seen = look.value(slot)
            if seen.low is None or seen.high is None:
                return _NO_ENDS
            ends = (seen.low, seen.high) if factor > 0 else (seen.high, seen.low)
            least += factor * ends[0]
            most += factor * ends[1]
        return _Ends(least, most)

    return read


def _bounded(read: Reader, op: str, edge: Fraction) -> Closure:
    """Return the closure of `number op edge`; over integers every order is "below some bound"."""
    if op == "==":
        return _equal(read, edge)
    if op == "!=":
        return _not(_equal(read, edge))
    return _ordered(read, *_order(op, edge))


def _order(op: str, edge: Fraction) -> tuple[int, int, int]:
    """Return the bound, and what `number op edge` is under it and from it on."""
    bound = ceil(edge) if op in ("<", ">=") else floor(edge) + 1
    return (bound, 2, 0) if op in ("<", "<=") else (bound, 0, 2)


def _ordered(read: Reader, bound: int, below: int, above: int) -> Closure:
    """Return the closure that is `below` under the bound, and `above` on it and over it."""

    def closure(look: Slots) -> int:
        seen = read(look)
        low, high = seen.low, seen.high
        if low is None or high is None:
            return 1
        if high < bound:
            return below
        return above if low >= bound else 1

    return closure


def _ordered_one(slot: int, bound: int, below: int, above: int) -> Closure:
    """Return the same of one fact, read where it stands: most comparisons are of one."""

    def closure(look: Slots) -> int:
        seen = look.values[slot] or look.value(slot)
        low, high = seen.low, seen.high
        if low is None or high is None:
            return 1
        if high < bound:
            return below
        return above if low >= bound else 1

    return closure


def _equal(read: Reader, edge: Fraction) -> Closure:
    def closure(look: Slots) -> int:
        seen = read(look)
        low, high = seen.low, seen.high
        if low is None or high is None:
            return 1
        if low == high:
            return 2 if low == edge else 0
        return 1 if low <= edge <= high else 0

    return closure
