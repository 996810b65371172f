"""What is proven of a protocol over all patients at once.

The obligations are those of docs/algorithms/proof.md. A proof holds over derived facts, not over
their derivations; the certificate (`kap.certificate`) prints that limit. Needs the extra `proof`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources
from math import ceil, floor
from typing import Any

from kap.ceilings import ceilings
from kap.certificate import LIMIT, STATEMENTS, sealed
from kap.encode import Patients
from kap.protocol import STRICT_STAGES, Protocol, Stage
from kap.rule import Answer, ProtocolError

CLOSED = Answer.NEED_MORE_INFORMATION.rank  # from this rank on nothing may start
LIFTABLE = ("R", "P")

_OVER = ("latest", "previous", "mean_of_last", "lesser_of_pair", "lowest_since")
_SINCE = ("days_since", "hours_since")
_TURNED = {"up": "down", "down": "up"}


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One patient in whom an obligation fails: the facts, and the rules or the fact concerned."""

    stage: str
    about: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Obligation:
    """One thing that must hold, how many questions were put to the solver, and what fails."""

    name: str
    statement: str
    asked: int
    fails: tuple[Counterexample, ...]

    @property
    def holds(self) -> bool:
        """Whether no patient was found in whom it fails."""
        return not self.fails


@dataclass(frozen=True, slots=True)
class Proof:
    """All obligations of one version of a protocol."""

    protocol_id: str
    version: str
    digest: str
    solver: str
    obligations: tuple[Obligation, ...]
    apart: tuple[Apart, ...]

    @property
    def holds(self) -> bool:
        """Whether every obligation holds."""
        return all(obligation.holds for obligation in self.obligations)


@dataclass(frozen=True, slots=True)
class Apart:
    """Rules left out of `monotone` for one fact at some stages, with the reason."""

    fact: str
    stages: tuple[str, ...]
    rules: tuple[str, ...]
    why: str


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(resources.files("kap").joinpath("proof.toml").read_text(encoding="utf-8"))


@cache
def exceptions() -> tuple[Apart, ...]:
    """Return the exceptions of `proof.toml`."""
    return tuple(
        Apart(row["fact"], tuple(row["stages"]), tuple(row["rules"]), row["why"])
        for row in _data()["apart"]
    )


class Unproven(ValueError):
    """The solver gave up, so nothing is claimed."""


def prove(protocol: Protocol, tell: Callable[[str], None] = lambda _name: None) -> Proof:
    """Return the proof of a protocol; `tell` hears the name of each obligation before it is asked.

    ImportError without the extra `proof`; Unproven where the solver finds no answer.
    """
    prover = _Prover(protocol)
    found = []
    for name, statement in STATEMENTS.items():
        tell(name)
        asked_before = prover.asked
        fails = tuple(getattr(prover, name)())
        found.append(Obligation(name, statement, prover.asked - asked_before, fails))
    solver = f"Z3 {prover.z3.get_version_string()}"
    names = {name for _, name in prover.apart}
    apart = tuple(row for row in exceptions() if row.fact in names)
    return Proof(protocol.id, protocol.version, protocol.digest, solver, tuple(found), apart)


def write_certificate(proof: Proof) -> dict[str, Any]:
    """Return the certificate of a proof that holds: JSON without date or machine, with its hash.

    ProtocolError for one that does not hold.
    """
    if not proof.holds:
        failing = ", ".join(o.name for o in proof.obligations if not o.holds)
        raise ProtocolError(f"{proof.protocol_id}@{proof.version}: not proven ({failing})")
    return sealed(
        {
            "protocol": proof.protocol_id,
            "version": proof.version,
            "digest": proof.digest,
            "ceilings": ceilings().digest,
            "solver": proof.solver,
            "obligations": [
                {"name": o.name, "statement": o.statement, "asked": o.asked}
                for o in proof.obligations
            ],
            "apart": [
                {"fact": a.fact, "stages": a.stages, "rules": a.rules, "why": a.why}
                for a in proof.apart
            ],
            "limit": LIMIT,
        }
    )


