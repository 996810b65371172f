"""Alarm limits as a protocol states them.

The numbers are the protocol's `[alarm.*]` and `[alarm_param]` tables.
Source: docs/algorithms/alarm.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from kap.observation import duration, vitals
from kap.quantity import exact


class Level(IntEnum):
    """How bad it is. The words come from the protocol's table."""

    NONE = 0
    ADVISORY = 1
    AMBER = 2
    RED = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The level's word: "advisory", "amber", "red", "critical"; "none"."""
        return self.name.lower()

    @property
    def priority(self) -> str:
        """How it sounds: "low", "medium" or "high"; empty for none."""
        return ("", "low", "medium", "high", "high")[self]


LEVELS = (Level.ADVISORY, Level.AMBER, Level.RED, Level.CRITICAL)


class AlarmError(ValueError):
    """An alarm table that cannot be used, or a wish that the rules refuse; says the way out."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a level begins. `strict`: beyond `value`, not at it.

    `after` is how long it must last; with `longer` it must last longer than that.
    """

    value: Decimal
    strict: bool
    after: timedelta = timedelta(0)
    longer: bool = False

    def is_lasting(self, since: datetime, at: datetime) -> bool:
        """Return whether a state that began at `since` has lasted at `at`."""
        lasted = at - since
        return lasted > self.after if self.longer else lasted >= self.after


@dataclass(frozen=True, slots=True)
class Limit:
    """The levels of one vital in one direction. `name` is "systolic high", "spo2 low".

    A level is left when the value is `hysteresis` on the right side of its threshold, for `hold`.
    `worsening` is the step that sounds again. A gap in the data above `gap` restarts the clocks.
    `needs_repeat`: red needs a second reading. `rise` is an advisory step from reading to reading.
    """

    name: str
    vital: str
    unit: str
    is_high: bool
    thresholds: Mapping[Level, Threshold]
    hysteresis: Decimal = Decimal(0)
    hold: timedelta = timedelta(0)
    worsening: Decimal | None = None
    gap: timedelta | None = None
    needs_repeat: bool = False
    rise: Decimal | None = None

    def is_beyond(self, level: Level, value: Decimal) -> bool:
        """Return whether `value` is in `level`, however long."""
        bound = self.thresholds[level]
        if value == bound.value:
            return not bound.strict
        return (value > bound.value) == self.is_high

    def is_clear(self, level: Level, value: Decimal) -> bool:
        """Return whether `value` is out of `level` by the hysteresis at least."""
        room = self.hysteresis if self.is_high else -self.hysteresis
        edge = self.thresholds[level].value - room
        is_out = value <= edge if self.is_high else value >= edge
        return is_out and not self.is_beyond(level, value)

    def level_of(self, value: Decimal) -> Level:
        """Return the worst level that `value` is in, however long."""
        inside = [level for level in self.thresholds if self.is_beyond(level, value)]
        return max(inside, default=Level.NONE)

    def is_worse(self, value: Decimal, than: Decimal) -> bool:
        """Return whether `value` is worse than `than` by the worsening step."""
        if self.worsening is None:
            return False
        return (value - than if self.is_high else than - value) >= self.worsening


@dataclass(frozen=True, slots=True)
class Signal:
    """What one alarm watches: one vital, or systolic and diastolic together.

    `silence` is how long an acknowledgement silences; `repeat` when a second reading of red is due.
    """

    name: str
    limits: tuple[Limit, ...]
    silence: timedelta
    repeat: tuple[timedelta, timedelta]

    @property
    def vitals(self) -> frozenset[str]:
        """The vital signs that it reads."""
        return frozenset(limit.vital for limit in self.limits)


Table = Mapping[str, Any]

BLOOD_PRESSURE = "blood_pressure"
# Read beside the log, not as a vital sign: the pump's rate against the order.
_ELSEWHERE = frozenset({"pump_rate"})
_SHORT = {"systolic": "bp", "diastolic": "bp", "heart_rate": "hr", "spo2": "spo2"} | {
    "respiratory_rate": "rr"
}


