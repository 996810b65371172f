"""What a monitor would send: invented vital signs, second by second, for a scenario.

The shapes are in `kap/synth.toml`. The same seed, scenario and start give the same samples. A lost
link is silence, not a value; an artefact is a value, as a real monitor sends it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from importlib import resources
from typing import Any

from kap.dice import Dice

STREAMS = ("heart_rate", "spo2", "respiratory_rate")
FULL_SATURATION = 100  # per cent; no monitor shows more


class TraceError(ValueError):
    """A scenario that does not exist; names those that do."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value as a device sends it: vital code, exact value, UCUM unit, UTC instant."""

    at: datetime
    code: str
    value: Decimal
    unit: str


def scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios."""
    return tuple(_data()["scenario"])


def device_trace(
    seed: int, scenario: str, start: datetime, seconds: int, *, cuff_seconds: int = 300
) -> Iterator[Sample]:
    """Yield samples in time order: each second the streams, each `cuff_seconds` a cuff reading.

    Second 0 is `start`. TraceError when the scenario does not exist.
    """
    if scenario not in scenarios():
        raise TraceError(f"no scenario {scenario!r}; use one of {', '.join(scenarios())}")
    shape, dice = _data()["scenario"][scenario], Dice(f"{seed}:{scenario}")
    for second in range(seconds):
        streamed = [(code, _streamed(shape, code, second, dice)) for code in STREAMS]
        cuff = _cuff(shape, second) if second % cuff_seconds == 0 else []
        if not _is_silent(shape, second):
            at = start + timedelta(seconds=second)
            for code, value in [*streamed, *cuff]:
                yield Sample(at, code, Decimal(value), _data()["trace"]["units"][code])


def _streamed(shape: Mapping[str, Any], code: str, second: int, dice: Dice) -> int:
    wobble = int(_data()["trace"]["wobble"][code])
    value = _level(shape[code], second) + dice.between(-wobble, wobble)
    for burst in shape.get("burst", ()):
        if burst["code"] == code and burst["from_s"] <= second < burst["to_s"]:
            value = burst["value"]
    return min(value, FULL_SATURATION) if code == "spo2" else value


def _cuff(shape: Mapping[str, Any], second: int) -> list[tuple[str, int]]:
    high, low = _level(shape["systolic"], second), _level(shape["diastolic"], second)
    # A cuff's mean is near the diastolic plus a third of the difference.
    return [("systolic", high), ("diastolic", low), ("mean_pressure", low + (high - low) // 3)]


def _is_silent(shape: Mapping[str, Any], second: int) -> bool:
    return any(gap["from_s"] <= second < gap["to_s"] for gap in shape.get("silent", ()))


def _level(points: Sequence[Sequence[int]], second: int) -> int:
    """The value at a second on straight lines between points of [minute, value]."""
    before, after = points[0], points[-1]
    for point in points:
        if point[0] * 60 <= second:
            before = point
        else:
            after = point
            break
    if after[0] == before[0]:
        return before[1]
    share = Decimal(second - before[0] * 60) / ((after[0] - before[0]) * 60)
    exact = before[1] + min(Decimal(1), share) * (after[1] - before[1])
    return int(exact.to_integral_value(ROUND_HALF_UP))


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("kap").joinpath("synth.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
