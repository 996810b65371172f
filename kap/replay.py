"""A protocol over a whole registry: the third reader of the same syntax tree, in NumPy columns.

Every formula is a pair of packed columns, known true and known false; `and` joins the first and
crosses the second, `not` swaps them (docs/algorithms/replay.md). A formula that stands in several
rules is read once. The result is that of `kap.ask`, chart by chart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import ceil, floor, lcm

import numpy as np
import numpy.typing as npt

from kap.chart import Chart
from kap.compiled import Names, linear
from kap.condition import (
    All,
    AnyOf,
    Comparison,
    FactName,
    Formula,
    Member,
    Not,
    Sum,
)
from kap.evidence import Look
from kap.examples import AT
from kap.protocol import Protocol
from kap.replay_columns import (
    Bits,
    ChartColumns,
    CodeColumn,
    Mask,
    NumberColumn,
    Ranks,
    ReplayError,
    TruthColumn,
    Whole,
    pack,
    stage_facts,
    unpack,
)
from kap.rule import Answer, Rule
from kap.value import UNKNOWN

Pair = tuple[Bits, Bits]  # known true, known false
Ends = tuple[Whole, Whole, Bits]  # the low end, the high end (the same array: exact), where known
Step = Callable[[ChartColumns, list[Pair]], Pair]
MOST_FACTOR = 2**22


class FormulaReader:
    """Formulas over columns: one step for each distinct one, what is below before what is above."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._steps: list[Step] = []
        self._places: dict[Formula, int] = {}

    def place(self, node: Formula) -> int:
        """Return the place of a formula in what `pairs` gives, adding it when it is new.

        ReplayError for a sum too fine for 64 bits.
        """
        found = self._places.get(node)
        if found is None:
            step = self._step(node)
            found = self._places[node] = len(self._steps)
            self._steps.append(step)
        return found

    def pairs(self, charts: ChartColumns) -> list[Pair]:
        """Return for each formula where it is known true, and where known false."""
        done: list[Pair] = []
        for step in self._steps:
            done.append(step(charts, done))
        return done

    def _step(self, node: Formula) -> Step:
        match node:
            case FactName(name):
                return lambda charts, _: _truth(charts, name)
            case Not(part):
                place = self.place(part)
                return lambda _, done: _swapped(done[place])
            case All(parts):
                return _all([self.place(part) for part in parts])
            case AnyOf(parts):
                return _any([self.place(part) for part in parts])
            case Member():
                return self._member(node)
            case _:
                return self._comparison(node)

    def _member(self, node: Member) -> Step:
        name, listed = node.fact.name, self._names.parameter(node.param).value
        assert isinstance(listed, tuple)  # the loader insists
        column = self._names.columns[name]
        if column.kind == "code":
            return lambda charts, _: _has_code(charts, name, frozenset(listed))
        steps = [Fraction(item) / column.step for item in listed]
        return lambda charts, _: _has_number(_ends(charts, name), steps)

    def _comparison(self, node: Comparison) -> Step:
        form = linear(Sum(node.left, "-", node.right), self._names)
        terms = {name: f * self._names.columns[name].step for name, f in form.terms.items()}
        if len(terms) == 1:
            ((name, factor),) = terms.items()
            alone = _COMPARED[_TURNED[node.op] if factor < 0 else node.op]
            bound = -form.constant / factor
            return lambda charts, _: alone(_ends(charts, name), bound)
        scale = lcm(form.constant.denominator, *(f.denominator for f in terms.values()))
        whole = {name: int(factor * scale) for name, factor in terms.items()}
        if sum(map(abs, whole.values())) >= MOST_FACTOR:
            raise ReplayError(f"{node}: its factors are too fine to be summed in 64 bits")
        compare, edge = _COMPARED[node.op], -form.constant * scale
        return lambda charts, _: compare(_summed(charts, whole), edge)


