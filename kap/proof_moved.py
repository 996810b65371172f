"""For whom two versions of a protocol answer differently, rule by rule, over all patients.

A version is looser at a stage where some patient gets a lower answer than before. Both versions
share the facts that they both read; a fact that only one of them reads may have any value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kap.encode import Patients
from kap.proof_side import Side, solve
from kap.protocol import Protocol
from kap.prover import Unproven
from kap.rule import Answer, Rule

LOOSER, STRICTER = "looser", "stricter"
# Whose answer it is: nobody's override, a prescriber's, a prescriber's and a second person's. A
# rule that goes from level A to P may leave the answer as it was, and open to an override.
LIFTED = ("", "P", "PR")


@dataclass(frozen=True, slots=True)
class Moved:
    """One patient whose answer moved: the stage, which way, and the rule that did it.

    `facts` are those that the rule names and those amiss beside them; everything else is as in an
    ordinary patient. `lifted` are the levels that are overridden in both answers ("" for none).
    """

    stage: str
    way: str
    rule_id: str
    lifted: str
    facts: Mapping[str, str]
    before: Answer
    after: Answer


def moved(old: Protocol, new: Protocol, stages: Collection[str]) -> tuple[Moved, ...]:
    """Return one patient for each rule of these stages that moves an answer.

    ImportError without the extra `proof`; Unproven where the solver finds no answer.
    """
    pair = _Pair(old, new)
    return tuple(found for stage in stages for found in pair.moved(stage))


class _Pair:
    """Two versions over the same patients."""

    def __init__(self, old: Protocol, new: Protocol) -> None:
        # Variables of one name are one variable: so the facts of both versions are shared.
        self.old, self.new = Patients(old), Patients(new)
        codes = sorted({*self.old.codes, *self.new.codes})
        self.old.codes = self.new.codes = {code: place for place, code in enumerate(codes, 1)}
        before = Patients(old, "before ")
        for name in self.old.facts.keys() & self.new.facts.keys():
            if _shape(old, name) != _shape(new, name):
                self.old.facts[name] = before.facts[name]

    def moved(self, stage: str) -> Iterator[Moved]:
        """Yield one patient of a stage for each rule that moves an answer, looser ones first."""
        old = Side(self.old, self.old.protocol.stage(stage))
        new = Side(self.new, self.new.protocol.stage(stage))
        for way, high, low in ((LOOSER, old, new), (STRICTER, new, old)):
            places = [place for place in range(len(high.rules)) if not _stands(high, place, low)]
            usual = _usual(low) if places else None
            for place in places:
                found = _lowered(high, place, low, usual)
                if found is not None:
                    yield _told(way, high.rules[place], found, usual)


@dataclass(frozen=True, slots=True)
class _Lowered:
    """A patient to whom the version `high` gives more than the version `low`."""

    high: Side
    low: Side
    model: Any


def _shape(protocol: Protocol, name: str) -> tuple[Any, ...]:
    column = protocol.plan.columns[name]
    return column.kind, column.unit, column.step


def _stands(high: Side, place: int, low: Side) -> bool:
    """Return whether a rule stands in both word for word, at the same level, rank and numbers."""
    rule, ranks = high.rules[place], high.stage.ranks[place]
    same = [
        (other, given)
        for other, given in zip(low.rules, low.stage.ranks, strict=True)
        if other.id == rule.id
    ]
    return any(
        (other.text, other.level, given) == (rule.text, rule.level, ranks)
        and _numbers(high, rule) == _numbers(low, rule)
        and all(_same_fact(high, low, name) for name in rule.facts)
        for other, given in same
    )


def _numbers(side: Side, rule: Rule) -> list[Any]:
    trees = [e for e in (rule.expression, rule.only_if) if e is not None]
    held = side.patients.protocol.parameters
    return [(held[n].value, held[n].unit) for tree in trees for n in tree.params]


def _same_fact(high: Side, low: Side, name: str) -> bool:
    return _shape(high.patients.protocol, name) == _shape(low.patients.protocol, name)


def _usual(side: Side) -> Any:
    """Return a model of a patient for whom no rule of the stage has anything to say, or None."""
    names = side.facts
    quiet = side.below(Answer.ELIGIBLE_WITH_CONDITIONS.rank, side.kept())
    return solve(side, [*side.possible(names), *side.ordinary(names), quiet])


def _lowered(high: Side, place: int, low: Side, usual: Any) -> _Lowered | None:
    """Return a patient to whom `high` gives more than `low` because of its rule at `place`.

    An ordinary patient is looked for first, and first without any override.
    """
    for is_ordinary in (True, False):
        for lifted in LIFTED:
            if high.rules[place].level not in lifted:
                first = Side(high.patients, high.stage, lifted)
                second = Side(low.patients, low.stage, lifted)
                model = _model(first, place, second, usual, is_ordinary)
                if model is not None:
                    return _Lowered(first, second, model)
    return None


def _model(high: Side, place: int, low: Side, usual: Any, is_ordinary: bool) -> Any:
    rule = high.rules[place]
    near = low.kept(rule.facts)
    names = tuple(dict.fromkeys(n for r in low.rules if r.id in near for n in r.facts))
    sides = ((high, rule.facts), (low, names))
    claims = [claim for side, held in sides for claim in side.possible(held)]
    if is_ordinary:
        # What a rule needs is missing where it has anything to say.
        told = [(side, [n for n in held if n not in rule.needs]) for side, held in sides]
        claims += [claim for side, held in told for claim in side.ordinary(held)]
    for rank, given in _given(high, place):
        if solve(low, [*claims, given, low.below(rank, near)]) is None:
            continue
        whole = [*claims, given, low.below(rank, low.kept())]
        whole += [*high.possible(high.facts), *low.possible(low.facts)]
        for wish in _wishes(high, rule, rank, low, usual):
            model = solve(low, [*whole, *wish])
            if model is not None:
                return model
    return None


def _wishes(high: Side, rule: Rule, rank: int, low: Side, usual: Any) -> Iterator[list[Any]]:
    """Yield what else to ask of a patient, most first: what nobody can be is asked for in vain."""
    if usual is not None:
        as_usual = _as_usual(low, rule, usual)
        others = [name for name in high.facts if name not in rule.needs]
        by_this = [high.below(rank + 1, high.kept()), *high.ordinary(others)]
        yield [*as_usual, *by_this]
        yield as_usual
    yield []


def _given(side: Side, place: int) -> list[tuple[int, Any]]:
    """Return the ranks above `eligible` that a rule gives, with where it gives them."""
    _, if_unknown, if_speaks = side.stage.ranks[place]
    state = side.patients.state(side.stage.rules[place])
    given = ((if_speaks, state.speaks), (if_unknown, state.unknown))
    return [(rank, claim) for rank, claim in given if rank > Answer.ELIGIBLE.rank]


def _as_usual(side: Side, rule: Rule, usual: Any) -> list[Any]:
    """Return the claims that all is as usual beyond the facts of `rule`."""
    variables = [
        getattr(side.patients.facts[name], part)
        for name in side.facts
        if name not in rule.facts and side.guard(name) not in rule.facts
        for part in _PARTS[side.patients.facts[name].kind]
    ]
    return [v == usual.eval(v, model_completion=True) for v in variables]


_PARTS = {
    "bool": ("true", "false"),
    "number": ("known", "low", "high"),
    "code": ("known", "code"),
    "list": ("known",),
    "other": ("known",),
}


def _told(way: str, rule: Rule, found: _Lowered, usual: Any) -> Moved:
    """Return the patient in words, once the scalar reader gives the answers that the solver found.

    Unproven when it does not: then one of the two readers is wrong.
    """
    answers = [side.answer(side.values(found.model)) for side in (found.high, found.low)]
    if answers[0].rank <= answers[1].rank:
        raise Unproven(f"the scalar reader disagrees about {rule.id}: {', '.join(answers)}")
    before, after = answers if way == LOOSER else reversed(answers)
    stage, lifted = found.high.stage.name, found.high.lifted
    return Moved(stage, way, rule.id, lifted, _amiss(rule, found, usual), before, after)


def _amiss(rule: Rule, found: _Lowered, usual: Any) -> dict[str, str]:
    """Return the facts that the rule names in either version, and what else is not as usual."""
    named = [
        n for s in (found.high, found.low) for r in s.rules if r.id == rule.id for n in r.facts
    ]
    told: dict[str, str] = {}
    for side in (found.low, found.high):
        now = _texts(side, found.model)
        then = {} if usual is None or side is found.high else _texts(side, usual)
        told |= {n: text for n, text in now.items() if n in named or text != then.get(n, text)}
    return told


def _texts(side: Side, model: Any) -> dict[str, str]:
    """Return the stage's facts as texts; a count has no unit."""
    columns, told = side.patients.columns, side.patients.told(model, side.facts)
    return {n: t.removesuffix(" 1") if columns[n].unit == "1" else t for n, t in told.items()}
