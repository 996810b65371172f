"""The test patients inside a protocol file: every rule brings its own, and `check` runs them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from kap.chart import Chart, Fact, Reason
from kap.compiled import Column
from kap.evidence import Look
from kap.facts import FactError
from kap.moment import Moment, MomentError, span
from kap.protocol import Protocol, unknown_answer
from kap.rule import Answer, Example, ProtocolError, Rule
from kap.value import FALSE, TRUE, UNKNOWN, Value, number

# Any moment will do: a given fact is observed at the moment of the question.
AT = Moment.at(datetime(2026, 1, 15, 12, 0, tzinfo=UTC))
_STATES = {FALSE: "quiet", UNKNOWN: "unknown", TRUE: "speaks"}


def check(protocol: Protocol) -> list[str]:
    """Return what fails: an example that is answered otherwise, or a rule without its example."""
    return [failure for rule in protocol.rules for failure in _failures(protocol, rule)]


def _failures(protocol: Protocol, rule: Rule) -> list[str]:
    failures, states = [], []
    for example in rule.examples:
        try:
            state = run(protocol, rule, example)
        except (ProtocolError, FactError, MomentError) as problem:
            failures.append(f"{rule.id}: {problem}")
            continue
        states.append(state)
        said = (state, answer_alone(rule, state, example.stage))
        if example.expect not in said:
            given = ", ".join(f"{name} = {value}" for name, value in example.given.items())
            failures.append(
                f"{rule.id}: given {given}: {said[0]} ({said[1]}), not {example.expect}"
            )
    wanted = "unknown" if rule.kind == "needs" else "speaks"
    if wanted not in states and not rule.medication:
        failures.append(f"{rule.id}: has no example in which it is `{wanted}`")
    return failures


def run(protocol: Protocol, rule: Rule, example: Example) -> str:
    """Return "quiet", "unknown" or "speaks": what the rule says of the example's patient."""
    stage = protocol.stage(example.stage)
    chart, values = given(protocol, example.given)
    look = Look(chart, AT, protocol.plan.derivers, stage.limits, stage.now)
    for slot, value in values.items():
        look.values[slot] = value
    planned = next(p for p in protocol.plan.rules if p.rule.id == rule.id)
    return _STATES[planned.speaks(look)]


def answer_alone(rule: Rule, state: str, stage: str) -> Answer:
    """Return the answer of a protocol of only this rule."""
    if state == "quiet":
        return Answer.ELIGIBLE
    return rule.verdict if state == "speaks" else unknown_answer(rule, stage)


def given(
    protocol: Protocol, facts: Mapping[str, Any], at: Moment = AT
) -> tuple[Chart, dict[int, Value]]:
    """Return a chart of the raw facts given, and the values of the derived ones by slot."""
    told, values = [], {}
    for name, value in facts.items():
        column = protocol.plan.columns.get(name)
        kind = protocol.facts.get(name)
        derived = name in protocol.derived or kind is None or kind.type == "list"
        if derived and column is not None:
            values[column.slot] = assumed(name, value, column)
        elif kind is not None and not derived:
            told.append(_fact(name, value, kind.type, kind.unit, at))
        else:
            raise ProtocolError(f"given {name}: no such fact")
    return Chart().with_facts(*told), values


def _fact(name: str, value: Any, kind: str, unit: str, at: Moment) -> Fact:
    seen = at.utc
    if value == "unknown" and kind != "code":
        return Fact(name, None, observed_at=seen, reason=Reason.NOT_KNOWN)
    if kind == "number":
        value = Decimal(value)
    if kind == "date" and isinstance(value, str):
        first, last = span(value)
        value = first if first == last else value
    return Fact(name, value, unit, observed_at=seen)


def assumed(name: str, value: Any, column: Column) -> Value:
    """Return a derived fact as if it had this value, in its own unit."""
    if value == "unknown":
        return Value(reason=Reason.NOT_KNOWN, asks=(name,))
    if column.kind in ("bool", "list") and isinstance(value, bool):
        return Value(truth=TRUE if value else FALSE)
    if column.kind == "number" and isinstance(value, int | Decimal):
        steps = Fraction(value) / column.step
        if steps.denominator == 1:
            return number(int(steps), int(steps))
        raise ProtocolError(f"given {name} = {value}: not on its step of {column.step}")
    raise ProtocolError(f"given {name} = {value!r}: not a {column.kind}")
