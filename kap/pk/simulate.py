"""Many virtual people, in blocks, so that memory stays flat: curves, exposure, bands, envelopes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kap.pk.card import PARENT, ModelCard
from kap.pk.curve import Curve
from kap.pk.dosing import Schedule
from kap.pk.fit import demand_fit, times
from kap.pk.person import Covariates, Floats, random_effects
from kap.pk.refusal import refused
from kap.pk.solve import levels

PEOPLE_AT_ONCE = 128  # their curves over a day stay in the cache
TIMES_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Exposure:
    """One row a person: area in unit x min, highest level in unit, min above a level.

    Area by trapezoids, the time above by straight lines between the times that were given.
    """

    auc: Floats
    cmax: Floats
    above_min: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """Percentiles between people: `values` has a row for each of `q`, a column a time."""

    q: tuple[float, ...]
    values: Floats


@dataclass(frozen=True, slots=True)
class Envelope:
    """Lowest and highest of several cards' curves: between models, not between patients."""

    cards: tuple[str, ...]
    unit: str
    matrices: tuple[str, ...]
    t_min: Floats
    low: Floats
    high: Floats


def population(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: ArrayLike,
    z: ArrayLike,
    analyte: str = PARENT,
) -> Floats:
    """Return levels in the analyte's unit, shape (people, times), for rows of standard normals."""
    demand_fit(card, person, schedule)
    asked, effects = times(t_min), random_effects(card, z)
    found = np.empty((len(effects), len(asked)))
    for first in range(0, len(effects), PEOPLE_AT_ONCE):
        some = slice(first, first + PEOPLE_AT_ONCE)
        found[some] = levels(card, person, schedule, asked, effects[some], analyte)
    return found


def exposure(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: ArrayLike,
    z: Floats | Iterable[Floats],
    above: float,
    analyte: str = PARENT,
) -> Exposure:
    """Return each person's exposure over the times; the curves themselves are not kept.

    `z` is an array of standard normals, or its blocks one after the other.
    """
    demand_fit(card, person, schedule)
    asked = times(t_min)
    if len(asked) < 2:
        raise refused("times", "times", len(asked), "give two or more")
    parts = []
    for block in _blocks(z):
        effects = random_effects(card, block)
        found = levels(card, person, schedule, asked, effects, analyte)
        parts.append((_area(found, asked), found.max(axis=1), _above(found, asked, above)))
    if not parts:
        raise refused("variability", "normals", "none", "give a row a person")
    auc, cmax, minutes = (np.concatenate(one) for one in zip(*parts, strict=True))
    return Exposure(auc, cmax, minutes)


def _blocks(z: Floats | Iterable[Floats]) -> Iterator[Floats]:
    """Yield at most PEOPLE_AT_ONCE rows at a time."""
    for block in [z] if isinstance(z, np.ndarray) else z:
        rows = np.asarray(block, dtype=float)
        for first in range(0, len(rows), PEOPLE_AT_ONCE):
            yield rows[first : first + PEOPLE_AT_ONCE]


def _area(found: Floats, t_min: Floats) -> Floats:
    gaps = np.diff(t_min)
    shares = np.zeros(len(t_min))
    shares[:-1] += gaps / 2
    shares[1:] += gaps / 2
    area: Floats = found @ shares
    return area


def _above(found: Floats, t_min: Floats, level: float) -> Floats:
    """Return min above a level: the ends that lie above it, and every crossing with its sign."""
    is_above = found >= level
    total = is_above[:, -1] * t_min[-1] - is_above[:, 0] * t_min[0]
    who, where = np.nonzero(is_above[:, 1:] != is_above[:, :-1])
    a, b = found[who, where], found[who, where + 1]
    share = (level - a) / (b - a)
    crossing = t_min[where] + share * (t_min[where + 1] - t_min[where])
    signed = np.where(b < a, crossing, -crossing)
    counted: Floats = total + np.bincount(who, weights=signed, minlength=len(found))
    return counted


# --- between people, between models -------------------------------------------------------------


def band(samples: Floats, q: Sequence[float] = (5, 50, 95)) -> Band:
    """Return percentiles of samples of shape (people, times)."""
    return Band(tuple(q), np.percentile(samples, q, axis=0))


def bands(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: ArrayLike,
    z: ArrayLike,
    analyte: str = PARENT,
    q: Sequence[float] = (5, 50, 95),
) -> Band:
    """Return the band of many people, some times after the other: their grid is never whole."""
    asked = times(t_min)
    parts = [
        band(population(card, person, schedule, some, z, analyte), q).values
        for some in np.split(asked, range(TIMES_AT_ONCE, len(asked), TIMES_AT_ONCE))
    ]
    return Band(tuple(q), np.concatenate(parts, axis=1))


def envelope(curves: Sequence[Curve]) -> Envelope:
    """Return the lowest and highest of several cards' curves at each time.

    PkError unless all have the same times, analyte and unit.
    """
    if not curves:
        raise refused("card", "envelope", "no curve", "give one or more")
    first = curves[0]
    for other in curves[1:]:
        alike = (first.analyte, first.unit) == (other.analyte, other.unit)
        if not alike or not np.array_equal(first.t_min, other.t_min):
            pair = f"{first.card.id} and {other.card.id}"
            raise refused("times", pair, "not alike", "give the same times, analyte and unit")
    table = np.stack([one.values for one in curves])
    return Envelope(
        tuple(one.card.id for one in curves),
        first.unit,
        tuple(sorted({one.matrix for one in curves})),
        first.t_min,
        table.min(axis=0),
        table.max(axis=0),
    )
