"""The same populations by compiled loops over people, on all cores: the extra `fast` (numba).

`population` and `exposure` answer as those of `kap.pk.simulate` do, to 1e-12. Only a parent in a
mammillary model on even times has a loop of its own; the rest is left to NumPy. The first call of
a process compiles for some seconds; nothing is written to disk.

The loops below are plain Python, and are tested as such; `_compiled` makes machine code of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kap.pk import simulate
from kap.pk.card import PARENT, ModelCard
from kap.pk.compartments import parent_constants
from kap.pk.dosing import Schedule
from kap.pk.fit import demand_fit, times
from kap.pk.person import Covariates, Floats, random_effects
from kap.pk.refusal import refused
from kap.pk.simulate import Exposure
from kap.pk.solve import Stretch, course
from kap.pk.tree import Modes, grid_step

prange = range  # numba's own in the compiled copies

BLOCK = 64  # times that are computed abreast
SWEEPS = 30
PEOPLE_AT_ONCE = 16_384


def population(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: ArrayLike,
    z: ArrayLike,
    analyte: str = PARENT,
) -> Floats:
    """Return levels in the analyte's unit, shape (people, times), for rows of standard normals."""
    if not _has_loop(card, analyte):
        return simulate.population(card, person, schedule, t_min, z, analyte)
    demand_fit(card, person, schedule)
    asked, effects = times(t_min), random_effects(card, z)
    found = np.empty((len(effects), len(asked)))
    scale = card.analyte(analyte).scale
    parent = _modes(card, person, effects, scale)
    found[:, : int(np.searchsorted(asked, _begin(schedule)))] = 0.0
    for _, places, state, rate, first, step in _pieces(parent, schedule, asked):
        part = found[:, places]
        _compiled(curves)(parent.rates, parent.weights, state, rate, first, step, part)
    return found


def exposure(
    card: ModelCard,
    person: Covariates,
    schedule: Schedule,
    t_min: ArrayLike,
    z: Floats,
    above: float,
    analyte: str = PARENT,
) -> Exposure:
    """Return each person's exposure over the times; no curve is kept."""
    asked = times(t_min)
    if not _has_loop(card, analyte) or len(asked) < 2 or not len(z):
        return simulate.exposure(card, person, schedule, t_min, z, above, analyte)
    demand_fit(card, person, schedule)
    scale = card.analyte(analyte).scale
    # Rows: area, highest, min above, the last level and whether there was one.
    found = np.zeros((5, len(z)))
    for low in range(0, len(z), PEOPLE_AT_ONCE):
        some = slice(low, low + PEOPLE_AT_ONCE)
        parent = _modes(card, person, random_effects(card, z[some]), scale)
        early = asked[: int(np.searchsorted(asked, _begin(schedule)))]
        last = float(early[-1]) if len(early) else 0.0
        sums = found[:, some]
        sums[4] = len(early) > 0
        sums[2] = (float(early[-1]) - float(early[0])) if len(early) and above <= 0 else 0.0
        for _, places, state, rate, first, step in _pieces(parent, schedule, asked):
            gap = float(asked[places.start]) - last
            count = places.stop - places.start
            _compiled(sums_of)(
                parent.rates, parent.weights, state, rate, first, step, count, gap, above, sums
            )
            last = float(asked[places.stop - 1])
    return Exposure(found[0], found[1], found[2])


def _has_loop(card: ModelCard, analyte: str) -> bool:
    return analyte == PARENT and card.kind != "nasal"


def _begin(schedule: Schedule) -> float:
    starts = [one.start_min for one in schedule.segments] + [b.t_min for b in schedule.boluses]
    return min(starts, default=math.inf)


Piece = tuple[Stretch, slice, Floats, float, float, float]


def _pieces(parent: Modes, schedule: Schedule, asked: Floats) -> Iterator[Piece]:
    """Yield stretches on even times: as a whole, or time by time where they are not even."""
    for stretch, places, state, rate in course(parent, schedule, asked):
        offsets = asked[places] - stretch.start_min
        step = grid_step(offsets)
        if step is not None:
            yield stretch, places, state, rate, float(offsets[0]), step
            continue
        for place, offset in enumerate(offsets, places.start):
            yield stretch, slice(place, place + 1), state, rate, float(offset), 0.0