def signals(
    tables: Table,
    baseline: Mapping[str, Decimal | None] | None = None,
    spo2_offset: Decimal | None = None,
) -> Mapping[str, Signal]:
    """Return the signals of a protocol's tables: {"alarm": {...}, "alarm_param": {...}}.

    `baseline` holds the mean before the dose by vital; absent or None: only absolute limits hold.
    `spo2_offset` (per cent, negative) is a prescriber-signed offset for one patient: it moves
    advisory and amber, never red or critical. AlarmError names what is missing in the tables.
    """
    params: Table = tables["alarm_param"]
    known = baseline or {}
    grouped: dict[str, list[Limit]] = {}
    for vital, row in tables["alarm"].items():
        if vital in _ELSEWHERE:
            continue
        if vital not in vitals():
            raise AlarmError(f"alarm.{vital}: no such vital sign; use one of {', '.join(vitals())}")
        shift = spo2_offset if vital == "spo2" else None
        name = BLOOD_PRESSURE if _SHORT.get(vital) == "bp" else vital
        grouped.setdefault(name, []).extend(_limits(vital, row, params, known.get(vital), shift))
    try:
        silence = duration(params, "silence")
        repeat = (duration(params, "red_repeat_min"), duration(params, "red_repeat_max"))
    except KeyError as missing:
        raise AlarmError(f"alarm_param.{missing.args[0]} is missing; add it") from None
    return {name: Signal(name, tuple(rows), silence, repeat) for name, rows in grouped.items()}


def _limits(
    vital: str, row: Table, params: Table, mean: Decimal | None, shift: Decimal | None
) -> list[Limit]:
    """The high and the low limit of one vital, where the table has them."""
    low = row.get("low", {})
    high = {
        level.word: row[f"{level.word}_high"] for level in LEVELS if f"{level.word}_high" in row
    }
    if mean is not None and "advisory_rise_factor" in row:
        high["advisory"] = min(exact(high["advisory"]), mean * exact(row["advisory_rise_factor"]))
    found = []
    if high or "advisory_rise" in row:
        found.append(_limit(vital, row, params, high, is_high=True, strict=row["strict"]))
    if low:
        moved = {word: exact(low[word]) for word in low if word != "strict"}
        for word in ("advisory", "amber") if shift is not None else ():
            moved[word] += shift or 0
        found.append(_limit(vital, row, params, moved, is_high=False, strict=low["strict"]))
    return found


def _limit(
    vital: str, row: Table, params: Table, values: Table, *, is_high: bool, strict: bool
) -> Limit:
    side, short = "high" if is_high else "low", _SHORT.get(vital)
    streamed = vitals()[vital].feed == "stream"
    thresholds = {
        level: _threshold(level, exact(values[level.word]), strict, row, side, params, streamed)
        for level in LEVELS
        if level.word in values
    }
    if not is_high and "apnoea_critical_s" in row:  # no breath at all, for so long
        lasting = timedelta(seconds=int(row["apnoea_critical_s"]))
        thresholds[Level.CRITICAL] = Threshold(Decimal(0), strict=False, after=lasting)
    return Limit(
        name=f"{vital} {side}",
        vital=vital,
        unit=row["unit"],
        is_high=is_high,
        thresholds=MappingProxyType(thresholds),
        hysteresis=_number(params, f"hysteresis_{short}") if short else Decimal(0),
        hold=duration(params, "hysteresis_hold") if streamed else timedelta(0),
        worsening=_number(params, f"worsening_{short}") if short else None,
        gap=duration(params, "persistence_gap") if streamed else None,
        needs_repeat=short == "bp",
        rise=exact(row["advisory_rise"]) if is_high and "advisory_rise" in row else None,
    )


def _threshold(
    level: Level, value: Decimal, strict: bool, row: Table, side: str, params: Table, streamed: bool
) -> Threshold:
    """A row's own duration ("for more than 5 min") replaces the level's persistence."""
    own = row.get(f"{level.word}_{side}_persistence_s")
    if own is not None:
        return Threshold(value, strict, timedelta(seconds=int(own)), longer=True)
    lasting = duration(params, f"persistence_{level.word}") if streamed else timedelta(0)
    return Threshold(value, strict, lasting)


def _number(params: Table, name: str) -> Decimal:
    return exact(params[name]["value"], name)
