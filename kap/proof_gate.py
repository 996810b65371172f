"""Obligations about gates: nothing absolute passes, nothing unknown passes, some patient does.

Source: clinical reference, section 1; safety plan, P1 to P4, P6 and P7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from kap import lift
from kap.ceilings import Route, ceilings
from kap.encode import Bool
from kap.examples import AT
from kap.finding import Finding
from kap.protocol import Stage
from kap.prover import CLOSED, Counterexample, Prover, proof_data
from kap.rule import Rule


def absolute(prover: Prover) -> Iterator[Counterexample]:
    """P1, P2."""
    yield from _starts_despite(prover, {})


def override(prover: Prover) -> Iterator[Counterexample]:
    """P3, with the overrides that `kap.lift` takes: at the start, and of an A at every stage."""
    rules = prover.protocol.rules
    lifted = {rule.id: prover.z3.Bool(f"lifted.{rule.id}") for rule in rules if is_lifted(rule)}
    yield from _starts_despite(prover, lifted)
    for stage in prover.protocol.stages.values():
        yield from _lowered(prover, stage, lifted)


def is_lifted(rule: Rule) -> bool:
    """Return whether the fullest override that can be written lifts a finding of a rule."""
    full = lift.Lift(
        rule.id, expires_at=AT.utc + timedelta(days=1), who="prescriber", second="second person",
        reason="reason", clearance="document",
    )  # fmt: skip
    said = (
        Finding(
            rule.id, rule.level, rule.verdict, rule.verdict, state, rule.why, rule.source,
            rule.mark, specialty=rule.specialty,
        )
        for state in ("spoke", "unknown")
    )  # fmt: skip
    return any(not lift.refusal(finding, full, AT) for finding in said)


def _starts_despite(prover: Prover, lifted: Mapping[str, Bool]) -> Iterator[Counterexample]:
    stage = prover.protocol.stage("start")
    is_open = prover.z3.Not(prover.shut(stage, lifted))
    for planned in stage.rules:
        if planned.rule.level == "A":
            model = prover.patient(is_open, prover.not_quiet(planned))
            if model is not None:
                yield prover.against(model, stage, planned.rule.id, planned.rule.id)


def _lowered(prover: Prover, stage: Stage, lifted: Mapping[str, Bool]) -> Iterator[Counterexample]:
    """Yield each A whose own part of the answer some set of overrides takes away."""
    z3, patients = prover.z3, prover.patients
    for planned, ranks in zip(stage.rules, stage.ranks, strict=True):
        if planned.rule.level == "A":
            state = patients.state(planned)
            below = [
                z3.And(own, z3.Not(patients.at_least(stage, rank, lifted, {planned.rule.id})))
                for own, rank in ((state.unknown, ranks[1]), (state.speaks, ranks[2]))
            ]
            model = prover.patient(z3.Or(below))
            if model is not None:
                about = f"{planned.rule.id}: an override reaches it"
                yield prover.against(model, stage, about, planned.rule.id)


# --- the dose -----------------------------------------------------------------------------------


def dose(prover: Prover) -> Iterator[Counterexample]:
    """P4."""
    code = proof_data()["route"].get(prover.protocol.id)
    if code is None:
        return
    stage = prover.protocol.stage("start")
    is_open = prover.z3.Not(prover.shut(stage))
    for name, (end, limit) in _limits(ceilings().route(code)).items():
        if name not in prover.patients.facts:
            yield Counterexample(stage.name, f"{name}: no rule reads it", {})
            continue
        within = _within(prover, name, end, limit)
        model = prover.patient(is_open, prover.z3.Not(within))
        if model is not None:
            yield prover.against(model, stage, name, *prover.rules_of(stage, name))


def _limits(row: Route) -> dict[str, tuple[str, Decimal]]:
    """Return which end of which fact a route's ceilings hold."""
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
    return limits


def _within(prover: Prover, name: str, end: str, limit: Decimal) -> Bool:
    """Return that a number is known and on the right side of a ceiling; that a truth is no."""
    fact = prover.patients.facts[name]
    if fact.kind == "bool":
        return fact.false
    steps = Fraction(limit) / prover.patients.columns[name].step
    inside = fact.high <= floor(steps) if end == "high" else fact.low >= ceil(steps)
    return prover.z3.And(fact.known, inside)


# --- what is unknown ----------------------------------------------------------------------------


def included(prover: Prover) -> Iterator[Counterexample]:
    """What screening and order exclude absolutely, the start excludes too."""
    asked = {planned.rule.id for planned in prover.protocol.stage("start").rules}
    for name in ("screening", "order"):
        for planned in prover.protocol.stage(name).rules:
            prover.asked += 1
            if planned.rule.level == "A" and planned.rule.id not in asked:
                yield Counterexample("start", planned.rule.id, {})


def unknown(prover: Prover) -> Iterator[Counterexample]:
    """An unknown rule closes the gates."""
    for stage in prover.strict():
        is_open = prover.z3.Not(prover.shut(stage))
        for planned in stage.rules:
            if planned.rule.level != "N":
                state = prover.patients.state(planned)
                model = prover.patient(state.unknown, is_open)
                if model is not None:
                    yield prover.against(model, stage, planned.rule.id, planned.rule.id)


def refine(prover: Prover) -> Iterator[Counterexample]:
    """Knowing more of a fact shuts no gate that was open."""
    for stage in prover.strict():
        for name in prover.read_at(stage):
            model = _shuts(prover, stage, name)
            if model is not None:
                yield prover.against(model, stage, name, *prover.rules_of(stage, name))


def _shuts(prover: Prover, stage: Stage, name: str) -> Any:
    """Return a patient to whom a gate is open while a fact is unknown, and not once it is."""
    other = prover.other

    def shuts(only: Collection[str]) -> list[Bool]:
        closed = prover.patients.at_least(stage, CLOSED, only=only)
        return [prover.z3.Not(closed), prover.of_twin(closed, name, other)]

    told = (
        prover.z3.Not(prover.patients.facts[name].known),
        other.facts[name].known,
        *prover.possible_twin(name, other),
    )
    return prover.local_then_whole(stage, name, told, ("shuts", shuts))


# --- the file itself ----------------------------------------------------------------------------


def total(prover: Prover) -> Iterator[Counterexample]:
    """P6."""
    for stage in prover.protocol.stages.values():
        for planned in stage.rules:
            state = prover.patients.state(planned)
            model = prover.patient(state.speaks, state.unknown)
            if model is not None:
                yield prover.against(model, stage, planned.rule.id, planned.rule.id)


def open_to_some(prover: Prover) -> Iterator[Counterexample]:
    """P7: the proof is not empty."""
    stage = prover.protocol.stage("start")
    is_open = prover.z3.Not(prover.shut(stage))
    if prover.patient(is_open, *prover.patients.complete()) is None:
        yield Counterexample(stage.name, "with nobody", {})
