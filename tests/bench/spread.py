"""How measured times spread: the values that a target is set on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Spread:
    """Nearest-rank percentiles of times in milliseconds, and how many there were."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Spread:
        """Return the spread of at least one time. Raises ValueError for none."""
        if not times:
            raise ValueError("nothing was measured: no times")
        ordered = sorted(times)
        p50, p95, p99 = (ordered[ceil(len(ordered) * share / 100) - 1] for share in (50, 95, 99))
        return cls(len(ordered), p50, p95, p99, ordered[-1])
