"""Puts questions about one protocol to the solver: one patient, and twins who differ in one fact.

What is asked stands by subject in `kap.proof_gate`, `kap.proof_risk`, `kap.proof_bands` and
`kap.proof_alive`. Needs the extra `proof`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from kap.encode import Bool, Patients
from kap.plan import PlannedRule
from kap.protocol import STRICT_STAGES, Protocol, Stage
from kap.rule import Answer

CLOSED = Answer.NEED_MORE_INFORMATION.rank  # from this rank on nothing may start

Claim = Callable[[Collection[str]], list[Bool]]  # of the rules that count


class Unproven(ValueError):
    """The solver gave up, so nothing is claimed."""


@dataclass(frozen=True, slots=True)
class Counterexample:
    """One patient in whom an obligation fails: the facts, and the rules or the fact concerned."""

    stage: str
    about: str
    facts: Mapping[str, str]


@cache
def proof_data() -> dict[str, Any]:
    """Return `proof.toml` as written."""
    return tomllib.loads(resources.files("kap").joinpath("proof.toml").read_text(encoding="utf-8"))


class Prover:
    """Puts the obligations of one protocol to the solver; `asked` counts the questions."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.patients = Patients(protocol)
        self.other = Patients(protocol, "other.")
        self.third = Patients(protocol, "third.")
        self.z3 = self.patients.z3
        self.solver = self.z3.Solver()
        self.solver.add(self.patients.possible())
        self.asked = 0
        self._held: dict[Any, bool] = {}

    # --- asking ---

    def patient(self, *claims: Bool) -> Any:
        """Return a model in which all claims hold, or None; one question.

        Unproven when the solver gives up.
        """
        self.asked += 1
        return self.find(claims)

    def find(self, claims: Collection[Bool]) -> Any:
        """Return the same for a search that is part of a question."""
        with self.assuming(claims):
            return self._model(self.solver)

    def find_alone(self, claims: Collection[Bool]) -> Any:
        """Return the same of claims that say all there is to say about their few facts."""
        solver = self.z3.SimpleSolver()
        solver.add(*claims)
        return self._model(solver)

    def _model(self, solver: Any) -> Any:
        answer = solver.check()
        if answer == self.z3.unknown:
            raise Unproven(solver.reason_unknown())
        return solver.model() if answer == self.z3.sat else None

    @contextmanager
    def assuming(self, claims: Collection[Bool]) -> Iterator[None]:
        """Ask everything inside of patients of whom these claims hold."""
        self.solver.push()
        self.solver.add(*claims)
        try:
            yield
        finally:
            self.solver.pop()

    def local_then_whole(
        self,
        stage: Stage,
        name: str,
        told: Collection[Bool],
        claim: tuple[str, Claim],
        apart: Collection[str] = (),
    ) -> Any:
        """Return a patient against a named claim: first over the rules that read the fact.

        All other rules say the same of both patients, so what holds over these holds over all.
        The same rules give the same answer at another stage of the same strictness.
        """
        word, claims = claim
        local = frozenset(self.rules_of(stage, name)) - frozenset(apart)
        key = (name, local, stage.name in STRICT_STAGES, word)
        if key not in self._held:
            self._held[key] = self.patient(*told, *claims(local)) is None
        if self._held[key]:
            return None
        rest = {planned.rule.id for planned in stage.rules} - frozenset(apart)
        return self.patient(*told, *claims(rest))

    # --- claims ---

    def shut(self, stage: Stage, lifted: Mapping[str, Bool] | None = None) -> Bool:
        """Return when nothing may start, be ordered, or go home."""
        return self.patients.at_least(stage, CLOSED, lifted)

    def not_quiet(self, planned: PlannedRule) -> Bool:
        """Return when a rule speaks or is unknown."""
        state = self.patients.state(planned)
        return self.z3.Or(state.speaks, state.unknown)

    # --- a twin: the same patient but for one fact ---

    def pairs(self, name: str, twin: Patients) -> list[tuple[Bool, Bool]]:
        """Return each variable of a fact with the twin's own."""
        first, second = self.patients.facts[name], twin.facts[name]
        parts = {"bool": ("true", "false"), "number": ("known", "low", "high"),
                 "code": ("known", "code")}.get(first.kind, ("known",))  # fmt: skip
        return [(getattr(first, part), getattr(second, part)) for part in parts]

    def of_twin(self, claim: Bool, name: str, twin: Patients) -> Bool:
        """Return what a claim says of the twin who differs in one fact."""
        return self.z3.substitute(claim, self.pairs(name, twin))

    def possible_twin(self, name: str, twin: Patients) -> list[Bool]:
        """Return what holds of every value of the twin's fact."""
        return [self.of_twin(claim, name, twin) for claim in self.patients.possible_of(name)]

    def exact_twin(self, name: str, twin: Patients) -> list[Bool]:
        """Return the same, and that it is known exactly."""
        exact = (self.of_twin(claim, name, twin) for claim in self.patients.complete_of(name))
        return [*self.possible_twin(name, twin), *exact]

    # --- the stages ---

    def strict(self) -> list[Stage]:
        """Return the stages at which something may be given or somebody goes home."""
        return [stage for name, stage in self.protocol.stages.items() if name in STRICT_STAGES]

    def read_at(self, stage: Stage) -> tuple[str, ...]:
        """Return the facts that the rules of a stage name."""
        return tuple(dict.fromkeys(n for planned in stage.rules for n in planned.rule.facts))

    def rules_of(self, stage: Stage, name: str) -> list[str]:
        """Return the ids of the rules of a stage that name a fact."""
        return [planned.rule.id for planned in stage.rules if name in planned.rule.facts]

    def against(self, model: Any, stage: Stage, about: str, *rule_ids: str) -> Counterexample:
        """Return a counterexample that shows the facts of these rules."""
        names = {n for rule_id in rule_ids for n in self.protocol.rule(rule_id).facts}
        return Counterexample(stage.name, about, self.patients.told(model, sorted(names)))
