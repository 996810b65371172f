"""What a protocol says beside its answers: how long facts stay valid, notes, single rules, units.

Read from `beside/`, where each is written down a second time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from kap.chart import Chart
from kap.evidence import Look
from kap.examples import run
from kap.moment import Moment, before
from kap.protocol import Protocol
from kap.rule import STAGES, Example, ProtocolError
from kap.verdict import ask
from tests.spec.table import NOW, Row, Table, chart

HERE = Path(__file__).parent / "beside"
AT = Moment.at(NOW)
LONG_AGO = timedelta(days=40_000)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


# --- how long -----------------------------------------------------------------------------------


def how_long(protocol_id: str, stage: str) -> Mapping[str, str]:
    """Return for each fact and list how long it stays valid at a stage, as the table says."""
    return _said(protocol_id, "default") | _said(protocol_id, stage)


@cache
def _said(protocol_id: str, stage: str) -> dict[str, str]:
    return {
        name: row["for"]
        for row in _rows("how_long.toml", "valid")
        if row["stage"] == stage and row.get("protocol", protocol_id) == protocol_id
        for name in row["facts"]
    }


def otherwise_valid(protocol: Protocol) -> Iterator[str]:
    """Yield each fact at each stage that stays valid longer or shorter than the table says."""
    for stage in STAGES:
        ready, said = protocol.stage(stage), how_long(protocol.id, stage)
        look = Look(Chart(), AT, protocol.plan.derivers, ready.limits, ready.now)
        if ready.limits.keys() != said.keys():
            yield f"{stage}: {', '.join(sorted(ready.limits.keys() ^ said.keys()))}"
        for name in sorted(ready.limits.keys() & said.keys()):
            last, apart = _last(said[name])
            seen = [look.is_fresh(name, moment, moment.date()) for moment in (last, last - apart)]
            if seen != [True, said[name] == "always"]:
                yield f"{stage}: {name}, {said[name]}"


def _last(words: str) -> tuple[Any, timedelta]:
    """Return the first moment that is still valid now, and how far before it nothing is."""
    if words == "always":
        return NOW - LONG_AGO, SECOND
    amount, unit = (0, "d") if words == "same-day" else words.split()
    if unit == "min":
        return NOW - timedelta(minutes=int(amount)), SECOND
    day = before(NOW.date(), int(amount), unit)
    return NOW.replace(year=day.year, month=day.month, day=day.day), DAY


# --- notes --------------------------------------------------------------------------------------


def otherwise_noted(protocol: Protocol) -> Iterator[str]:
    """Yield each row of the notes in which others, or none, are brought up."""
    for table in _note_tables(protocol.id):
        for row in table.rows:
            verdict = ask(protocol, table.stage, chart(table, row, protocol.id), AT)
            spoke = {f.rule_id for f in verdict.findings if f.level == "N" and f.state == "spoke"}
            if spoke != set(row.because):
                yield f"{table.title}: {' | '.join(row.cells.values())}: {', '.join(sorted(spoke))}"


@cache
def _note_tables(protocol_id: str) -> tuple[Table, ...]:
    return tuple(
        Table("notes", row["title"], row["stage"], "", row["columns"], _note_rows(row))
        for row in _rows("notes.toml", "table")
        if protocol_id in row["protocols"]
    )


def _note_rows(table: Mapping[str, Any]) -> tuple[Row, ...]:
    return tuple(
        Row(
            dict(zip(table["columns"], told, strict=True)),
            "",
            tuple(filter(None, notes.split(", "))),
        )
        for *told, notes in table["rows"]
    )


# --- single rules and units ---------------------------------------------------------------------


def otherwise_ruled(protocol: Protocol, rules: Container[str] | None = None) -> Iterator[str]:
    """Yield each patient of a single rule about whom it says something else; of `rules` or all."""
    present = {rule.id for rule in protocol.rules}
    for row in _rows("rules.toml", "patient"):
        if row["rule"] in present and (rules is None or row["rule"] in rules):
            rule = protocol.rule(row["rule"])
            example = Example(row["given"], row["expect"], rule.stages[0])
            try:
                said = run(protocol, rule, example)
            except ProtocolError as problem:  # it does not know one of these facts
                said = str(problem)
            if said != row["expect"]:
                yield f"{rule.id}: given {row['given']}: {said}, not {row['expect']}"


def otherwise_measured(protocol: Protocol) -> Iterator[str]:
    """Yield each number that has another unit than the table says."""
    table = tomllib.loads((HERE / "units.toml").read_text(encoding="utf-8"))["units"]
    for name, unit in table.items():
        held = protocol.parameters.get(name)
        if held is not None and held.unit != unit:
            yield f"{name}: {held.unit}, not {unit}"


@cache
def _rows(file: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((HERE / file).read_text(encoding="utf-8"))[key]
    return found
