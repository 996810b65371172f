"""One version of a protocol at one stage, over all patients: what two versions are compared by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Any

from kap.chart import Chart
from kap.encode import Patients
from kap.evidence import Look
from kap.examples import AT
from kap.known import Reason
from kap.protocol import Stage
from kap.prover import Unproven
from kap.rule import Answer, Rule
from kap.value import FALSE, TRUE, Value, number, unknown

EFFORT = 50_000_000  # the solver's own count of work for one question: the same on every machine
OTHER_CODE = "another code"
READINGS = ("latest", "previous", "mean_of_last", "lesser_of_pair", "lowest_since")


@dataclass(frozen=True, slots=True)
class Side:
    """One version at one stage, once all rules of the levels in `lifted` are overridden."""

    patients: Patients
    stage: Stage
    lifted: str = ""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of the stage, in their order."""
        return tuple(planned.rule for planned in self.stage.rules)

    @property
    def facts(self) -> tuple[str, ...]:
        """Every fact that the stage reads."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.facts))

    def kept(self, naming: Collection[str] | None = None) -> set[str]:
        """Return the ids of the rules that are not lifted, and name one of these facts."""
        return {
            rule.id
            for rule in self.rules
            if rule.level not in self.lifted
            and (naming is None or not set(naming).isdisjoint(rule.facts))
        }

    def below(self, rank: int, only: Collection[str]) -> Any:
        """Return the claim that none of these rules gives the rank."""
        return self.patients.z3.Not(self.patients.at_least(self.stage, rank, only=only))

    def possible(self, names: Collection[str]) -> list[Any]:
        """Return what holds of every patient about these facts.

        Whether something is on file is always known, and a time is counted behind its guard alone.
        """
        facts, found = self.patients.facts, []
        for name in names:
            found += [*self.patients.possible_of(name), *self._range(name)]
            row = self.patients.protocol.derived.get(name, {})
            if "on_file" in row:
                found.append(facts[name].known)
            guard = self.guard(name)
            if guard in names:
                z3 = self.patients.z3
                found.append(z3.Implies(facts[guard].false, z3.Not(facts[name].known)))
        return found

    def _range(self, name: str) -> list[Any]:
        """Return that a reading of a told number lies where that number may lie."""
        protocol, fact = self.patients.protocol, self.patients.facts[name]
        row, step = protocol.derived.get(name, {}), self.patients.columns[name].step
        told = [protocol.facts[n] for key in READINGS for n in _listed(row.get(key, []))]
        lows = [Fraction(kind.low) / step for kind in told if kind.low is not None]
        highs = [Fraction(kind.high) / step for kind in told if kind.high is not None]
        if not lows or not highs:
            return []
        return [fact.low >= ceil(min(lows)), fact.high <= floor(max(highs))]

    def guard(self, name: str) -> str:
        """Return the fact behind which a counted time stands; "" for a fact that can be told."""
        protocol = self.patients.protocol
        row = protocol.derived.get(name, {})
        counts = not {"days_since", "hours_since"}.isdisjoint(row)
        return row.get("guard", "") if counts and name not in protocol.facts else ""

    def ordinary(self, names: Collection[str]) -> list[Any]:
        """Return that all is known exactly, no number is below 0: a patient as they come."""
        z3, facts, found = self.patients.z3, self.patients.facts, []
        for name in names:
            known = z3.And(self.patients.complete_of(name))
            guard = self.guard(name)
            found.append(z3.Or(known, facts[guard].false) if guard in names else known)
            if facts[name].kind == "number":
                found.append(z3.Implies(facts[name].known, facts[name].low >= 0))
        return found

    def values(self, model: Any) -> dict[str, Value]:
        """Return what a model says of the stage's facts, as the scalar reader takes it."""
        return {name: self._value(model, name) for name in self.facts}

    def _value(self, model: Any, name: str) -> Value:
        z3, fact = self.patients.z3, self.patients.facts[name]

        def read(variable: Any) -> Any:
            return model.eval(variable, model_completion=True)

        if not z3.is_true(read(fact.known)):
            return unknown(Reason.NOT_KNOWN, (name,))
        if fact.kind == "bool":
            return Value(truth=TRUE if z3.is_true(read(fact.true)) else FALSE)
        if fact.kind == "number":
            return number(read(fact.low).as_long(), read(fact.high).as_long())
        if fact.kind == "code":
            place = read(fact.code).as_long()
            named = {own: code for code, own in self.patients.codes.items()}
            return Value(code=named.get(place, OTHER_CODE))
        return Value(truth=TRUE)

    def answer(self, values: Mapping[str, Value]) -> Answer:
        """Return the answer of the scalar reader, once the lifted levels are overridden."""
        plan = self.patients.protocol.plan
        look = Look(Chart(), AT, plan.derivers, self.stage.limits, self.stage.now)
        for name, value in values.items():
            look.values[plan.columns[name].slot] = value
        truths = [planned.speaks(look) for planned in self.stage.rules]
        kept = self.kept()
        return self.stage.answer(
            [t if r.id in kept else FALSE for t, r in zip(truths, self.rules, strict=True)]
        )


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def solve(side: Side, claims: list[Any]) -> Any:
    """Return a model in which all claims hold, or None; Unproven when the solver gives up."""
    z3 = side.patients.z3
    solver = z3.SimpleSolver()
    solver.set("rlimit", EFFORT)
    solver.add(*claims)
    answer = solver.check()
    if answer == z3.unknown:
        raise Unproven(solver.reason_unknown())
    return solver.model() if answer == z3.sat else None
