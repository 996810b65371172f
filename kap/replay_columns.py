"""Derived facts of many charts as NumPy columns: what the registry reader reads.

Truths are packed eight charts to a byte, known-true and known-false apart; numbers are whole steps
of their fact with both ends. What a chart does not say is in neither: unknown stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kap.chart import Chart
from kap.compiled import Column
from kap.evidence import Look
from kap.known import Reason
from kap.moment import Moment
from kap.protocol import Protocol
from kap.value import FALSE, TRUE, Said, Value, number, unknown

Bits = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.signedinteger[Any]]
Mask = npt.NDArray[np.bool_]
Ranks = npt.NDArray[np.uint8]  # of answers: 1 eligible to 7 refer now; 0 none

BLOCK = 131_072  # charts read at once: what is worked on stays near the processor
MOST_STEPS = 2**40  # a sum of numbers below it, with factors below 2**22, fits into 64 bits


class ReplayError(ValueError):
    """Charts that cannot be replayed; the message names the fact or row and the way out."""


def pack(mask: npt.NDArray[Any]) -> Bits:
    """Return a mask, one bit a chart, the first in the lowest bit (as Arrow keeps it)."""
    return np.packbits(mask, bitorder="little")


def unpack(bits: Bits, count: int) -> npt.NDArray[np.uint8]:
    """Return 0 or 1 for each of `count` charts."""
    return np.unpackbits(bits, count=count, bitorder="little")


@dataclass(frozen=True, slots=True, eq=False)
class TruthColumn:
    """A yes-or-no fact of many charts: where it is known true, and where it is known false."""

    yes: Bits
    no: Bits

    @property
    def known(self) -> Bits:
        """Where it is either."""
        return self.yes | self.no

    def part(self, start: int, stop: int) -> TruthColumn:
        """Return the charts from `start`, a multiple of 8, to `stop`."""
        return TruthColumn(_bits(self.yes, start, stop), _bits(self.no, start, stop))

    def value(self, place: int, name: str) -> Value:
        """Return the value of one chart."""
        if _bit(self.yes, place):
            return Said(TRUE, ())
        return Said(FALSE, ()) if _bit(self.no, place) else _unknown(name)


@dataclass(frozen=True, slots=True, eq=False)
class NumberColumn:
    """A number of many charts in steps: both ends (one array when all are exact), where known."""

    low: Whole
    high: Whole
    known: Bits

    def part(self, start: int, stop: int) -> NumberColumn:
        """Return the charts from `start`, a multiple of 8, to `stop`."""
        low = self.low[start:stop]
        high = low if self.high is self.low else self.high[start:stop]
        return NumberColumn(low, high, _bits(self.known, start, stop))

    def value(self, place: int, name: str) -> Value:
        """Return the value of one chart."""
        if not _bit(self.known, place):
            return _unknown(name)
        return number(int(self.low[place]), int(self.high[place]))


@dataclass(frozen=True, slots=True, eq=False)
class CodeColumn:
    """A code of many charts: the place of each in `words`, -1 for unknown."""

    places: npt.NDArray[np.int32]
    words: tuple[str, ...]

    @property
    def known(self) -> Bits:
        """Where there is a code."""
        return pack(self.places >= 0)

    def part(self, start: int, stop: int) -> CodeColumn:
        """Return the charts from `start` to `stop`."""
        return CodeColumn(self.places[start:stop], self.words)

    def value(self, place: int, name: str) -> Value:
        """Return the value of one chart."""
        found = int(self.places[place])
        return _unknown(name) if found < 0 else Value(code=self.words[found])


@dataclass(frozen=True, slots=True, eq=False)
class KnownColumn:
    """A list or a date of many charts: only whether it is known is read."""

    known: Bits

    def part(self, start: int, stop: int) -> KnownColumn:
        """Return the charts from `start`, a multiple of 8, to `stop`."""
        return KnownColumn(_bits(self.known, start, stop))

    def value(self, place: int, name: str) -> Value:
        """Return the value of one chart."""
        return Value(truth=TRUE) if _bit(self.known, place) else _unknown(name)


FactColumn = TruthColumn | NumberColumn | CodeColumn | KnownColumn


@dataclass(frozen=True, slots=True, eq=False)
class ChartColumns:
    """`count` charts by fact. A fact that is not among them is unknown in every chart."""

    count: int
    facts: Mapping[str, FactColumn]

    def blocks(self, size: int = BLOCK) -> Iterator[ChartColumns]:
        """Yield the charts `size` (a multiple of 8) at a time, as views."""
        for start in range(0, self.count, size):
            stop = min(start + size, self.count)
            held = {name: column.part(start, stop) for name, column in self.facts.items()}
            yield ChartColumns(stop - start, held)

    def value(self, name: str, place: int) -> Value:
        """Return a fact of one chart, as the evaluator of one chart takes it."""
        column = self.facts.get(name)
        return _unknown(name) if column is None else column.value(place, name)


class AskedChart(NamedTuple):
    """A chart, its id in the registry, and the moment it is asked about."""

    id: str
    chart: Chart
    at: Moment


def stage_facts(protocol: Protocol, stage: str) -> tuple[str, ...]:
    """Return the facts that the rules of a stage name, in alphabetical order."""
    named = {name for planned in protocol.stage(stage).rules for name in planned.rule.facts}
    return tuple(sorted(named))


def columns(protocol: Protocol, stage: str, charts: Iterable[AskedChart]) -> ChartColumns:
    """Return the derived facts of charts, each read by the protocol's own derivers.

    Validity is the stage's, so the columns are of that stage. ChartError and ProtocolError as
    `kap.ask` raises them.
    """
    return gathered(protocol, stage, [derived(protocol, stage, asked) for asked in charts])


def derived(protocol: Protocol, stage: str, asked: AskedChart) -> list[Value]:
    """Return the facts of one chart in the order of `stage_facts`."""
    ready, plan = protocol.stage(stage), protocol.plan
    protocol.demand_effective(asked.at.local_date)
    look = Look(asked.chart, asked.at, plan.derivers, ready.limits, ready.now)
    return [look.value(plan.columns[name].slot) for name in stage_facts(protocol, stage)]


def gathered(protocol: Protocol, stage: str, rows: Sequence[Sequence[Value]]) -> ChartColumns:
    """Return rows of facts, one a chart in the order of `stage_facts`, as columns."""
    known = protocol.plan.columns
    turned = zip(*rows, strict=True) if rows else ()
    held = {
        name: column_of(name, known[name], values)
        for name, values in zip(stage_facts(protocol, stage), turned, strict=bool(rows))
    }
    return ChartColumns(len(rows), held)


def column_of(name: str, column: Column, values: Sequence[Value]) -> FactColumn:
    """Return one fact of many charts as a column; ReplayError for a number beyond bounds."""
    if column.kind == "bool":
        truths = np.array([value.truth for value in values], dtype=np.uint8)
        return TruthColumn(pack(truths == TRUE), pack(truths == FALSE))
    if column.kind == "number":
        known = pack(np.array([value.low is not None for value in values], dtype=bool))
        low = whole(name, [value.low or 0 for value in values])
        high = whole(name, [value.high or 0 for value in values])
        return numbers(name, low, high, known)
    if column.kind == "code":
        words = tuple(sorted({value.code for value in values if value.code is not None}))
        place = {word: at for at, word in enumerate(words)}
        found = [-1 if value.code is None else place[value.code] for value in values]
        return CodeColumn(np.array(found, dtype=np.int32), words)
    return KnownColumn(pack(np.array([value.reason is None for value in values], dtype=bool)))


def whole(name: str, steps: Sequence[int]) -> Whole:
    """Return whole steps as an array; ReplayError for one beyond bounds."""
    most = max(map(abs, steps), default=0)
    if most >= MOST_STEPS:
        raise ReplayError(f"{name}: {most} steps is beyond {MOST_STEPS}; mend the chart")
    return np.array(steps, dtype=np.int64)


def numbers(name: str, low: Whole, high: Whole, known: Bits) -> NumberColumn:
    """Return a number column in the smallest integers that hold it; ReplayError beyond bounds."""
    least = min(int(low.min(initial=0)), int(high.min(initial=0)))
    most = max(int(low.max(initial=0)), int(high.max(initial=0)))
    if max(-least, most) >= MOST_STEPS:
        raise ReplayError(f"{name}: a number is beyond {MOST_STEPS} steps; mend its row")
    small = np.result_type(np.min_scalar_type(min(least, -1)), np.min_scalar_type(most))
    low_end = low.astype(small)
    high_end = low_end if high is low or np.array_equal(low, high) else high.astype(small)
    return NumberColumn(low_end, high_end, known)


def steps_in(name: str, amount: Fraction, step: Fraction) -> int:
    """Return an amount in whole steps; ReplayError when it lies between two."""
    steps = amount / step
    if steps.denominator != 1:
        raise ReplayError(f"{name}: {amount} is not on its step of {step}")
    return int(steps)


def _bits(bits: Bits, start: int, stop: int) -> Bits:
    return bits[start // 8 : (stop + 7) // 8]


def _bit(bits: Bits, place: int) -> bool:
    return bool(bits[place // 8] >> (place % 8) & 1)


def _unknown(name: str) -> Value:
    return unknown(Reason.NOT_KNOWN, (name,))
