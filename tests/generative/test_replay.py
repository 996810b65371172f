"""The reader of many charts says what the evaluator of one says, for every formula and protocol.

Numbers are drawn at each threshold that a rule compares them with, one step below and one above,
and sometimes known only between two ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kap.compiled import compile_formula, linear
from kap.condition import Comparison, Formula, Known, Member, Sum, evaluate, walk
from kap.finding import Renderer
from kap.logic import Truth
from kap.protocol import Protocol, available, load
from kap.replay import FormulaReader, Pair, RegistryReader, disagreements, look_at
from kap.replay_columns import ChartColumns, column_of, stage_facts, unpack
from kap.value import FALSE, TRUE, UNKNOWN, Value, number
from tests.core.test_condition import COLUMNS, NAMES, Seen
from tests.generative.test_condition import formulas, hidden, patients

CHARTS = 24
SHIPPED = [f"{name}@{version}" for name, version in available()]


# --- formulas -----------------------------------------------------------------------------------

between = st.tuples(st.integers(0, 250), st.integers(0, 3)).map(
    lambda ends: (Fraction(ends[0]), Fraction(sum(ends)))
)
partly: st.SearchStrategy[dict[str, Known]] = st.fixed_dictionaries(
    {}, optional={"x": between, "y": between}
)


def columns_of(people: list[dict[str, Known]]) -> ChartColumns:
    """Return people of the language's tests as columns."""
    seen = [Seen(one) for one in people]
    held = {
        name: column_of(name, column, [one.value(column.slot) for one in seen])
        for name, column in COLUMNS.items()
        if column.kind != "other"
    }
    return ChartColumns(len(people), held)


def read(node: Formula, people: list[dict[str, Known]]) -> list[int]:
    """Return the truth of a formula for each person, by columns."""
    reader = FormulaReader(NAMES)
    place = reader.place(node)
    return truths(reader.pairs(columns_of(people))[place], len(people))


def truths(pair: Pair, count: int) -> list[int]:
    yes, no = (unpack(bits, count) for bits in pair)
    return [UNKNOWN + int(a) - int(b) for a, b in zip(yes, no, strict=True)]


@st.composite
def people(draw: st.DrawFn) -> list[dict[str, Known]]:
    found = []
    for known in draw(st.lists(patients, min_size=1, max_size=9)):
        less = draw(hidden)
        kept = {name: value for name, value in known.items() if name not in less}
        found.append(kept | draw(partly))
    return found


@settings(max_examples=400)
@given(formulas, people())
def test_a_formula_over_columns_is_the_formula_of_each_chart(
    node: Formula, some: list[dict[str, Known]]
) -> None:
    closure = compile_formula(node, NAMES)
    assert read(node, some) == [closure(Seen(one)) for one in some]


# --- the shipped protocols ----------------------------------------------------------------------


def edges(protocol: Protocol) -> dict[str, set[int]]:
    """Return for each number the thresholds, in steps, that the rules compare it with."""
    names, found = protocol.plan.names, dict[str, set[int]]()
    for node in _nodes(protocol):
        if isinstance(node, Member):
            column = names.columns[node.fact.name]
            held = names.parameter(node.param).value
            listed = [i for i in held if not isinstance(i, str)] if isinstance(held, tuple) else []
            found.setdefault(node.fact.name, {0}).update(
                floor(Fraction(item) / column.step) for item in listed
            )
            continue
        form = linear(Sum(node.left, "-", node.right), names)
        for name, factor in form.terms.items():
            edge = -form.constant / factor / names.columns[name].step
            found.setdefault(name, {0}).add(floor(edge))
    return found


def _nodes(protocol: Protocol) -> Iterator[Comparison | Member]:
    for rule in protocol.rules:
        for part in (rule.expression, rule.only_if):
            for node in () if part is None else walk(part.tree):
                if isinstance(node, Comparison | Member):
                    yield node


def drawn(protocol: Protocol, stage: str, dice: np.random.Generator) -> ChartColumns:
    """Return charts whose every fact is drawn: unknown, or near what the rules turn on."""
    thresholds, codes = edges(protocol), _codes(protocol)
    held = {}
    for name in stage_facts(protocol, stage):
        column = protocol.plan.columns[name]
        near = sorted(thresholds.get(name, {0}))
        values = []
        for _ in range(CHARTS):
            low = int(dice.choice(near)) + int(dice.integers(-1, 2))
            high = low + (int(dice.integers(1, 3)) if dice.random() < 0.2 else 0)
            known = {
                "bool": Value(truth=int(dice.choice([FALSE, TRUE]))),
                "number": number(low, high),
                "code": Value(code=str(dice.choice([*codes, "none of them"]))),
            }.get(column.kind, Value(truth=TRUE))
            values.append(_nothing(name) if dice.random() < 0.3 else known)
        held[name] = column_of(name, column, values)
    return ChartColumns(CHARTS, held)


def _nothing(name: str) -> Value:
    return ChartColumns(1, {}).value(name, 0)


def _codes(protocol: Protocol) -> list[str]:
    listed = [p.value for p in protocol.parameters.values() if isinstance(p.value, tuple)]
    return sorted({item for items in listed for item in items if isinstance(item, str)})


def by_reference(reader: RegistryReader, charts: ChartColumns, place: int) -> dict[str, int]:
    """Return what the slow reference evaluator says of each rule of one chart."""
    shown = Renderer(reader.protocol, reader.stage, look_at(reader, charts, place))
    found = {}
    for planned in reader.stage.rules:
        rule = planned.rule
        values = {name: shown.known(name) for name in rule.facts}
        if rule.expression is None:
            asked = rule.only_if
            applies = asked is None or evaluate(asked.tree, values, shown.parameters)
            missing = any(shown.value(name).reason is not None for name in rule.needs)
            found[rule.id] = UNKNOWN if missing and applies is not Truth.FALSE else FALSE
            continue
        truth = evaluate(rule.expression.tree, values, shown.parameters)
        found[rule.id] = (~truth if rule.kind == "require" else truth).value
    return found


@pytest.mark.parametrize("shipped", SHIPPED)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1))
def test_at_every_stage_the_registry_is_answered_as_each_chart_would_be(
    shipped: str, seed: int
) -> None:
    protocol, dice = load(*shipped.split("@")), np.random.default_rng(seed)
    for stage in protocol.stages:
        reader, charts = RegistryReader(protocol, stage), drawn(protocol, stage, dice)
        assert disagreements(reader, charts, reader.answers(charts)) == []
        said = reader.truths(charts)
        place = int(dice.integers(CHARTS))
        reference = by_reference(reader, charts, place)
        assert {rule_id: int(truth[place]) for rule_id, truth in said.items()} == reference