def _modes(card: ModelCard, person: Covariates, effects: Floats, scale: float) -> Modes:
    k10, out, back, volume = parent_constants(card, person, effects)
    rates = np.empty((len(k10), out.shape[1] + 1))
    weights = np.empty_like(rates)
    _compiled(decompose)(k10, out, back, scale / volume, rates, weights)
    return Modes(rates, weights)


@cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Return machine code of a loop. PkError when the extra is not installed."""
    try:
        import numba
    except ModuleNotFoundError:
        way = "install afterglow[fast], or use kap.pk.simulate"
        raise refused("card", "numba", "not installed", way) from None
    names: dict[str, Any] = globals() | {"prange": numba.prange}
    for part in (_phi, _turn, _begin_block, _next_block, _tables, _measure, _minutes):
        names[part.__name__] = numba.njit(FunctionType(part.__code__, names, part.__name__))
    assert isinstance(loop, FunctionType)
    copy = FunctionType(loop.__code__, names, loop.__name__)
    made: Callable[..., None] = numba.njit(parallel=True, cache=False)(copy)
    return made


# --- loops --------------------------------------------------------------------------------------


def _phi(x: float) -> float:
    return 1.0 if x == 0.0 else -math.expm1(-x) / x


def curves(
    rates: Floats,
    weights: Floats,
    state: Floats,
    mg_per_min: float,
    first: float,
    step: float,
    found: Floats,
) -> None:
    """Fill `found` (people, times) with the weighted sum of modes, from `first` min on."""
    people, count = found.shape
    size = rates.shape[1]
    for person in prange(people):
        row = found[person]
        amounts, table, risen = np.empty(size), np.empty((size, BLOCK)), np.zeros(BLOCK)
        _begin_block(rates[person], state[person], mg_per_min, first, amounts)
        _tables(rates[person], weights[person], mg_per_min, step, table, risen)
        for begin in range(0, count, BLOCK):
            end = min(BLOCK, count - begin)
            for k in range(end):
                row[begin + k] = risen[k]
            for mode in range(size):
                amount = amounts[mode]
                for k in range(end):
                    row[begin + k] += amount * table[mode, k]
            _next_block(rates[person], mg_per_min, step, amounts)


def sums_of(
    rates: Floats,
    weights: Floats,
    state: Floats,
    mg_per_min: float,
    first: float,
    step: float,
    count: int,
    gap: float,
    above: float,
    sums: Floats,
) -> None:
    """Add a stretch to each person's area, highest level and min above; `gap` to the one before."""
    size = rates.shape[1]
    for person in prange(len(rates)):
        amounts, table, risen = np.empty(size), np.empty((size, BLOCK)), np.zeros(BLOCK)
        levels, four = np.empty(BLOCK), np.empty(4)
        _begin_block(rates[person], state[person], mg_per_min, first, amounts)
        _tables(rates[person], weights[person], mg_per_min, step, table, risen)
        last, wide = sums[3, person], gap if sums[4, person] else 0.0
        for begin in range(0, count, BLOCK):
            end = min(BLOCK, count - begin)
            for k in range(end):
                levels[k] = risen[k]
            for mode in range(size):
                amount = amounts[mode]
                for k in range(end):
                    levels[k] += amount * table[mode, k]
            _measure(levels, end, four, last)
            between = four[0] - (levels[0] + levels[end - 1]) / 2
            sums[0, person] += wide * (last + levels[0]) / 2 + step * between
            sums[1, person] = max(sums[1, person], four[2])
            if four[1] >= above:
                sums[2, person] += wide + step * (end - 1)
            elif four[2] >= above or last >= above:
                sums[2, person] += _minutes(levels, end, last, wide, step, above)
            last, wide = levels[end - 1], step
            _next_block(rates[person], mg_per_min, step, amounts)
        sums[3, person], sums[4, person] = last, 1.0


def _begin_block(
    rates: Floats, state: Floats, mg_per_min: float, at: float, amounts: Floats
) -> None:
    """Set the amounts of the modes some minutes after a state."""
    for mode in range(len(rates)):
        decay = rates[mode] * at
        amounts[mode] = state[mode] * math.exp(-decay) + mg_per_min * at * _phi(decay)


def _next_block(rates: Floats, mg_per_min: float, step: float, amounts: Floats) -> None:
    """Carry the amounts of the modes over one block."""
    minutes = step * BLOCK
    for mode in range(len(rates)):
        decay = rates[mode] * minutes
        kept = amounts[mode] * math.exp(-decay)
        amounts[mode] = kept + mg_per_min * minutes * _phi(decay)