class _Prover:
    """Puts the obligations of one protocol to the solver."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.patients = Patients(protocol)
        self.other = Patients(protocol, "other.")
        self.z3 = self.patients.z3
        self.solver = self.z3.Solver()
        self.solver.add(self.patients.possible())
        self.asked = 0
        self.held: dict[Any, bool] = {}
        self.apart = {
            (stage, row.fact): row.rules
            for row in exceptions()
            for stage in row.stages
            if self._has(stage, row)
        }

    def _has(self, stage: str, row: Apart) -> bool:
        """Whether this protocol has the stage and the rules of an exception."""
        rules = self.protocol.stages[stage].rules if stage in self.protocol.stages else ()
        return set(row.rules) <= {planned.rule.id for planned in rules}

    def patient(self, *claims: Any) -> Any:
        """Return a model in which all claims hold, or None; one question."""
        self.asked += 1
        self.solver.push()
        self.solver.add(*claims)
        answer = self.solver.check()
        if answer == self.z3.unknown:
            raise Unproven(self.solver.reason_unknown())
        model = self.solver.model() if answer == self.z3.sat else None
        self.solver.pop()
        return model

    def against(self, model: Any, stage: Stage, about: str, *rule_ids: str) -> Counterexample:
        """Return a counterexample that shows the facts of these rules."""
        names = {n for rule_id in rule_ids for n in self.protocol.rule(rule_id).facts}
        return Counterexample(stage.name, about, self.patients.told(model, sorted(names)))

    def _not_quiet(self, planned: Any) -> Any:
        state = self.patients.state(planned)
        return self.z3.Or(state.speaks, state.unknown)

    # --- the gate to a dose ---

    def absolute(self) -> Iterator[Counterexample]:
        yield from self._starts_despite({})

    def override(self) -> Iterator[Counterexample]:
        rules = self.protocol.stage("start").rules
        lifted = {
            planned.rule.id: self.z3.Bool(f"lifted.{planned.rule.id}")
            for planned in rules
            if planned.rule.level in LIFTABLE
        }
        yield from self._starts_despite(lifted)

    def _starts_despite(self, lifted: Mapping[str, Any]) -> Iterator[Counterexample]:
        stage = self.protocol.stage("start")
        is_open = self.z3.Not(self.patients.at_least(stage, CLOSED, lifted))
        for planned in stage.rules:
            if planned.rule.level == "A":
                model = self.patient(is_open, self._not_quiet(planned))
                if model is not None:
                    yield self.against(model, stage, planned.rule.id, planned.rule.id)

    def dose(self) -> Iterator[Counterexample]:
        code = _data()["route"].get(self.protocol.id)
        if code is None:
            return
        stage, row = self.protocol.stage("start"), ceilings().route(code)
        most = {
            "mg_per_kg": row.mg_per_kg_max,
            "mg_per_kg_min": row.mg_per_kg_min_max,
            "dose_mg": row.mg_max,
        }
        limits = {name: ("high", limit) for name, limit in most.items() if limit}
        if row.minutes_min:
            limits["minutes"] = ("low", row.minutes_min)
        if not row.bolus_allowed:
            limits["bolus"] = ("high", Decimal(0))
        is_open = self.z3.Not(self.patients.at_least(stage, CLOSED))
        for name, (end, limit) in limits.items():
            if name not in self.patients.facts:
                yield Counterexample(stage.name, f"{name}: no rule reads it", {})
                continue
            model = self.patient(is_open, self.z3.Not(self._within(name, end, limit)))
            if model is not None:
                yield self.against(model, stage, name, *self._rules_of(stage, name))

    def _within(self, name: str, end: str, limit: Decimal) -> Any:
        """Return that a number is known and on the right side of a ceiling; that a truth is no."""
        fact = self.patients.facts[name]
        if fact.kind == "bool":
            return fact.false
        steps = Fraction(limit) / self.patients.columns[name].step
        inside = fact.high <= floor(steps) if end == "high" else fact.low >= ceil(steps)
        return self.z3.And(fact.known, inside)

    def included(self) -> Iterator[Counterexample]:
        asked = {planned.rule.id for planned in self.protocol.stage("start").rules}
        for name in ("screening", "order"):
            for planned in self.protocol.stage(name).rules:
                self.asked += 1
                if planned.rule.level == "A" and planned.rule.id not in asked:
                    yield Counterexample("start", planned.rule.id, {})

    # --- what is unknown ---

    def unknown(self) -> Iterator[Counterexample]:
        for stage in self._strict():
            for planned in stage.rules:
                if planned.rule.level != "N":
                    state = self.patients.state(planned)
                    is_open = self.z3.Not(self.patients.at_least(stage, CLOSED))
                    model = self.patient(state.unknown, is_open)
                    if model is not None:
                        yield self.against(model, stage, planned.rule.id, planned.rule.id)

    def refine(self) -> Iterator[Counterexample]:
        for stage in self._strict():
            for name in self._read_at(stage):
                model = self._shuts(stage, name)
                if model is not None:
                    yield self.against(model, stage, name, *self._rules_of(stage, name))

    def _shuts(self, stage: Stage, name: str) -> Any:
        """Return a patient to whom a gate is open while a fact is unknown, and not once it is."""
        pairs = self._pairs(name)

        def shuts(only: Collection[str]) -> list[Any]:
            closed = self.patients.at_least(stage, CLOSED, None, only)
            return [self.z3.Not(closed), self.z3.substitute(closed, pairs)]

        fact, other = self.patients.facts[name], self.other.facts[name]
        told = (self.z3.Not(fact.known), other.known, *self._possible(name, pairs))
        return self._local_then_whole(stage, name, told, shuts)

    def _local_then_whole(
        self,
        stage: Stage,
        name: str,
        told: tuple[Any, ...],
        claim: Callable[[Collection[str]], list[Any]],
        apart: Collection[str] = (),
    ) -> Any:
        """Return a patient against a claim: first over the rules that read the fact.

        All other rules say the same of both patients, so what holds over these holds over all.
        The same rules give the same answer at another stage of the same strictness.
        """
        local = frozenset(self._rules_of(stage, name)) - frozenset(apart)
        key = (name, local, stage.name in STRICT_STAGES, claim.__qualname__)
        if key not in self.held:
            self.held[key] = self.patient(*told, *claim(local)) is None
        if self.held[key]:
            return None
        rest = {planned.rule.id for planned in stage.rules} - frozenset(apart)
        return self.patient(*told, *claim(rest))

    def _strict(self) -> list[Stage]:
        return [stage for name, stage in self.protocol.stages.items() if name in STRICT_STAGES]

    # --- risk ---

    def monotone(self) -> Iterator[Counterexample]:
        self.solver.push()
        self.solver.add(self.patients.complete())
        needed = set()
        for stage in self.protocol.stages.values():
            for name in self._read_at(stage):
                apart = self.apart.get((stage.name, name))
                model = self._falls(stage, name, ())
                if model is not None and apart is not None:
                    needed.add((stage.name, name))
                    model = self._falls(stage, name, apart)
                if model is not None:
                    told = self.against(model, stage, name, *self._rules_of(stage, name))
                    then = self.other.told(model, [name])[name]
                    yield Counterexample(told.stage, name, {**told.facts, f"{name} moved": then})
        self.solver.pop()
        for stage_name, name in sorted(self.apart.keys() - needed):
            yield Counterexample(stage_name, f"{name}: an exception that nothing needs", {})

    def _falls(self, stage: Stage, name: str, apart: Collection[str]) -> Any:
        """Return a patient whose answer falls as a fact moves along its risk, or None."""
        moved = self._moved(name)
        if moved is None:
            return None
        pairs = self._pairs(name)

        def falls(only: Collection[str]) -> list[Any]:
            ranks = [self.patients.at_least(stage, rank, None, only) for rank in range(2, 8)]
            return [
                self.z3.Or(
                    [self.z3.And(r, self.z3.Not(self.z3.substitute(r, pairs))) for r in ranks]
                )
            ]

        whole = [self.z3.substitute(claim, pairs) for claim in self.patients.complete_of(name)]
        told = (moved, *self._possible(name, pairs), *whole)
        return self._local_then_whole(stage, name, told, falls, apart)

    def _moved(self, name: str) -> Any:
        """Return that the other patient's fact lies further along its risk, or None."""
        fact, other = self.patients.facts[name], self.other.facts[name]
        direction = direction_of(self.protocol, name)
        if direction not in _TURNED or fact.kind not in ("bool", "number"):
            return None
        if fact.kind == "bool":
            first, second = (
                (fact.false, other.true) if direction == "up" else (fact.true, other.false)
            )
            return self.z3.And(first, second)
        return fact.low < other.low if direction == "up" else fact.low > other.low

    def _read_at(self, stage: Stage) -> tuple[str, ...]:
        return tuple(dict.fromkeys(n for planned in stage.rules for n in planned.rule.facts))

    def _rules_of(self, stage: Stage, name: str) -> list[str]:
        return [planned.rule.id for planned in stage.rules if name in planned.rule.facts]

    def _pairs(self, name: str) -> list[tuple[Any, Any]]:
        """Return each variable of a fact with the other patient's own."""
        first, second = self.patients.facts[name], self.other.facts[name]
        parts = {"bool": ("true", "false"), "number": ("known", "low", "high"),
                 "code": ("known", "code")}.get(first.kind, ("known",))  # fmt: skip
        return [(getattr(first, part), getattr(second, part)) for part in parts]

    def _possible(self, name: str, pairs: list[tuple[Any, Any]]) -> list[Any]:
        return [self.z3.substitute(claim, pairs) for claim in self.patients.possible_of(name)]

    # --- the file itself ---

    def total(self) -> Iterator[Counterexample]:
        stages = self.protocol.stages.values()
        for stage in stages:
            for planned in stage.rules:
                state = self.patients.state(planned)
                model = self.patient(state.speaks, state.unknown)
                if model is not None:
                    yield self.against(model, stage, planned.rule.id, planned.rule.id)

    def open(self) -> Iterator[Counterexample]:
        stage = self.protocol.stage("start")
        is_open = self.z3.Not(self.patients.at_least(stage, CLOSED))
        if self.patient(is_open, *self.patients.complete()) is None:
            yield Counterexample(stage.name, "with nobody", {})

    def alive(self) -> Iterator[Counterexample]:
        for planned in self.protocol.plan.rules:
            stage = self.protocol.stage(planned.rule.stages[0])
            state = self.patients.state(planned)
            if self.patient(state.unknown if planned.rule.needs else state.speaks) is None:
                yield Counterexample(stage.name, planned.rule.id, {})


def direction_of(protocol: Protocol, name: str) -> str:
    """Return where the risk of a fact lies: its own direction, or what its operator makes of it."""
    if name in protocol.facts:
        return protocol.facts[name].direction
    row = protocol.derived.get(name, {})
    for operator in _OVER:
        if operator in row:
            first = row[operator] if isinstance(row[operator], str) else row[operator][0]
            return direction_of(protocol, first)
    for operator in _SINCE:
        if operator in row:  # the later it was, the shorter since then
            return _TURNED.get(direction_of(protocol, row[operator]), "none")
    if "at_least" in row:
        directions = {direction_of(protocol, part) for part in row["of"]}
        return directions.pop() if len(directions) == 1 else "none"
    return "none"
