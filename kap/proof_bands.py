"""The obligation `bands`: the bands of one number do not overlap, and scales have no gap.

A band is what a rule makes of a number that it holds from both sides. A scale is a set of rules
that sort patients together; `proof.toml` says where they must speak, in the words of the rules.
Source: safety plan, P7; clinical reference, sections 3 to 5, 7 and 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

from kap.condition import parse
from kap.encode import Bool
from kap.plan import PlannedRule
from kap.proof_risk import between
from kap.protocol import Protocol, Stage
from kap.prover import Counterexample, Prover, proof_data


@dataclass(frozen=True, slots=True)
class Scale:
    """Rules that sort patients together, and the condition under which one of them speaks.

    With `is_single` at most one of them speaks of a patient.
    """

    name: str
    protocols: tuple[str, ...]
    rules: tuple[str, ...]
    cover: str
    is_single: bool
    source: str


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two rules that may speak in one band of a fact, with the reason."""

    fact: str
    rules: tuple[str, ...]
    why: str


@cache
def scales() -> tuple[Scale, ...]:
    """Return the scales of `proof.toml`."""
    return tuple(
        Scale(
            name=row["name"],
            protocols=tuple(row["protocols"]),
            rules=tuple(row["rules"]),
            cover=row["cover"],
            is_single=row["single"],
            source=row["source"],
        )
        for row in proof_data()["scale"]
    )


@cache
def overlaps() -> tuple[Overlap, ...]:
    """Return the overlaps that `proof.toml` allows."""
    return tuple(
        Overlap(row["fact"], tuple(row["rules"]), row["why"]) for row in proof_data()["overlap"]
    )


def scales_of(protocol: Protocol) -> list[Scale]:
    """Return the scales by which a protocol sorts."""
    return [scale for scale in scales() if protocol.id in scale.protocols]


def overlaps_of(protocol: Protocol) -> list[Overlap]:
    """Return the overlaps whose rules a protocol has."""
    ids = {rule.id for rule in protocol.rules}
    return [row for row in overlaps() if ids.issuperset(row.rules)]


def bands(prover: Prover) -> Iterator[Counterexample]:
    """P7, of patients of whom all is known exactly."""
    with prover.assuming(prover.patients.complete()):
        yield from _overlapping(prover)
        for scale in scales_of(prover.protocol):
            yield from _scale_fails(prover, scale)


# --- no two rules in one band -------------------------------------------------------------------


def _overlapping(prover: Prover) -> Iterator[Counterexample]:
    allowed = {(row.fact, frozenset(row.rules)) for row in overlaps_of(prover.protocol)}
    seen: set[tuple[str, frozenset[str]]] = set()
    needed = set()
    for stage, name, first, second in _neighbours(prover):
        ids = (first.rule.id, second.rule.id)
        key = (name, frozenset(ids))
        if key in seen:
            continue
        seen.add(key)
        model = _both_turn_on(prover, name, first, second)
        if model is not None and key in allowed:
            needed.add(key)
        elif model is not None:
            about = f"{' and '.join(ids)} both speak in one band of {name}"
            yield prover.against(model, stage, about, *ids)
    for name, rules in sorted(allowed - needed, key=str):
        about = f"{name}: an overlap of {' and '.join(sorted(rules))} that nothing needs"
        yield Counterexample("", about, {})


def _neighbours(prover: Prover) -> Iterator[tuple[Stage, str, PlannedRule, PlannedRule]]:
    """Yield each rule that has a band of a number, with each other that reads the number there.

    Notes and rules that only ask sort nobody.
    """
    found: dict[tuple[str, str], bool] = {}
    for stage in prover.protocol.stages.values():
        sorting = [p for p in stage.rules if p.rule.level != "N" and p.rule.kind != "needs"]
        for name in prover.read_at(stage):
            if prover.patients.facts[name].kind != "number":
                continue
            readers = [planned for planned in sorting if name in planned.rule.facts]
            for first in readers:
                key = (name, first.rule.id)
                if key not in found:
                    found[key] = _has_band(prover, name, first)
                if found[key]:
                    yield from ((stage, name, first, p) for p in readers if p is not first)


def _has_band(prover: Prover, name: str, planned: PlannedRule) -> bool:
    """Whether a rule speaks of a patient, and not of twins with less and with more of a number."""
    speaks = prover.patients.state(planned).speaks
    quiet = [
        prover.z3.Not(prover.of_twin(speaks, name, twin)) for twin in (prover.other, prover.third)
    ]
    return prover.patient(*between(prover, name), speaks, *quiet) is not None


def _both_turn_on(prover: Prover, name: str, first: PlannedRule, second: PlannedRule) -> Any:
    """Return a patient of whom both rules speak, and each is quiet of a twin with another number.

    So a rule that speaks whatever the number is, stands beside a band and not in it.
    """
    claims: list[Bool] = []
    for planned, twin in ((first, prover.other), (second, prover.third)):
        speaks = prover.patients.state(planned).speaks
        claims += [speaks, prover.z3.Not(prover.of_twin(speaks, name, twin))]
        claims += prover.exact_twin(name, twin)
    return prover.patient(*claims)


# --- scales -------------------------------------------------------------------------------------


def _scale_fails(prover: Prover, scale: Scale) -> Iterator[Counterexample]:
    rules = {p.rule.id: p for p in prover.protocol.plan.rules if p.rule.id in scale.rules}
    lacking = [rule_id for rule_id in scale.rules if rule_id not in rules]
    if lacking:
        yield Counterexample("", f"{scale.name}: no rule {', '.join(lacking)}", {})
        return
    z3 = prover.z3
    stage = prover.protocol.stage(rules[scale.rules[0]].rule.stages[0])
    speaks = {rule_id: prover.patients.state(planned).speaks for rule_id, planned in rules.items()}
    cover = prover.patients.kleene(parse(scale.cover).tree).true
    asked = [
        ("a gap: none speaks", (cover, z3.Not(z3.Or(list(speaks.values()))))),
        ("one speaks beyond it", (z3.Not(cover), z3.Or(list(speaks.values())))),
    ]
    if scale.is_single:
        asked += [
            (f"{first} and {second} both speak", (speaks[first], speaks[second]))
            for first, second in combinations(scale.rules, 2)
        ]
    for words, claims in asked:
        model = prover.patient(*claims)
        if model is not None:
            yield prover.against(model, stage, f"{scale.name}: {words}", *scale.rules)
