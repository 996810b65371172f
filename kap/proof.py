"""What is proven of a protocol over all patients at once.

The obligations are those of docs/algorithms/proof.md. A proof holds over derived facts, not over
their derivations; the certificate (`kap.certificate`) prints that limit. Needs the extra `proof`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kap import proof_gate
from kap.ceilings import ceilings
from kap.certificate import LIMIT, STATEMENTS, sealed
from kap.proof_alive import Witness, Witnesses
from kap.proof_bands import Overlap, Scale, bands, overlaps_of, scales_of
from kap.proof_risk import Apart, apart_of, exceptions, monotone
from kap.protocol import Protocol
from kap.prover import Counterexample, Prover
from kap.rule import ProtocolError


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
    """All obligations of one version of a protocol, with a witness of each rule.

    `well` holds, by stage, the facts of a patient without a finding; a witness names what differs.
    """

    protocol_id: str
    version: str
    digest: str
    solver: str
    obligations: tuple[Obligation, ...]
    apart: tuple[Apart, ...]
    overlaps: tuple[Overlap, ...]
    scales: tuple[Scale, ...]
    witnesses: tuple[Witness, ...]
    well: Mapping[str, Mapping[str, str]]

    @property
    def holds(self) -> bool:
        """Whether every obligation holds."""
        return all(obligation.holds for obligation in self.obligations)


Asked = Callable[[Prover], Iterator[Counterexample]]
OBLIGATIONS: Mapping[str, Asked] = {
    "absolute": proof_gate.absolute,
    "override": proof_gate.override,
    "dose": proof_gate.dose,
    "included": proof_gate.included,
    "unknown": proof_gate.unknown,
    "refine": proof_gate.refine,
    "monotone": monotone,
    "bands": bands,
    "total": proof_gate.total,
    "open": proof_gate.open_to_some,
}


def prove(protocol: Protocol, tell: Callable[[str], None] = lambda _name: None) -> Proof:
    """Return the proof of a protocol; `tell` hears the name of each obligation before it is asked.

    ImportError without the extra `proof`; `kap.prover.Unproven` where the solver finds no answer.
    """
    prover = Prover(protocol)
    witnesses = Witnesses(prover)
    asks: dict[str, Asked] = {**OBLIGATIONS, "alive": lambda _prover: witnesses.alive()}
    found = []
    for name, statement in STATEMENTS.items():
        tell(name)
        asked_before = prover.asked
        fails = tuple(asks[name](prover))
        found.append(Obligation(name, statement, prover.asked - asked_before, fails))
    kept = set(apart_of(protocol).values())
    return Proof(
        protocol_id=protocol.id,
        version=protocol.version,
        digest=protocol.digest,
        solver=f"Z3 {prover.z3.get_version_string()}",
        obligations=tuple(found),
        apart=tuple(row for row in exceptions() if row in kept),
        overlaps=tuple(overlaps_of(protocol)),
        scales=tuple(scales_of(protocol)),
        witnesses=tuple(witnesses.found),
        well=witnesses.well,
    )


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
            "overlaps": [{"fact": o.fact, "rules": o.rules, "why": o.why} for o in proof.overlaps],
            "scales": [
                {"name": s.name, "rules": s.rules, "cover": s.cover, "source": s.source}
                for s in proof.scales
            ],
            "limit": LIMIT,
        }
    )
