"""The obligation `alive`: each rule has its patient, kept as a witness.

Source: safety plan, P7: taking a rule away changes some verdict.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kap.encode import Bool
from kap.plan import PlannedRule
from kap.protocol import Stage
from kap.prover import Counterexample, Prover


@dataclass(frozen=True, slots=True)
class Witness:
    """A patient in whom taking a rule away changes the verdict of a stage.

    `facts` are those in which the patient differs from the stage's patient without a finding.
    `changes` is "answer", or "findings" where another rule gives the same answer.
    """

    rule_id: str
    stage: str
    changes: str
    facts: Mapping[str, str]


class Witnesses:
    """Looks for the witness of each rule; `well` holds the facts of a patient without a finding."""

    def __init__(self, prover: Prover) -> None:
        self.prover = prover
        self.found: list[Witness] = []
        self.well: dict[str, dict[str, str]] = {}
        self._values: dict[str, dict[str, list[tuple[Bool, Bool]]] | None] = {}

    def alive(self) -> Iterator[Counterexample]:
        """Yield each rule that speaks of nobody; a rule that only asks is unknown of somebody."""
        for planned in self.prover.protocol.plan.rules:
            self.prover.asked += 1
            stage = self.prover.protocol.stage(planned.rule.stages[0])
            witness = self._witness(stage, planned)
            if witness is None:
                yield Counterexample(stage.name, planned.rule.id, {})
            else:
                self.found.append(witness)

    def _witness(self, stage: Stage, planned: PlannedRule) -> Witness | None:
        """Return the plainest patient there is: the answer changes, and little else is amiss."""
        near = self._near_well(stage, planned)
        found = self._among_all(stage, planned) if near is None else ("answer", near)
        if found is None:
            return None
        changes, facts = found
        well = self.well.get(stage.name, {})
        unlike = {name: text for name, text in facts.items() if well.get(name) != text}
        return Witness(planned.rule.id, stage.name, changes, unlike)

    def _among_all(self, stage: Stage, planned: PlannedRule) -> tuple[str, dict[str, str]] | None:
        """Return what taking the rule away changes, and for whom: the answer, or else a finding."""
        active, others = self._active(planned), {p.rule.id for p in stage.rules}
        below = self._below(stage, planned, others)
        ways = [("answer", [active, *below])] if below else []
        ways += [
            ("findings", [active, *self._as_well(stage, planned.rule.facts)]),
            ("findings", [active]),
        ]
        for changes, claims in ways:
            model = self.prover.find(claims)
            if model is not None:
                return changes, self.prover.patients.told(model, self.prover.read_at(stage))
        return None

    def _active(self, planned: PlannedRule) -> Bool:
        state = self.prover.patients.state(planned)
        return state.unknown if planned.rule.kind == "needs" else state.speaks

    def _below(self, stage: Stage, planned: PlannedRule, among: Collection[str]) -> list[Bool]:
        """Return that no other rule of these gives this rule's answer; nothing for a note."""
        place = stage.rules.index(planned)
        rank = stage.ranks[place][1 if planned.rule.kind == "needs" else 2]
        if rank == 1:
            return []
        others = set(among) - {planned.rule.id}
        return [self.prover.z3.Not(self.prover.patients.at_least(stage, rank, only=others))]

    def _near_well(self, stage: Stage, planned: PlannedRule) -> dict[str, str] | None:
        """Return the facts of the rule, or of its neighbours too, of a patient who is well but for
        them: the rules that read none of them are quiet as they were."""
        if self._well_of(stage) is None:
            return None
        own = planned.rule.facts
        beside = {n for p in stage.rules if not set(own).isdisjoint(p.rule.facts)
                  for n in p.rule.facts}  # fmt: skip
        for names in (own, sorted(beside)):
            readers = [p.rule for p in stage.rules if not set(names).isdisjoint(p.rule.facts)]
            below = self._below(stage, planned, {rule.id for rule in readers})
            others = {n for rule in readers for n in rule.facts} - set(names)
            held = self._told_well(stage, others, [self._active(planned), *below])
            held += [claim for name in names for claim in self.prover.patients.possible_of(name)]
            for exact in (self._exact(names), []):
                model = self.prover.find_alone([*held, *exact]) if below else None
                if model is not None:
                    return self.prover.patients.told(model, names)
        return None

    def _exact(self, names: Iterable[str]) -> list[Bool]:
        return [claim for name in names for claim in self.prover.patients.complete_of(name)]

    # --- the patient without a finding ---

    def _told_well(self, stage: Stage, names: Collection[str], claims: list[Bool]) -> list[Bool]:
        """Return claims with these facts as they are of the patient who is well."""
        values = self._well_of(stage) or {}
        pairs = [pair for name in names for pair in values[name]]
        return [self.prover.z3.substitute(claim, pairs) for claim in claims]

    def _as_well(self, stage: Stage, but: Collection[str]) -> list[Bool]:
        values = self._well_of(stage) or {}
        pairs = (pair for name, pairs in values.items() if name not in but for pair in pairs)
        return [variable == value for variable, value in pairs]

    def _well_of(self, stage: Stage) -> dict[str, list[tuple[Bool, Bool]]] | None:
        """Return each variable of each fact with its value; None where nobody is without a finding.

        All is known exactly of that patient.
        """
        if stage.name not in self._values:
            quiet = (self.prover.z3.Not(self.prover.not_quiet(planned)) for planned in stage.rules)
            model = self.prover.find([*self.prover.patients.complete(), *quiet])
            self._values[stage.name] = None if model is None else self._read(stage, model)
        return self._values[stage.name]

    def _read(self, stage: Stage, model: Any) -> dict[str, list[tuple[Bool, Bool]]]:
        names = self.prover.read_at(stage)
        self.well[stage.name] = self.prover.patients.told(model, names)
        return {
            name: [
                (variable, model.eval(variable, model_completion=True))
                for variable, _ in self.prover.pairs(name, self.prover.other)
            ]
            for name in names
        }
