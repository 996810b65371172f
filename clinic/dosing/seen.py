"""What the open pages of one session have been shown: kept between fetches, never read twice.

Rows only ever come on top (append-only, in the order of their numbers), so that what is kept
stays true; a correction alone makes it be read anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from clinic.dosing.models import Observation

BACKLOG = 200  # a reader further behind gets a snapshot
RANGE = timedelta(minutes=10)
VITAL, LINE = "vital", "line"
Reading = tuple[datetime, Decimal]


@dataclass
class Seen:
    """One session up to `seq`: its newest readings, those of ten minutes, and what came lately."""

    seq: int
    latest: dict[str, Observation] = field(default_factory=dict)
    recent: dict[str, list[Reading]] = field(default_factory=dict)
    came: deque[tuple[int, str, str]] = field(default_factory=lambda: deque(maxlen=BACKLOG))
    floor: int = -1  # what came up to this number is not in `came`

    def __post_init__(self) -> None:
        self.floor = self.seq

    def came_since(self, after: int) -> list[tuple[int, str, str]] | None:
        """Return (number, VITAL or LINE, its name) of what came after; None when too far behind."""
        if after < self.floor or after > self.seq:
            return None
        return [one for one in self.came if one[0] > after]

    def take(self, seq: int, rows: Iterable[Observation], lines: Iterable[tuple[int, str]]) -> None:
        """Put what is new on top, up to `seq`."""
        told = [(number, LINE, kind) for number, kind in lines]
        for row in rows:
            told.append((row.seq, VITAL, row.vital))
            self.recent.setdefault(row.vital, []).append((row.observed_at, row.value))
            known = self.latest.get(row.vital)
            if known is None or _order(known) < _order(row):
                self.latest[row.vital] = row
        for one in sorted(told):
            if len(self.came) == BACKLOG:
                self.floor = self.came[0][0]
            self.came.append(one)
        self.seq = seq

    def ranges(self, at: datetime) -> Mapping[str, tuple[Decimal, Decimal]]:
        """Return the lowest and highest reading of the last ten minutes, by vital."""
        found = {}
        for vital, readings in self.recent.items():
            kept = [one for one in readings if one[0] > at - RANGE]
            self.recent[vital] = kept
            if kept:
                values = [value for _, value in kept]
                found[vital] = min(values), max(values)
        return found


def _order(row: Observation) -> tuple[datetime, datetime, bytes]:
    return row.observed_at, row.received_at, row.pk.bytes
