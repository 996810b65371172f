"""Which scores the schedule of the protocol asks for with the set of this minute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

BEFORE = "before"
Schedule = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Times:
    """When a score is asked, in minutes from the pump's start: at sets, and within a window."""

    minutes: tuple[int, ...] = ()
    window: tuple[int, ...] = ()

    def covers(self, minute: int) -> bool:
        """Return whether the window is open at this minute."""
        return bool(self.window) and self.window[0] <= minute <= self.window[1]

    def since(self, asked: int) -> int:
        """Return the minute from which a score counts for the set of minute `asked`."""
        return asked if asked in self.minutes else self.window[0]


@dataclass(frozen=True)
class DueSet:
    """The newest set that has come due: its minute from the start (None before it), its scores."""

    minute: int | None
    names: frozenset[str]


def times_of(schedule: Schedule, name: str) -> Times:
    """Return when a score is asked; no times at all for one that the schedule never asks."""
    rows = [
        row
        for part, row in schedule.items()
        if part != BEFORE and name in row.get("measures", (part,))
    ]
    window = tuple(int(minute) for row in rows for minute in row.get("window", ()))
    minutes = {int(minute) for row in rows for minute in row.get("minutes", ())}
    return Times(tuple(sorted(minutes - set(window))), window)


def is_done(times: Times, asked: int | None, scored: int | None) -> bool:
    """Return whether a score that the set of minute `asked` wants was given, at minute `scored`.

    Before the start (None) any score of the session counts.
    """
    if scored is None or asked is None:
        return scored is not None
    return scored >= times.since(asked)


def due(schedule: Schedule, names: Collection[str], minute: int | None) -> DueSet:
    """Return the set whose time came last; `minute` is counted from the start, None before it."""
    if minute is None:
        return DueSet(None, frozenset(names) & set(schedule.get(BEFORE, {}).get("measures", ())))
    asked = {name: times_of(schedule, name) for name in names}
    last = max((at for times in asked.values() for at in times.minutes if at <= minute), default=0)
    return DueSet(
        last,
        frozenset(
            name for name, times in asked.items() if last in times.minutes or times.covers(minute)
        ),
    )
