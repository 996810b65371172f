"""A registry's Parquet file: derived facts as columns in whole steps, a block at a time.

Each column's metadata names its kind, unit and step, so that a later version whose step differs
reads the same numbers. Arrow's truths are bits already, and are taken as they lie. Needs the extra
`registry` (pyarrow), imported where it is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from kap.compiled import Column
from kap.protocol import Protocol
from kap.replay_columns import (
    BLOCK,
    MOST_STEPS,
    Bits,
    ChartColumns,
    CodeColumn,
    FactColumn,
    KnownColumn,
    NumberColumn,
    Ranks,
    ReplayError,
    TruthColumn,
    Whole,
    numbers,
    pack,
    stage_facts,
    unpack,
)
from kap.replay_file import ChartBlock, told_rank
from kap.rule import Answer

HIGH = ".high"  # a number known between two ends has a second column


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:  # pragma: no cover - the suite has it
        raise ReplayError("Parquet needs pyarrow: install afterglow[registry]") from None
    return pyarrow


# --- reading --------------------------------------------------------------------------------------


def count_rows(path: Path) -> int:
    """Return how many charts a file holds; ReplayError when it is no Parquet file."""
    rows: int = _opened(path).metadata.num_rows
    return rows


def _opened(path: Path) -> Any:
    arrow = _arrow()
    try:
        return arrow.parquet.ParquetFile(path, memory_map=True)
    except arrow.ArrowInvalid as problem:
        raise ReplayError(f"no Parquet file: {problem}") from None


def read_parquet(path: Path, protocols: tuple[Protocol, ...], stage: str) -> Iterator[ChartBlock]:
    """Yield the charts of a file; ReplayError names a column of another kind, unit or step."""
    file = _opened(path)
    schema = file.schema_arrow
    wanted = dict.fromkeys(name for p in protocols for name in stage_facts(p, stage))
    named = [*("id", "answer"), *(part for name in wanted for part in (name, name + HIGH))]
    start = 0
    for batch in file.iter_batches(BLOCK, columns=[n for n in named if n in schema.names]):
        yield _block(batch, start, protocols, stage)
        start += batch.num_rows


def _block(batch: Any, start: int, protocols: tuple[Protocol, ...], stage: str) -> ChartBlock:
    cells = dict(zip(batch.schema.names, batch.columns, strict=True))
    read: dict[tuple[str, str, str, Fraction], FactColumn] = {}
    facts = []
    for protocol in protocols:
        held = {}
        for name in stage_facts(protocol, stage):
            column = protocol.plan.columns[name]
            key = (name, column.kind, column.unit, column.step)
            if name in cells and key not in read:
                read[key] = _column(name, column, batch.schema, cells)
            if key in read:
                held[name] = read[key]
        facts.append(ChartColumns(batch.num_rows, held))
    if "id" in cells and cells["id"].null_count:
        raise ReplayError("id: a row has none; give each chart its own")
    ids = cells["id"].to_pylist() if "id" in cells else range(start + 1, start + len(batch) + 1)
    return ChartBlock(tuple(map(str, ids)), tuple(facts), _told(cells, batch.num_rows), {}, ())


def _told(cells: Mapping[str, Any], count: int) -> Ranks:
    if "answer" not in cells:
        return np.zeros(count, np.uint8)
    places, words = _coded(cells["answer"])
    ranks = np.array([*map(told_rank, words), 0], dtype=np.uint8)
    found: Ranks = ranks[places]
    return found


def _column(name: str, column: Column, schema: Any, cells: Mapping[str, Any]) -> FactColumn:
    cell = cells[name]
    meta = schema.field(name).metadata or {}
    said = {key: meta.get(key.encode(), b"").decode() for key in ("kind", "unit", "step")}
    if (said["kind"], said["unit"]) != (column.kind, column.unit):
        raise ReplayError(
            f"{name}: the file says {said['kind'] or 'no kind'} in {said['unit']!r}, the protocol "
            f"{column.kind} in {column.unit!r}; derive the charts again"
        )
    if column.kind == "code":
        return CodeColumn(*_coded(cell))
    if column.kind == "number":
        return _number(name, column, Fraction(said["step"]), cell, cells.get(name + HIGH, cell))
    known = _valid(cell)
    yes = _bits(cell, 1) & known
    return TruthColumn(yes, known & ~yes) if column.kind == "bool" else KnownColumn(yes)


def _number(name: str, column: Column, step: Fraction, low: Any, high: Any) -> NumberColumn:
    known = _valid(low)
    least = _rescaled(name, _whole(name, low), step, column.step)
    most = least if high is low else _rescaled(name, _whole(name, high), step, column.step)
    crossed = np.flatnonzero(most < least)
    if high is not low and (crossed.size or high.null_count != low.null_count):
        raise ReplayError(f"{name}: {HIGH} is below, or missing, somewhere; write both ends")
    return numbers(name, least, most, known)


def _whole(name: str, cell: Any) -> Whole:
    if not str(cell.type).startswith("int"):
        raise ReplayError(f"{name}: {cell.type} is no whole number; write steps as int64")
    filled: Whole = cell.fill_null(0).to_numpy(zero_copy_only=False)
    return filled


def _rescaled(name: str, steps: Whole, file_step: Fraction, step: Fraction) -> Whole:
    """Return numbers in other steps; ReplayError when one lies between two of them."""
    if file_step == step:
        return steps
    ratio = file_step / step
    if np.abs(steps).max(initial=0) * abs(ratio.numerator) >= MOST_STEPS:
        raise ReplayError(f"{name}: a number is beyond {MOST_STEPS} steps; derive it again")
    wide = steps.astype(np.int64) * ratio.numerator
    if (wide % ratio.denominator).any():
        raise ReplayError(f"{name}: kept in steps of {file_step}, needed in {step}; derive again")
    return wide // ratio.denominator


def _coded(cell: Any) -> tuple[Any, tuple[str, ...]]:
    coded = cell.dictionary_encode() if str(cell.type) in ("string", "large_string") else cell
    places = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return places, tuple(coded.dictionary.to_pylist())


def _valid(cell: Any) -> Bits:
    if cell.buffers()[0] is None:
        return pack(np.ones(len(cell), dtype=bool))
    return _bits(cell, 0)


def _bits(cell: Any, place: int) -> Bits:
    """Return a buffer of bits from the first row on; a slice may begin within a byte."""
    bits = np.frombuffer(cell.buffers()[place], np.uint8)[cell.offset // 8 :]
    odd = cell.offset % 8
    if odd:
        bits = pack(unpack(bits, odd + len(cell))[odd:])
    return bits[: (len(cell) + 7) // 8]


# --- writing --------------------------------------------------------------------------------------


def passed_on(
    path: Path, protocol: Protocol, stage: str, blocks: Iterable[ChartBlock]
) -> Iterator[ChartBlock]:
    """Write the facts of blocks, as `protocol` (the first of theirs) derived them; yield each.

    The file says the protocol, its digest and the stage by which the facts were derived.
    """
    arrow = _arrow()
    names = stage_facts(protocol, stage)
    schema = _schema(arrow, protocol, stage, names)
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        for block in blocks:
            answers = [_ANSWERS[rank] for rank in block.told.tolist()]
            cells = [arrow.array(block.ids), arrow.array(answers, arrow.string())]
            for name in names:
                held = block.facts[0].facts.get(name)
                cells += _cells(arrow, protocol.plan.columns[name], held, len(block.ids))
            writer.write_batch(arrow.record_batch(cells, schema=schema))
            yield block


_ANSWERS: Mapping[int, str | None] = {0: None} | {answer.rank: answer.value for answer in Answer}


def _schema(arrow: Any, protocol: Protocol, stage: str, names: tuple[str, ...]) -> Any:
    types = {"number": arrow.int64(), "code": arrow.string()}
    fields = [arrow.field("id", arrow.string()), arrow.field("answer", arrow.string())]
    for name in names:
        column = protocol.plan.columns[name]
        says = {"kind": column.kind, "unit": column.unit, "step": str(column.step)}
        kind = types.get(column.kind, arrow.bool_())
        fields.append(arrow.field(name, kind, metadata=says))
        if column.kind == "number":
            fields.append(arrow.field(name + HIGH, kind, metadata=says))
    made = {"protocol": f"{protocol.id}@{protocol.version}", "digest": protocol.digest}
    return arrow.schema(fields, metadata=made | {"stage": stage})


def _cells(arrow: Any, column: Column, held: FactColumn | None, count: int) -> list[Any]:
    """Return the columns of one fact: a number has two, its ends."""
    if held is None:
        nulls = arrow.nulls(
            count, {"number": arrow.int64(), "code": arrow.string()}.get(column.kind, arrow.bool_())
        )
        return [nulls, nulls] if column.kind == "number" else [nulls]
    unknown = unpack(held.known, count) == 0
    if isinstance(held, NumberColumn):
        ends = (held.low, held.high)
        return [arrow.array(end.astype(np.int64), mask=unknown) for end in ends]
    if isinstance(held, CodeColumn):
        words = arrow.array((*held.words, ""))
        return [
            arrow.DictionaryArray.from_arrays(
                arrow.array(np.where(unknown, 0, held.places), mask=unknown), words
            ).dictionary_decode()
        ]
    yes = held.yes if isinstance(held, TruthColumn) else held.known
    return [arrow.array(unpack(yes, count).astype(bool), mask=unknown)]
