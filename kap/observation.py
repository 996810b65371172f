"""One reading of one vital sign: whether it is possible, and how old it is.

A value has two times: its own (by the device's clock) and its arrival. It is never taken for
younger than either. The vital signs are in `vitals.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType

from kap.moment import with_offset
from kap.quantity import UnitError, exact


class ObservationError(ValueError):
    """A reading that cannot be one: no such vital, another unit, or an impossible number."""


@dataclass(frozen=True, slots=True)
class Vital:
    """One vital sign: UCUM unit, possible range in it, kept decimals, and how it comes."""

    code: str
    unit: str
    low: Decimal
    high: Decimal
    decimals: int
    feed: str

    def accept(self, value: Decimal, unit: str) -> Decimal:
        """Return `value` if it is possible in this vital's unit; else ObservationError."""
        if unit != self.unit:
            raise ObservationError(f"{self.code} in {unit!r}; it is kept in {self.unit!r}")
        if not self.low <= value <= self.high:
            raise ObservationError(
                f"{self.code} {value} {unit} is impossible; it lies between"
                f" {self.low} and {self.high}. Check value and unit"
            )
        return value


@cache
def vitals() -> Mapping[str, Vital]:
    """Return every vital sign by code."""
    text = resources.files("kap").joinpath("vitals.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text, parse_float=Decimal)
    return MappingProxyType(
        {
            code: Vital(
                code,
                row["unit"],
                Decimal(row["low"]),
                Decimal(row["high"]),
                row["decimals"],
                row["feed"],
            )
            for code, row in rows.items()
        }
    )


def vital(code: str) -> Vital:
    """Return one vital sign; ObservationError names those that exist."""
    if code not in vitals():
        raise ObservationError(f"no vital sign {code!r}; use one of {', '.join(vitals())}")
    return vitals()[code]


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading. `observed_at` is the sample's own time, `received_at` its arrival, both aware.

    `skew_ms` is how far the device's clock runs ahead of ours (negative: behind). `source` is
    "device" or "staff". `original` keeps what was sent when it was converted ("24.0 kPa").
    ObservationError when the reading is impossible, ChartError when a time has no offset.
    """

    vital: str
    value: Decimal
    unit: str
    observed_at: datetime
    received_at: datetime
    source: str = "device"
    device: str = ""
    id: str = ""
    skew_ms: int = 0
    original: str = ""

    def __post_init__(self) -> None:
        try:
            value = exact(self.value, self.vital)
        except UnitError as problem:
            raise ObservationError(str(problem)) from None
        object.__setattr__(self, "value", vital(self.vital).accept(value, self.unit))
        object.__setattr__(self, "observed_at", with_offset(self.observed_at))
        object.__setattr__(self, "received_at", with_offset(self.received_at))

    @property
    def sampled_at(self) -> datetime:
        """The sample's time by our clock: its own, corrected for the device's skew."""
        return self.observed_at - timedelta(milliseconds=self.skew_ms)

    @property
    def feed(self) -> str:
        """How it came: "stream", "cuff" or "manual" (typed by a person)."""
        return "manual" if self.source == "staff" else vital(self.vital).feed

    def age(self, at: datetime) -> timedelta:
        """Return how old the value is at `at`: the larger of both ages, so never too young."""
        return max(at - self.received_at, at - self.sampled_at)

    def freshness(self, at: datetime, limits: StaleLimits) -> Freshness:
        """Return whether the value may still be shown as live at `at`."""
        return limits.of(self.feed).judge(self.age(at))

    def is_stale(self, at: datetime, limits: StaleLimits) -> bool:
        """Return whether the value is too old to be shown: it becomes `--`, a technical alarm."""
        return self.freshness(at, limits) is Freshness.STALE

    def order(self) -> tuple[datetime, datetime, str]:
        """The key that readings are ordered by: sample time, then arrival, then id."""
        return self.observed_at, self.received_at, self.id


class Freshness(StrEnum):
    """How a value is shown: as it is, greyed with its age, or as `--`."""

    FRESH = "fresh"
    AGING = "aging"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Span:
    """Two ages: up to the first a value is fresh, past the second it is stale."""

    fresh: timedelta
    stale: timedelta

    def judge(self, age: timedelta) -> Freshness:
        """Return the freshness of a value of this age."""
        if age > self.stale:
            return Freshness.STALE
        return Freshness.AGING if age > self.fresh else Freshness.FRESH


@dataclass(frozen=True, slots=True)
class StaleLimits:
    """How old a value may be, by the way it comes. A typed set lasts until the next is due."""

    stream: Span
    cuff: Span
    manual: Span

    def of(self, feed: str) -> Span:
        """Return the limits of a feed."""
        return {"stream": self.stream, "cuff": self.cuff, "manual": self.manual}[feed]


def stale_limits(
    params: Mapping[str, Mapping[str, object]], cycle: timedelta | None = None
) -> StaleLimits:
    """Return the limits of a protocol's `[alarm_param]` table.

    `cycle` is the present interval between cuff readings or manual sets; None: the protocol's own.
    A stream is greyed from the 3rd second (`stale_stream_fresh`, where the protocol has it).
    """
    stream = duration(params, "stale_stream")
    step = duration(params, "nibp_cycle") if cycle is None else cycle
    extra = duration(params, "nibp_fresh_extra")
    factor = exact(params["nibp_due_factor"]["value"])
    late = timedelta(seconds=int(Decimal(int(step.total_seconds())) * factor)) + extra
    fresh = duration(params, "stale_stream_fresh") if "stale_stream_fresh" in params else stream
    return StaleLimits(Span(fresh, stream), Span(step + extra, late), Span(step, step))


_SECONDS = {"s": 1, "min": 60, "h": 3600}


def duration(params: Mapping[str, Mapping[str, object]], name: str) -> timedelta:
    """Return one parameter {value, unit} as a duration; units s, min and h."""
    row = params[name]
    return timedelta(
        milliseconds=int(exact(row["value"], name) * 1000 * _SECONDS[str(row["unit"])])
    )


def latest(readings: Iterable[Observation], code: str) -> Observation | None:
    """Return the newest reading of a vital by sample time; None when there is none."""
    found = [one for one in readings if one.vital == code]
    return max(found, key=Observation.order, default=None)


def baseline(readings: Iterable[Observation], code: str, before: datetime | None) -> Decimal | None:
    """Return the exact mean of the last two readings up to `before` (None: of all).

    None with fewer than two: an unknown baseline is never taken for a normal one. Source: 8.
    """
    rows = [one for one in readings if one.vital == code]
    early = sorted(
        (one for one in rows if before is None or one.observed_at <= before), key=Observation.order
    )
    return (early[-2].value + early[-1].value) / 2 if len(early) > 1 else None
