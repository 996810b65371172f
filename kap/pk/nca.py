"""What a sampled curve says without a model: area, peak, half-life, clearance.

Areas rise by straight lines and fall by exponentials. The terminal slope is the fit of a line to
the logarithms of the last three or more values after the peak with the highest adjusted R²; of
fits that are as good within 1e-4 the one with most values. Where there is none, it is unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kap.pk.fit import times
from kap.pk.person import Floats
from kap.pk.refusal import refused
from kap.pk.tree import phi

FEWEST = 3
AS_GOOD = 1e-4


@dataclass(frozen=True, slots=True)
class Nca:
    """ng/mL x min, ng/mL, min, min, L/min; None where the samples cannot say."""

    auc: float
    auc_inf: float | None
    cmax: float
    tmax: float
    half_life: float | None
    clearance: float | None


def nca(t_min: ArrayLike, ng_ml: ArrayLike, dose_mg: float | None = None) -> Nca:
    """Return the analysis of one curve; the clearance is dose over the whole area, in L/min.

    PkError for times out of order, fewer than two samples, and negative or missing levels.
    """
    asked, found = times(t_min), np.asarray(ng_ml, dtype=float)
    if len(asked) < 2 or found.shape != asked.shape:
        shape = f"{len(asked)} times, {found.size} levels"
        raise refused("times", "samples", shape, "give two or more of both")
    if not np.isfinite(found).all() or (found < 0).any():
        raise refused("not_a_number", "levels", found.tolist(), "write numbers from 0 on")
    top = int(np.argmax(found))
    auc = _area(asked, found)
    slope = _terminal(asked[top:], found[top:])
    whole = None if slope is None else auc + float(found[-1]) / slope
    return Nca(
        auc,
        whole,
        float(found[top]),
        float(asked[top]),
        None if slope is None else math.log(2) / slope,
        None if whole is None or dose_mg is None else dose_mg * 1000 / whole,
    )


def _area(t_min: Floats, levels: Floats) -> float:
    gaps, a, b = np.diff(t_min), levels[:-1], levels[1:]
    falls = (b < a) & (b > 0)
    ratio = np.divide(a, b, out=np.ones_like(a), where=falls)
    return float((gaps * np.where(falls, a * phi(np.log(ratio)), (a + b) / 2)).sum())


def _terminal(t_min: Floats, levels: Floats) -> float | None:
    """Return the terminal rate in 1/min, from values after the peak; None where none falls."""
    at, logs = t_min[1:][levels[1:] > 0], np.log(levels[1:][levels[1:] > 0])
    best, found = -math.inf, None
    for count in range(FEWEST, len(at) + 1):
        slope, fit = _line(at[-count:], logs[-count:])
        if slope < 0 and fit > best - AS_GOOD:
            best, found = max(best, fit), -slope
    return found


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return the slope of the least-squares line and its adjusted R²."""
    count = len(x)
    dx, dy = x - x.mean(), y - y.mean()
    if not (dx @ dx) or not (dy @ dy):
        return 0.0, -math.inf
    slope = float(dx @ dy / (dx @ dx))
    rest = dy - slope * dx
    unexplained = float(rest @ rest / (dy @ dy))
    return slope, 1 - unexplained * (count - 1) / (count - 2)