def _tables(
    rates: Floats, weights: Floats, mg_per_min: float, step: float, table: Floats, risen: Floats
) -> None:
    """Fill, for each step of a block, what is left of a mode and what the rate has added."""
    for mode in range(len(rates)):
        kept, gain = math.exp(-rates[mode] * step), mg_per_min * step * _phi(rates[mode] * step)
        left, come = weights[mode], 0.0
        for k in range(BLOCK):
            table[mode, k] = left
            risen[k] += weights[mode] * come
            left, come = left * kept, come * kept + gain


def _measure(levels: Floats, end: int, four: Floats, last: float) -> None:
    """Set sum, lowest (the level before counts), highest of a block, four numbers abreast."""
    a = b = c = d = 0.0
    low_a = low_b = last
    high_a = high_b = levels[0]
    for k in range(0, end - end % 4, 4):
        p, q, r, s = levels[k], levels[k + 1], levels[k + 2], levels[k + 3]
        a, b, c, d = a + p, b + q, c + r, d + s
        low_a, low_b = min(low_a, min(p, q)), min(low_b, min(r, s))
        high_a, high_b = max(high_a, max(p, q)), max(high_b, max(r, s))
    for k in range(end - end % 4, end):
        a += levels[k]
        low_a, high_a = min(low_a, levels[k]), max(high_a, levels[k])
    four[0], four[1], four[2] = (a + b) + (c + d), min(low_a, low_b), max(high_a, high_b)


def _minutes(
    levels: Floats, end: int, last: float, wide: float, step: float, above: float
) -> float:
    """Return the min above a level along the straight lines between a block's levels."""
    minutes = 0.0
    for k in range(end):
        level = levels[k]
        if level >= above and last >= above:
            minutes += wide
        elif level >= above or last >= above:
            minutes += wide * (max(level, last) - above) / abs(level - last)
        last, wide = level, step
    return minutes


def decompose(
    k10: Floats, out: Floats, back: Floats, per_volume: Floats, rates: Floats, weights: Floats
) -> None:
    """Fill the modes of each person, by Jacobi's rotations of the symmetric matrix."""
    size = rates.shape[1]
    for person in prange(len(rates)):
        matrix, vectors = np.zeros((size, size)), np.eye(size)
        matrix[0, 0] = k10[person]
        for n in range(1, size):
            matrix[0, 0] += out[person, n - 1]
            matrix[n, n] = back[person, n - 1]
            matrix[0, n] = -math.sqrt(out[person, n - 1] * back[person, n - 1])
            matrix[n, 0] = matrix[0, n]
        for _ in range(SWEEPS):
            turned = False
            for p in range(size - 1):
                for q in range(p + 1, size):
                    turned |= _turn(matrix, vectors, p, q)
            if not turned:
                break
        for mode in range(size):
            rates[person, mode] = max(matrix[mode, mode], 0.0)
            weights[person, mode] = vectors[0, mode] ** 2 * per_volume[person]


def _turn(matrix: Floats, vectors: Floats, p: int, q: int) -> bool:
    """Rotate so that entry (p, q) vanishes; False where it was nothing beside the diagonal."""
    off = matrix[p, q]
    if abs(off) <= 1e-17 * math.sqrt(abs(matrix[p, p] * matrix[q, q])):
        return False
    theta = (matrix[q, q] - matrix[p, p]) / (2 * off)
    sign = 1.0 if theta >= 0 else -1.0
    tangent = sign / (abs(theta) + math.hypot(theta, 1.0))
    cosine = 1 / math.hypot(tangent, 1.0)
    sine = tangent * cosine
    for k in range(len(matrix)):
        a, b = matrix[k, p], matrix[k, q]
        matrix[k, p], matrix[k, q] = cosine * a - sine * b, sine * a + cosine * b
    for k in range(len(matrix)):
        a, b = matrix[p, k], matrix[q, k]
        matrix[p, k], matrix[q, k] = cosine * a - sine * b, sine * a + cosine * b
    for k in range(len(matrix)):
        a, b = vectors[k, p], vectors[k, q]
        vectors[k, p], vectors[k, q] = cosine * a - sine * b, sine * a + cosine * b
    matrix[p, q] = matrix[q, p] = 0.0
    return True
