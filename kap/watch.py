"""One limit's watch over its readings: since when a level holds, and whether it is left.

Pure: the state is a value, and travels as JSON. Source: docs/algorithms/alarm.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Self

from kap.limit import Level, Limit
from kap.moment import instant
from kap.observation import Observation

_Clocks = Mapping[Level, datetime]
_NO_CLOCKS: _Clocks = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Watch:
    """One limit and what its readings have made of it. `at` is the last sample's time."""

    limit: Limit
    level: Level = Level.NONE
    value: Decimal | None = None
    at: datetime | None = None
    received_at: datetime | None = None
    reached: _Clocks = field(default_factory=dict)
    cleared: _Clocks = field(default_factory=dict)

    def after(self, seen: Observation, *, is_confirmed: bool = True) -> Watch:
        """Return the watch once a reading is taken into account. An older reading changes nothing.

        A typed or cuff reading counts at once; a stream's must last. A red that needs a repeat and
        is not confirmed counts as amber.
        """
        at = seen.sampled_at
        if self.at is not None and at < self.at:
            return self
        reached, cleared = self._counted(seen.value, at)
        level = self._level(seen, reached, cleared)
        is_new_red = level is Level.RED and self.level < Level.RED
        if is_new_red and self.limit.needs_repeat and not is_confirmed:
            level = Level.AMBER
        if level is Level.NONE and self._has_risen(seen.value):
            level = Level.ADVISORY
        return replace(
            self,
            level=level,
            value=seen.value,
            at=at,
            received_at=seen.received_at,
            reached=MappingProxyType(reached),
            cleared=MappingProxyType(cleared),
        )

    def _counted(self, value: Decimal, at: datetime) -> tuple[dict[Level, datetime], ...]:
        """Since when the value is beyond each level, and out of it, without a gap."""
        gap = self.limit.gap
        broken = self.at is not None and gap is not None and at - self.at > gap
        reached, cleared = (_NO_CLOCKS, _NO_CLOCKS) if broken else (self.reached, self.cleared)
        levels = self.limit.thresholds
        return (
            {
                level: reached.get(level, at)
                for level in levels
                if self.limit.is_beyond(level, value)
            },
            {
                level: cleared.get(level, at)
                for level in levels
                if self.limit.is_clear(level, value)
            },
        )

    def _level(self, seen: Observation, reached: _Clocks, cleared: _Clocks) -> Level:
        at, counts_at_once = seen.sampled_at, seen.feed != "stream"
        hold = timedelta(0) if counts_at_once else self.limit.hold
        on = [
            level
            for level, bound in self.limit.thresholds.items()
            if (level in reached and (counts_at_once or bound.is_lasting(reached[level], at)))
            or (level <= self.level and not (level in cleared and at - cleared[level] >= hold))
        ]
        return max(on, default=Level.NONE)

    def _has_risen(self, value: Decimal) -> bool:
        rise = self.limit.rise
        return rise is not None and self.value is not None and value - self.value >= rise

    def age(self, at: datetime) -> timedelta | None:
        """Return the age of the last reading; None when there was none."""
        if self.at is None or self.received_at is None:
            return None
        return max(at - self.at, at - self.received_at)

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON; the limit stays out."""
        return {
            "level": int(self.level),
            "value": None if self.value is None else str(self.value),
            "at": iso(self.at),
            "received_at": iso(self.received_at),
            "reached": {level.word: at.isoformat() for level, at in self.reached.items()},
            "cleared": {level.word: at.isoformat() for level, at in self.cleared.items()},
        }

    @classmethod
    def from_json(cls, limit: Limit, data: Mapping[str, Any] | None) -> Self:
        """Return the watch of `limit` whose state `to_json` gave; None is a new one."""
        if data is None:
            return cls(limit)
        value = data["value"]
        return cls(
            limit,
            Level(data["level"]),
            None if value is None else Decimal(value),
            time_of(data["at"]),
            time_of(data["received_at"]),
            _clocks(data["reached"]),
            _clocks(data["cleared"]),
        )


def _clocks(data: Mapping[str, str]) -> _Clocks:
    return MappingProxyType({Level[word.upper()]: instant(at) for word, at in data.items()})


def iso(at: datetime | None) -> str | None:
    """Return an instant as ISO text; None stays None."""
    return None if at is None else at.isoformat()


def time_of(text: str | None) -> datetime | None:
    """Return the instant of an ISO text; None stays None."""
    return None if text is None else instant(text)
