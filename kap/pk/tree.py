"""Parent drug in a mammillary model: a reversible tree, solved by its symmetric form.

With micro-constants k10, k1j and kj1 the matrix S is symmetric (S00 = k10 + sum k1j,
S0j = -sqrt(k1j kj1), Sjj = kj1), so its eigenvalues are real and not negative, and the response of
the central compartment to a bolus is a sum of decaying exponentials with weights that are squares:
never negative, never singular, no difference of near-equal exponentials.
Source: docs/algorithms/pharmacokinetics.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kap.pk.person import Floats

UNIFORM_FROM = 16  # times; below, each is computed by itself


def phi(x: Floats) -> Floats:
    """Return (1 - exp(-x)) / x, and 1 at 0: the mean of exp(-s) for s from 0 to x."""
    nonzero = np.where(x == 0, 1.0, x)
    return np.where(x == 0, 1.0, -np.expm1(-nonzero) / nonzero)


@dataclass(frozen=True, slots=True)
class Modes:
    """Decay rates in 1/min and weights in 1/L of each person's modes, both (people, modes).

    A person's state is an amount in mg for each mode; the concentration in mg/L is its weighted
    sum. Every mode takes the whole input.
    """

    rates: Floats
    weights: Floats

    def start(self) -> Floats:
        """Return the state of people who have had nothing."""
        return np.zeros_like(self.rates)

    def after(self, state: Floats, mg_per_min: float, minutes: float) -> Floats:
        """Return the state after some minutes at one rate."""
        decay = self.rates * minutes
        kept: Floats = state * np.exp(-decay)
        return kept + mg_per_min * minutes * phi(decay) if mg_per_min else kept

    def levels(self, state: Floats, mg_per_min: float, offsets: Floats) -> Floats:
        """Return mg/L at offsets in min from the state, shape (people, offsets)."""
        step = grid_step(offsets)
        if step is None:
            return self._each(state, mg_per_min, offsets)
        first = self.after(state, mg_per_min, float(offsets[0]))
        return self._grid(first, mg_per_min, step, len(offsets))

    def _each(self, state: Floats, mg_per_min: float, offsets: Floats) -> Floats:
        decay = self.rates[:, :, None] * offsets
        amounts = state[:, :, None] * np.exp(-decay)
        if mg_per_min:
            amounts += mg_per_min * offsets * phi(decay)
        found: Floats = np.matmul(self.weights[:, None, :], amounts)[:, 0, :]
        return found

    def _grid(self, state: Floats, mg_per_min: float, step: float, count: int) -> Floats:
        """Return mg/L on a uniform grid: states at block starts, times decays within a block."""
        size = math.isqrt(count - 1) + 1
        starts = np.arange(0, count, size) * step
        within = np.arange(size) * step
        decay = self.rates[:, None, :] * starts[:, None]
        blocks = state[:, None, :] * np.exp(-decay)
        inner = self.rates[:, :, None] * within
        shape = self.weights[:, :, None] * np.exp(-inner)
        if mg_per_min:
            blocks += mg_per_min * starts[:, None] * phi(decay)
        found: Floats = np.matmul(blocks, shape)
        if mg_per_min:
            found += np.matmul(self.weights[:, None, :], phi(inner)) * (mg_per_min * within)
        return found.reshape(len(state), -1)[:, :count]


def modes(k10: Floats, out: Floats, back: Floats, volume: Floats) -> Modes:
    """Return the modes of a mammillary model.

    `k10` and `volume` (of the central compartment, L) have shape (people,), the constants `out`
    (k12, k13) and `back` (k21, k31) have shape (people, peripherals); 1/min.
    """
    people, peripherals = out.shape
    matrix = np.zeros((people, peripherals + 1, peripherals + 1))
    matrix[:, 0, 0] = k10 + out.sum(axis=1)
    matrix[:, 0, 1:] = matrix[:, 1:, 0] = -np.sqrt(out * back)
    places = np.arange(1, peripherals + 1)
    matrix[:, places, places] = back
    rates, vectors = np.linalg.eigh(matrix)
    return Modes(np.maximum(rates, 0.0), vectors[:, 0, :] ** 2 / volume[:, None])


def grid_step(offsets: Floats) -> float | None:
    """Return the step of evenly spaced offsets in min; None when uneven, or not worth a grid."""
    count = len(offsets)
    if count < UNIFORM_FROM:
        return None
    step = float(offsets[-1] - offsets[0]) / (count - 1)
    even = offsets[0] + step * np.arange(count)
    is_even = np.abs(offsets - even).max() <= 1e-14 * max(1.0, abs(float(offsets[-1])))
    return step if is_even and step > 0 else None
