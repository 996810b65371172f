"""A registry's file of JSON lines, a block of charts at a time.

A line is a chart as `kap screen` reads it with `id` and `asked_at`, or `{"id", "derived": {...}}`
with facts already derived. Either may carry the `answer` that was given. A bad line is named, never
dropped in silence (docs/algorithms/replay.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from kap.chart import Chart
from kap.compiled import Column
from kap.known import Reason
from kap.moment import Moment, instant
from kap.protocol import Protocol
from kap.replay_columns import (
    AskedChart,
    ChartColumns,
    Ranks,
    ReplayError,
    derived,
    gathered,
    stage_facts,
    steps_in,
)
from kap.rule import Answer
from kap.value import FALSE, TRUE, Value, number, unknown

LINES = 4_096  # lines read at once: a chart is wider than its columns


class BadRow(NamedTuple):
    """A row that could not be read: its number in the file, from 1, and why."""

    row: int
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class ChartBlock:
    """Some charts of a file: their ids, their facts under each protocol, what was bad.

    `told` are the ranks of the answers that the file itself gives, 0 for none. `charts` has a
    chart's place in the block where the file holds the chart itself, for `kap.ask`.
    """

    ids: tuple[str, ...]
    facts: tuple[ChartColumns, ...]
    told: Ranks
    charts: Mapping[int, AskedChart]
    bad: tuple[BadRow, ...]


_Line = tuple[int, bytes]  # its number in the file, from 1


class _Row(NamedTuple):
    id: str
    told: int
    asked: AskedChart | None
    values: tuple[list[Value], ...]  # for each protocol, in the order of its facts


def read_lines(
    lines: Iterable[bytes], protocols: tuple[Protocol, ...], stage: str
) -> Iterator[ChartBlock]:
    """Yield the charts of JSON lines, with their facts under each protocol at `stage`."""
    numbered = enumerate(lines, 1)
    while batch := list(islice(numbered, LINES)):
        yield _block([(row, line) for row, line in batch if line.strip()], protocols, stage)


def _block(lines: list[_Line], protocols: tuple[Protocol, ...], stage: str) -> ChartBlock:
    rows, bad = [], []
    for place, line in lines:
        try:
            rows.append(_row(line, protocols, stage))
        except (ValueError, RecursionError) as problem:
            bad.append(BadRow(place, str(problem)))
    return ChartBlock(
        ids=tuple(row.id for row in rows),
        facts=tuple(
            gathered(protocol, stage, [row.values[place] for row in rows])
            for place, protocol in enumerate(protocols)
        ),
        told=np.array([row.told for row in rows], dtype=np.uint8),
        charts={place: row.asked for place, row in enumerate(rows) if row.asked is not None},
        bad=tuple(bad),
    )


def _row(line: bytes, protocols: tuple[Protocol, ...], stage: str) -> _Row:
    data = json.loads(line, parse_float=Decimal, object_pairs_hook=_once)
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        raise ReplayError('a line is an object with an id: {"id": "...", ...}')
    name, told = data.pop("id"), told_rank(data.pop("answer", None))
    if "derived" in data:
        values = _said(data, protocols, stage)
        return _Row(name, told, None, values)
    meant = data.pop("asked_at", None)
    if not isinstance(meant, str):
        raise ReplayError("asked_at: write the instant of the question, with its offset")
    chart = Chart.from_json(data, protocols[0].facts)
    asked = AskedChart(name, chart, Moment.at(instant(meant)))
    return _Row(name, told, asked, tuple(derived(p, stage, asked) for p in protocols))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ReplayError("a key stands twice in one object; keep one")
    return found


def told_rank(answer: object) -> int:
    """Return the rank of an answer that a file gives, 0 for none; ReplayError for no answer."""
    if answer is None:
        return 0
    for known in Answer:
        if answer == known:
            return known.rank
    raise ReplayError(f"answer {answer!r} is none of {', '.join(Answer)}")


def _said(
    data: Mapping[str, Any], protocols: tuple[Protocol, ...], stage: str
) -> tuple[list[Value], ...]:
    told = data["derived"]
    if not isinstance(told, dict) or len(data) > 1:
        raise ReplayError("derived: an object of facts, and nothing beside it but id and answer")
    for name in told:
        if not any(name in protocol.plan.columns for protocol in protocols):
            raise ReplayError(f"derived.{name}: no fact of {_names(protocols)}")
    return tuple(
        [supposed(name, told.get(name), p.plan.columns[name]) for name in stage_facts(p, stage)]
        for p in protocols
    )


def _names(protocols: tuple[Protocol, ...]) -> str:
    return " or ".join(f"{protocol.id}@{protocol.version}" for protocol in protocols)


def supposed(name: str, told: Any, column: Column) -> Value:
    """Return a derived fact as a line tells it: null is unknown, a number is in its own unit."""
    if told is None:
        return unknown(Reason.NOT_KNOWN, (name,))
    if column.kind == "bool" and isinstance(told, bool):
        return Value(truth=TRUE if told else FALSE)
    if column.kind == "code" and isinstance(told, str):
        return Value(code=told)
    if column.kind == "number":
        ends = told if isinstance(told, list) else [told, told]
        if len(ends) == 2 and all(_is_number(end) for end in ends) and ends[0] <= ends[1]:
            low, high = (steps_in(name, Fraction(end), column.step) for end in ends)
            return number(low, high)
    if column.kind in ("list", "other") and told is True:
        return Value(truth=TRUE)
    raise ReplayError(f"derived.{name}: {told!r} is no {column.kind}; {_WAYS[column.kind]}")


def _is_number(told: Any) -> bool:
    return isinstance(told, int | Decimal) and not isinstance(told, bool)


_WAYS = {
    "bool": "write true, false or null",
    "code": "write a text or null",
    "number": "write a number in its unit, [low, high] or null",
    "list": "write true where it is known, or null",
    "other": "write true where it is known, or null",
}