class RegistryReader:
    """One stage of a protocol, ready to be asked of many charts at once."""

    def __init__(self, protocol: Protocol, stage: str) -> None:
        self.protocol = protocol
        self.stage = protocol.stage(stage)
        self.facts = stage_facts(protocol, stage)
        self._formulas = FormulaReader(protocol.plan.names)
        self._rules = [self._rule(planned.rule) for planned in self.stage.rules]

    def answers(self, charts: ChartColumns) -> Ranks:
        """Return the rank of each chart's answer (1 eligible to 7 refer now)."""
        found = [self._block(block) for block in charts.blocks()]
        return np.concatenate([np.zeros(0, np.uint8), *found])

    def _block(self, charts: ChartColumns) -> Ranks:
        reached: dict[int, Bits] = {}
        read = zip(self._pairs(charts), self.stage.ranks, strict=True)
        for (yes, no), (_, if_open, if_yes) in read:
            for rank, bits in ((if_yes, yes), (if_open, ~(yes | no))):
                before = reached.get(rank)
                reached[rank] = bits if before is None else before | bits
        best = np.full(charts.count, Answer.ELIGIBLE.rank, np.uint8)
        for rank, bits in sorted(reached.items()):
            np.maximum(best, unpack(bits, charts.count) * np.uint8(rank), out=best)
        return best

    def truths(self, charts: ChartColumns) -> dict[str, npt.NDArray[np.uint8]]:
        """Return for each rule what it says of each chart: 2 speaks, 1 unknown, 0 quiet."""
        found = {}
        for planned, (yes, no) in zip(self.stage.rules, self._pairs(charts), strict=True):
            sure, quiet = (unpack(bits, charts.count) for bits in (yes, no))
            found[planned.rule.id] = UNKNOWN + sure - quiet
        return found

    def _pairs(self, charts: ChartColumns) -> Iterator[Pair]:
        done = self._formulas.pairs(charts)
        return (read(charts, done) for read in self._rules)

    def _rule(self, rule: Rule) -> Step:
        """Return what a rule says: where it speaks, where it is quiet."""
        if rule.expression is None:
            return self._needs(rule)
        place = self._formulas.place(rule.expression.tree)
        if rule.kind == "require":
            return lambda _, done: _swapped(done[place])
        return lambda _, done: done[place]

    def _needs(self, rule: Rule) -> Step:
        asked = None if rule.only_if is None else self._formulas.place(rule.only_if.tree)

        def read(charts: ChartColumns, done: list[Pair]) -> Pair:
            quiet = reduce(np.bitwise_and, (_known(charts, name) for name in rule.needs))
            if asked is not None:
                quiet = quiet | done[asked][1]
            return np.zeros_like(quiet), quiet

        return read


# --- reading columns ----------------------------------------------------------------------------


