"""The same rules and charts, 15 % of the facts not known, for us and for other engines.

What counts first is what each makes of a condition that cannot be known: "false" is "absent", the
error that hurts people. Rules: every `when` of the screening stage that names yes-or-no facts,
codes in a list, and numbers compared with one threshold. All are given the same derived facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib import metadata
from time import process_time
from typing import Any

import numpy as np

import kap
from kap.compiled import Column
from kap.condition import Comparison, FactName, Formula, Member, Number, ParamName, Sum, walk
from kap.evidence import Look
from kap.examples import AT
from kap.protocol import Protocol
from kap.replay import FormulaReader
from kap.replay_columns import ChartColumns, column_of
from kap.value import FALSE, TRUE, UNKNOWN, Said, Value, number
from tests.bench.peers import Known, Peer, Rule, found

STAGE = "screening"
UNKNOWN_SHARE = 0.15
CHARTS = 400
SECONDS = 3.0
COLUMN_CHARTS = 1_000_000
OWN_VERSION = metadata.version("afterglow")
WORDS = {FALSE: "false", UNKNOWN: "unknown", TRUE: "true"}


@dataclass(frozen=True)
class Engine:
    """What one engine made of the charts: rate, and the unknown conditions by its answer."""

    name: str
    version: str
    encoding: str
    charts_per_s: float
    told: Counter[str]

    @property
    def absent(self) -> float:
        """The share of unknown conditions that it reports as false."""
        return self.told["false"] / max(1, self.told.total())


@dataclass(frozen=True)
class Engines:
    """One run over all of them."""

    protocol: str
    rules: int
    of_rules: int
    unknown: int
    engines: Sequence[Engine]
    missing: Sequence[str]


def measure() -> Engines:
    """Return what each engine makes of the same rules and charts."""
    protocol = kap.load("iv-ketamine")
    trees = list(_rules(protocol))
    dice = np.random.default_rng(20261124)
    charts = [_drawn(protocol, trees, dice, UNKNOWN_SHARE) for _ in range(CHARTS)]
    whole = [_drawn(protocol, trees, dice, 0) for _ in range(20)]
    peers, missing = found()
    expected = [_ours(protocol, trees, chart) for chart in charts]
    engines = [_closures(protocol, trees, charts), _columns(protocol, trees, charts)]
    for peer in peers:
        rules = [peer.rule(tree, _parameters(protocol)) for tree in trees]
        _demand_the_same_rules(peer, rules, whole, protocol, trees)
        engines.append(_peer(peer, rules, charts, expected))
    unknown = sum(row.count("unknown") for row in expected)
    stage_rules = len(protocol.stage(STAGE).rules)
    name = f"{protocol.id}@{protocol.version}"
    return Engines(name, len(trees), stage_rules, unknown, engines, missing)


def _rules(protocol: Protocol) -> Iterator[Formula]:
    for planned in protocol.stage(STAGE).rules:
        rule = planned.rule
        if rule.kind == "when" and rule.expression and _is_plain(protocol, rule.expression.tree):
            yield rule.expression.tree


def _is_plain(protocol: Protocol, tree: Formula) -> bool:
    for node in walk(tree):
        if isinstance(node, Sum):
            return False
        if isinstance(node, Member) and protocol.plan.columns[node.fact.name].kind != "code":
            return False
        if isinstance(node, Comparison) and not (
            isinstance(node.left, FactName) and isinstance(node.right, Number | ParamName)
        ):
            return False
    return True


def _parameters(protocol: Protocol) -> dict[str, Any]:
    return {name: parameter.value for name, parameter in protocol.parameters.items()}


# --- charts ----------------------------------------------------------------------------------


def _drawn(
    protocol: Protocol, trees: Sequence[Formula], dice: np.random.Generator, unknown: float
) -> dict[str, Any]:
    """Return the facts of one chart: numbers within a step of a threshold, few yeses."""
    parameters, near, codes = _parameters(protocol), dict[str, list[Any]](), set[str]()
    names = sorted({n.name for t in trees for n in walk(t) if isinstance(n, FactName)})
    for node in (node for tree in trees for node in walk(tree)):
        if isinstance(node, Comparison) and isinstance(node.left, FactName):
            right = node.right
            assert isinstance(right, Number | ParamName)
            held = right.value if isinstance(right, Number) else parameters[right.name]
            near.setdefault(node.left.name, []).append(Fraction(held))
        if isinstance(node, Member):
            codes |= set(parameters[node.param.name])
    chart: dict[str, Any] = {}
    for name in names:
        column = protocol.plan.columns[name]
        if dice.random() < unknown:
            continue
        if column.kind == "bool":
            chart[name] = bool(dice.random() < 0.1)
        elif column.kind == "code":
            chart[name] = str(dice.choice([*sorted(codes), "something else"]))
        else:
            edge = near[name][int(dice.integers(len(near[name])))]
            chart[name] = float((edge // column.step + int(dice.integers(-1, 2))) * column.step)
    return chart


def _value(chart: Known, name: str, column: Column) -> Value:
    if name not in chart:
        return ChartColumns(1, {}).value(name, 0)
    told = chart[name]
    if isinstance(told, bool):
        return Said(TRUE if told else FALSE, ())
    if isinstance(told, str):
        return Value(code=told)
    steps = round(Fraction(told) / column.step)
    return number(steps, steps)


# --- ours ------------------------------------------------------------------------------------


def _look(protocol: Protocol, chart: Known) -> Look:
    stage, plan = protocol.stage(STAGE), protocol.plan
    look = Look(kap.Chart(), AT, plan.derivers, stage.limits, stage.now)
    for name, column in plan.columns.items():
        look.values[column.slot] = _value(chart, name, column)
    return look


def _speakers(protocol: Protocol, trees: Sequence[Formula]) -> list[Callable[[Look], int]]:
    by_tree = {
        planned.rule.expression.tree: planned.speaks
        for planned in protocol.stage(STAGE).rules
        if planned.rule.expression is not None
    }
    return [by_tree[tree] for tree in trees]


def _ours(protocol: Protocol, trees: Sequence[Formula], chart: Known) -> list[str]:
    look = _look(protocol, chart)
    return [WORDS[speaks(look)] for speaks in _speakers(protocol, trees)]


def _closures(protocol: Protocol, trees: Sequence[Formula], charts: Sequence[Known]) -> Engine:
    speakers = _speakers(protocol, trees)
    looks = [_look(protocol, chart) for chart in charts]
    told: Counter[str] = Counter()
    for look in looks:
        told.update(WORDS[t] for t in (speaks(look) for speaks in speakers) if t == UNKNOWN)
    rate = _rate(lambda look: [speaks(look) for speaks in speakers], looks)
    return Engine(
        "Afterglow, one chart", metadata.version("afterglow"), "a slot without a value", rate, told
    )


def _columns(protocol: Protocol, trees: Sequence[Formula], charts: Sequence[Known]) -> Engine:
    """Measure the registry reader on the same charts, again and again up to a million."""
    reader = FormulaReader(protocol.plan.names)
    places = [reader.place(tree) for tree in trees]
    names = sorted({n.name for t in trees for n in walk(t) if isinstance(n, FactName)})
    known = protocol.plan.columns
    held = {
        name: column_of(name, known[name], [_value(chart, name, known[name]) for chart in charts])
        for name in names
    }
    block = _repeated(ChartColumns(len(charts), held), 320)
    pairs = reader.pairs(block)
    told: Counter[str] = Counter()
    for place in places:
        yes, no = (np.unpackbits(b, count=len(charts), bitorder="little") for b in pairs[place])
        told["unknown"] += int((yes + no == 0).sum())
    rounds = -(-COLUMN_CHARTS // block.count)
    began = process_time()
    for _ in range(rounds):
        reader.pairs(block)
    rate = rounds * block.count / (process_time() - began)
    return Engine(
        "Afterglow, columns", metadata.version("afterglow"), "in neither column", rate, told
    )


def _repeated(charts: ChartColumns, times: int) -> ChartColumns:
    """Return the charts many times over; their number is a multiple of 8."""

    def again(column: Any) -> Any:
        arrays = {}
        for key in column.__slots__:
            held = getattr(column, key)
            arrays[key] = np.tile(held, times) if isinstance(held, np.ndarray) else held
        if arrays.get("high") is not None and column.high is column.low:
            arrays["high"] = arrays["low"]
        return type(column)(**arrays)

    held = {name: again(column) for name, column in charts.facts.items()}
    return ChartColumns(charts.count * times, held)


# --- theirs ----------------------------------------------------------------------------------


def _demand_the_same_rules(
    peer: Peer,
    rules: Sequence[Rule],
    charts: Sequence[Known],
    protocol: Protocol,
    trees: Sequence[Formula],
) -> None:
    """Insist that a peer answers as we do where all is known, so that the rules are the same."""
    for chart in charts:
        theirs, read = _ours(protocol, trees, chart), peer.chart(chart)
        for tree, rule, ours in zip(trees, rules, theirs, strict=True):
            said = rule(read)
            if said != ours:
                raise AssertionError(f"{peer.package} was told another rule: {tree}: {said}")


def _peer(
    peer: Peer, rules: Sequence[Rule], charts: Sequence[Known], expected: Sequence[Sequence[str]]
) -> Engine:
    read = [peer.chart(chart) for chart in charts]
    told: Counter[str] = Counter()
    for chart, ours in zip(read, expected, strict=True):
        told.update(
            rule(chart) for rule, said in zip(rules, ours, strict=True) if said == "unknown"
        )
    rate = _rate(lambda chart: [rule(chart) for rule in rules], read)
    return Engine(peer.package, peer.version, peer.encoding, rate, told)


def _rate(run: Callable[[Any], object], charts: Sequence[Any]) -> float:
    """Return charts a second of processor time, over a few seconds."""
    began, done = process_time(), 0
    while process_time() - began < SECONDS:
        run(charts[done % len(charts)])
        done += 1
    return done / (process_time() - began)
