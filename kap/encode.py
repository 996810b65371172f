"""The third reader of the syntax tree: a protocol as formulas of Z3, over all patients at once.

Each derived fact that a rule names becomes variables: a truth is known true, known false or
neither; a number is known or not, with both its ends in steps; a code is known or not. So a proof
holds over derived facts, not over their derivations (docs/algorithms/proof.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, lcm
from typing import Any

from kap.compiled import Column, linear
from kap.condition import (
    All,
    AnyOf,
    Comparison,
    FactName,
    Formula,
    Member,
    Not,
    ParamName,
    Sum,
)
from kap.plan import PlannedRule
from kap.protocol import Protocol, Stage

Bool = Any  # a formula of Z3, which has no types of its own


@dataclass(frozen=True, slots=True)
class Kleene:
    """A condition as two formulas: when it is known true, and when it is known false."""

    true: Bool
    false: Bool


@dataclass(frozen=True, slots=True)
class State:
    """A rule as two formulas: when it speaks, and when it is unknown; else it is quiet."""

    speaks: Bool
    unknown: Bool


@dataclass(frozen=True, slots=True)
class Variable:
    """One derived fact: `true`, `false` for a truth; `known` with `low`, `high` for a number, with
    `code` for a code (0 is any code that no rule lists); `known` alone for a date or a list."""

    kind: str
    known: Bool
    true: Bool = None
    false: Bool = None
    low: Bool = None
    high: Bool = None
    code: Bool = None


class Patients:
    """All patients at once: the variables of one protocol's facts, and what its rules make of them.

    `prefix` keeps two patients apart in one proof. ImportError without the extra `proof`.
    """

    def __init__(self, protocol: Protocol, prefix: str = "") -> None:
        import z3

        self.z3 = z3
        self.protocol = protocol
        self.columns: Mapping[str, Column] = {
            name: protocol.plan.columns[name] for rule in protocol.rules for name in rule.facts
        }
        self.codes = self._codes()
        self.facts = {name: self._variable(prefix + name, c) for name, c in self.columns.items()}
        self._states: dict[str, State] = {}

    def _codes(self) -> dict[str, int]:
        """Return a number for each code that a parameter lists, from 1 on."""
        listed = (p.value for p in self.protocol.parameters.values() if isinstance(p.value, tuple))
        codes = sorted({item for value in listed for item in value if isinstance(item, str)})
        return {code: place for place, code in enumerate(codes, start=1)}

    def _variable(self, name: str, column: Column) -> Variable:
        z3 = self.z3
        known = z3.Bool(f"{name}.known")
        if column.kind == "bool":
            true, false = z3.Bool(f"{name}.true"), z3.Bool(f"{name}.false")
            return Variable("bool", z3.Or(true, false), true=true, false=false)
        if column.kind == "number":
            low, high = z3.Int(f"{name}.low"), z3.Int(f"{name}.high")
            return Variable("number", known, low=low, high=high)
        if column.kind == "code":
            return Variable("code", known, code=z3.Int(f"{name}.code"))
        return Variable(column.kind, known)

    def possible(self) -> list[Bool]:
        """Return what holds of every patient: no truth is both, ends are in order and in range."""
        return [claim for name in self.facts for claim in self.possible_of(name)]

    def possible_of(self, name: str) -> list[Bool]:
        """Return the same of one fact."""
        z3, fact = self.z3, self.facts[name]
        if fact.kind == "bool":
            return [z3.Not(z3.And(fact.true, fact.false))]
        if fact.kind == "code":
            return [z3.And(fact.code >= 0, fact.code <= len(self.codes))]
        if fact.kind != "number":
            return []
        found, kind = [fact.low <= fact.high], self.protocol.facts.get(name)
        if kind is not None and kind.low is not None and kind.high is not None:
            step = self.columns[name].step
            least, most = Fraction(kind.low) / step, Fraction(kind.high) / step
            found += [fact.low >= ceil(least), fact.high <= floor(most)]
        return found

    def complete(self) -> list[Bool]:
        """Return that every fact is known exactly."""
        return [claim for name in self.facts for claim in self.complete_of(name)]

    def complete_of(self, name: str) -> list[Bool]:
        """Return that one fact is known exactly."""
        fact = self.facts[name]
        return [fact.known, fact.low == fact.high] if fact.kind == "number" else [fact.known]

    # --- conditions ---

    def kleene(self, node: Formula) -> Kleene:
        """Return when a condition is known true, and when it is known false."""
        z3 = self.z3
        match node:
            case FactName(name):
                return Kleene(self.facts[name].true, self.facts[name].false)
            case Not(part):
                inner = self.kleene(part)
                return Kleene(inner.false, inner.true)
            case All(parts):
                read = [self.kleene(part) for part in parts]
                return Kleene(z3.And([r.true for r in read]), z3.Or([r.false for r in read]))
            case AnyOf(parts):
                read = [self.kleene(part) for part in parts]
                return Kleene(z3.Or([r.true for r in read]), z3.And([r.false for r in read]))
            case Member(FactName(name), ParamName(param)):
                return self._member(name, param)
            case _:
                return self._comparison(node)

    def _member(self, name: str, param: str) -> Kleene:
        z3, fact = self.z3, self.facts[name]
        listed = self.protocol.parameters[param].value
        assert isinstance(listed, tuple)
        if fact.kind == "code":
            found = z3.Or([fact.code == self.codes[str(item)] for item in listed])
            return Kleene(z3.And(fact.known, found), z3.And(fact.known, z3.Not(found)))
        steps = [Fraction(item) / self.columns[name].step for item in listed]
        whole = [int(item) for item in steps if item.denominator == 1]
        inside = z3.Or([z3.And(fact.low <= item, item <= fact.high) for item in whole])
        exact = z3.And(fact.low == fact.high, inside)
        return Kleene(z3.And(fact.known, exact), z3.And(fact.known, z3.Not(inside)))

    def _comparison(self, node: Comparison) -> Kleene:
        """Return left - right `op` 0 over both its ends, in whole numbers."""
        z3 = self.z3
        form = linear(Sum(node.left, "-", node.right), self.protocol.plan.names)
        scaled = {name: factor * self.columns[name].step for name, factor in form.terms.items()}
        scale = lcm(form.constant.denominator, *(factor.denominator for factor in scaled.values()))
        low: Any = int(form.constant * scale)
        high: Any = low
        for name, factor in scaled.items():
            fact, whole = self.facts[name], int(factor * scale)
            ends = (fact.low, fact.high) if whole > 0 else (fact.high, fact.low)
            low, high = low + whole * ends[0], high + whole * ends[1]
        known = z3.And([self.facts[name].known for name in scaled])
        equal, apart = z3.And(low == 0, high == 0), z3.Or(low > 0, high < 0)
        yes, no = {
            "<": (high < 0, low >= 0),
            "<=": (high <= 0, low > 0),
            ">": (low > 0, high <= 0),
            ">=": (low >= 0, high < 0),
            "==": (equal, apart),
            "!=": (apart, equal),
        }[node.op]
        return Kleene(z3.And(known, yes), z3.And(known, no))

    # --- rules and answers ---

    def state(self, planned: PlannedRule) -> State:
        """Return when a rule speaks and when it is unknown."""
        found = self._states.get(planned.rule.id)
        if found is None:
            found = self._states[planned.rule.id] = self._state(planned)
        return found

    def _state(self, planned: PlannedRule) -> State:
        z3, rule = self.z3, planned.rule
        if rule.expression is None:
            missing = z3.Or([z3.Not(self.facts[name].known) for name in rule.needs])
            tree = rule.only_if
            asked = True if tree is None else z3.Not(self.kleene(tree.tree).false)
            return State(z3.BoolVal(False), z3.And(asked, missing))
        read = self.kleene(rule.expression.tree)
        speaks = read.false if rule.kind == "require" else read.true
        return State(speaks, z3.Not(z3.Or(read.true, read.false)))

    def at_least(
        self,
        stage: Stage,
        rank: int,
        lifted: Mapping[str, Bool] | None = None,
        only: Collection[str] | None = None,
    ) -> Bool:
        """Return when the answer of a stage has this rank or a higher one.

        A rule in `lifted` counts only where its formula is false; with `only`, just those count.
        """
        if rank <= 1:
            return self.z3.BoolVal(True)
        found = []
        for planned, ranks in zip(stage.rules, stage.ranks, strict=True):
            if only is None or planned.rule.id in only:
                found += self._reaches(planned, ranks, rank, (lifted or {}).get(planned.rule.id))
        return self.z3.Or(found)

    def _reaches(
        self, planned: PlannedRule, ranks: tuple[int, int, int], rank: int, lifted: Bool
    ) -> list[Bool]:
        state = self.state(planned)
        parts = [
            own for own, at in ((state.unknown, ranks[1]), (state.speaks, ranks[2])) if at >= rank
        ]
        if not parts or lifted is None:
            return parts
        return [self.z3.And(self.z3.Or(parts), self.z3.Not(lifted))]

    # --- patients found ---

    def told(self, model: Any, names: Iterable[str]) -> dict[str, str]:
        """Return what a model says of these facts, as texts in their units."""
        return {name: self._told(model, name) for name in names}

    def _told(self, model: Any, name: str) -> str:
        fact, column = self.facts[name], self.columns[name]

        def value(variable: Any) -> Any:
            return model.eval(variable, model_completion=True)

        if not self.z3.is_true(value(fact.known)):
            return "unknown"
        if fact.kind == "bool":
            return "true" if self.z3.is_true(value(fact.true)) else "false"
        if fact.kind == "number":
            from kap.finding import decimal_text

            ends = [
                decimal_text(value(end).as_long() * column.step) for end in (fact.low, fact.high)
            ]
            unit = "" if column.unit == "1" else f" {column.unit}"
            return (ends[0] if ends[0] == ends[1] else " to ".join(ends)) + unit
        if fact.kind == "code":
            place = value(fact.code).as_long()
            return next((code for code, own in self.codes.items() if own == place), "another code")
        return "known"