def _nothing(charts: ChartColumns) -> Bits:
    return np.zeros((charts.count + 7) // 8, np.uint8)


def _truth(charts: ChartColumns, name: str) -> Pair:
    column = charts.facts.get(name)
    if column is None:
        return _nothing(charts), _nothing(charts)
    assert isinstance(column, TruthColumn)
    return column.yes, column.no


def _known(charts: ChartColumns, name: str) -> Bits:
    column = charts.facts.get(name)
    return _nothing(charts) if column is None else column.known


def _ends(charts: ChartColumns, name: str) -> Ends:
    column = charts.facts.get(name)
    if column is None:
        none = np.zeros(charts.count, np.int8)
        return none, none, _nothing(charts)
    assert isinstance(column, NumberColumn)
    return column.low, column.high, column.known


def _summed(charts: ChartColumns, factors: Mapping[str, int]) -> Ends:
    """Return a sum of numbers times whole factors; a negative factor turns its ends round."""
    low, high = np.zeros(charts.count, np.int64), np.zeros(charts.count, np.int64)
    known = ~_nothing(charts)
    for name, factor in factors.items():
        least, most, told = _ends(charts, name)
        if factor < 0:
            least, most = most, least
        low += least.astype(np.int64) * factor
        high += most.astype(np.int64) * factor
        known = known & told
    return low, high, known


def _has_code(charts: ChartColumns, name: str, codes: frozenset[object]) -> Pair:
    column = charts.facts.get(name)
    if column is None:
        return _nothing(charts), _nothing(charts)
    assert isinstance(column, CodeColumn)
    listed = np.array([word in codes for word in (*column.words, "")], dtype=bool)
    known = column.known
    yes = pack(listed[column.places]) & known
    return yes, known & ~yes


def _has_number(ends: Ends, steps: list[Fraction]) -> Pair:
    low, high, known = ends
    inside: Mask = np.zeros(len(low), dtype=bool)
    for step in steps:
        inside |= (low <= floor(step)) & (high >= ceil(step))
    within = pack(inside)
    return within & pack(low == high) & known, known & ~within


# --- and, or, comparisons -------------------------------------------------------------------------


def _all(places: list[int]) -> Step:
    def step(_: ChartColumns, done: list[Pair]) -> Pair:
        yes, no = done[places[0]]
        for place in places[1:]:
            yes, no = yes & done[place][0], no | done[place][1]
        return yes, no

    return step


def _any(places: list[int]) -> Step:
    def step(_: ChartColumns, done: list[Pair]) -> Pair:
        yes, no = done[places[0]]
        for place in places[1:]:
            yes, no = yes | done[place][0], no & done[place][1]
        return yes, no

    return step


def _split(ends: Ends, bound: int) -> Pair:
    """Return where a number is surely below a bound, and where surely on it or above."""
    low, high, known = ends
    above = pack(low >= bound) & known
    return (known & ~above if high is low else pack(high < bound) & known), above


def _equal(ends: Ends, edge: Fraction) -> Pair:
    low, high, known = ends
    point = int(edge)  # whole: what lies between two steps is refused when a file is loaded
    same = pack((low == point) & (high == point)) & known
    return same, pack((low > point) | (high < point)) & known


def _swapped(pair: Pair) -> Pair:
    return pair[1], pair[0]


_COMPARED: Mapping[str, Callable[[Ends, Fraction], Pair]] = {
    "<": lambda ends, edge: _split(ends, ceil(edge)),
    "<=": lambda ends, edge: _split(ends, floor(edge) + 1),
    ">=": lambda ends, edge: _swapped(_split(ends, ceil(edge))),
    ">": lambda ends, edge: _swapped(_split(ends, floor(edge) + 1)),
    "==": _equal,
    "!=": lambda ends, edge: _swapped(_equal(ends, edge)),
}

# what `edge op number` is when it is written `number op edge`
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


# --- the same, one chart at a time ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two readers of one tree said different things of one chart: a defect, never a finding."""

    place: int
    what: str  # a rule's id, or "answer"
    by_registry: int
    by_chart: int


def disagreements(
    reader: RegistryReader, charts: ChartColumns, answers: Ranks
) -> list[Disagreement]:
    """Return where the evaluator of one chart differs, for the first charts of many.

    `answers` are the ranks that this reader gave those first charts. Both read the same derived
    facts; `kap.ask` of a chart itself is compared by whoever has the chart.
    """
    first = next(charts.blocks(8 * -(-max(1, len(answers)) // 8)), charts)
    truths = reader.truths(first)
    found = []
    for place, rank in enumerate(answers.tolist()):
        said = evaluated(reader, first, place)
        for rule_id, truth in said.items():
            if truths[rule_id][place] != truth:
                found.append(Disagreement(place, rule_id, int(truths[rule_id][place]), truth))
        by_chart = reader.stage.answer(list(said.values())).rank
        if rank != by_chart:
            found.append(Disagreement(place, "answer", rank, by_chart))
    return found


def evaluated(reader: RegistryReader, charts: ChartColumns, place: int) -> dict[str, int]:
    """Return what each rule's own closure says of one chart: 2 speaks, 1 unknown, 0 quiet."""
    look = look_at(reader, charts, place)
    return {planned.rule.id: planned.speaks(look) for planned in reader.stage.rules}


def look_at(reader: RegistryReader, charts: ChartColumns, place: int) -> Look:
    """Return a look in which the facts of one chart are as the columns tell them."""
    plan, stage = reader.protocol.plan, reader.stage
    look = Look(Chart(), AT, plan.derivers, stage.limits, stage.now)
    for name in reader.facts:
        look.values[plan.columns[name].slot] = charts.value(name, place)
    return look
