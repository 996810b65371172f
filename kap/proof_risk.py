"""The obligation `monotone`: more risk never lowers the answer, on each arm of a two-sided fact.

Source: safety plan, P5. The direction of a told fact stands in `facts.toml`, that of a derived one
is found here; exceptions stand in `proof.toml`, each with its reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from kap.encode import Bool
from kap.protocol import Protocol, Stage
from kap.prover import Counterexample, Prover, proof_data
from kap.rule import Answer

_OVER = ("latest", "previous", "mean_of_last", "lesser_of_pair", "lowest_since")
_SINCE = ("days_since", "hours_since")
_TURNED = {"up": "down", "down": "up"}
_RANKS = range(2, len(Answer) + 1)


@dataclass(frozen=True, slots=True)
class Apart:
    """Rules left out of `monotone` for one fact at some stages, with the reason."""

    fact: str
    stages: tuple[str, ...]
    rules: tuple[str, ...]
    why: str


@cache
def exceptions() -> tuple[Apart, ...]:
    """Return the exceptions of `proof.toml`."""
    return tuple(
        Apart(row["fact"], tuple(row["stages"]), tuple(row["rules"]), row["why"])
        for row in proof_data()["apart"]
    )


def apart_of(protocol: Protocol) -> dict[tuple[str, str], Apart]:
    """Return the exceptions of a protocol by stage and fact: it has the stage and the rules."""
    return {
        (stage, row.fact): row
        for row in exceptions()
        for stage in row.stages
        if _has(protocol, stage, row)
    }


def _has(protocol: Protocol, stage: str, row: Apart) -> bool:
    rules = protocol.stages[stage].rules if stage in protocol.stages else ()
    return set(row.rules) <= {planned.rule.id for planned in rules}


def monotone(prover: Prover) -> Iterator[Counterexample]:
    """P5, of patients of whom all is known exactly."""
    apart, needed = apart_of(prover.protocol), set()
    with prover.assuming(prover.patients.complete()):
        for stage in prover.protocol.stages.values():
            for name in prover.read_at(stage):
                key = (stage.name, name)
                found = _falls(prover, stage, name, ())
                if found is not None and key in apart:
                    needed.add(key)
                    found = _falls(prover, stage, name, apart[key].rules)
                if found is not None:
                    yield found
    for stage_name, name in sorted(apart.keys() - needed):
        yield Counterexample(stage_name, f"{name}: an exception that nothing needs", {})


def _falls(
    prover: Prover, stage: Stage, name: str, apart: Collection[str]
) -> Counterexample | None:
    """Return a patient whose answer falls as a fact moves along its risk, or None."""
    direction = direction_of(prover.protocol, name)
    kind = prover.patients.facts[name].kind
    if direction in _TURNED and kind in ("bool", "number"):
        twins = {"moved": prover.other}
        model = _falls_along(prover, stage, name, direction, apart)
    elif direction == "two-sided":
        twins = {"below": prover.other, "above": prover.third}
        model = _falls_on_an_arm(prover, stage, name, apart)
    else:
        return None
    if model is None:
        return None
    told = prover.against(model, stage, name, *prover.rules_of(stage, name))
    then = {f"{name} {word}": twin.told(model, [name])[name] for word, twin in twins.items()}
    return Counterexample(told.stage, name, {**told.facts, **then})


def _falls_along(
    prover: Prover, stage: Stage, name: str, direction: str, apart: Collection[str]
) -> Any:
    z3, other = prover.z3, prover.other

    def falls(only: Collection[str]) -> list[Bool]:
        ranks = [prover.patients.at_least(stage, rank, only=only) for rank in _RANKS]
        return [z3.Or([z3.And(r, z3.Not(prover.of_twin(r, name, other))) for r in ranks])]

    told = (_further(prover, name, direction), *prover.exact_twin(name, other))
    return prover.local_then_whole(stage, name, told, ("falls", falls), apart)


def _further(prover: Prover, name: str, direction: str) -> Bool:
    """Return that the other patient's fact lies further along its risk."""
    fact, other = prover.patients.facts[name], prover.other.facts[name]
    if fact.kind == "bool":
        first, second = (fact.false, other.true) if direction == "up" else (fact.true, other.false)
        return prover.z3.And(first, second)
    return fact.low < other.low if direction == "up" else fact.low > other.low


def _falls_on_an_arm(prover: Prover, stage: Stage, name: str, apart: Collection[str]) -> Any:
    """Return a patient whose answer is higher than that of a twin below and of a twin above.

    Without one the answer has a single valley: from it on it never falls, whichever way one goes.
    """
    z3, below, above = prover.z3, prover.other, prover.third

    def peaks(only: Collection[str]) -> list[Bool]:
        ranks = [prover.patients.at_least(stage, rank, only=only) for rank in _RANKS]
        lower = ((r, [z3.Not(prover.of_twin(r, name, t)) for t in (below, above)]) for r in ranks)
        return [z3.Or([z3.And(r, *twins) for r, twins in lower])]

    return prover.local_then_whole(stage, name, between(prover, name), ("peaks", peaks), apart)


def between(prover: Prover, name: str) -> list[Bool]:
    """Return that a number lies between those of two twins, all three possible and exact."""
    fact = prover.patients.facts[name]
    return [
        prover.other.facts[name].low < fact.low,
        fact.low < prover.third.facts[name].low,
        *prover.exact_twin(name, prover.other),
        *prover.exact_twin(name, prover.third),
    ]


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
