"""One-way chains (depots, transits, metabolites) by the exponential of their matrix.

Such a matrix is not normal and may be defective, so its eigenvectors are never used. Flows off
the diagonal are not negative: shifted by mu = max(-a_ii) the matrix has no negative entry, its
Taylor series no cancellation, and neither have the squarings. Constant inputs are extra columns.
Source: docs/algorithms/pharmacokinetics.md; Van Loan 1978.
"""

from __future__ import annotations

import math

import numpy as np

from kap.pk.person import Floats

ORDER = 16
LARGEST_STEP = 0.25  # mu times the step that the series takes


def exponential(matrix: Floats, minutes: float) -> Floats:
    """Return exp(matrix * minutes), shape (people, n, n), every entry relatively accurate.

    `matrix` holds rates in 1/min, none negative off the diagonal.
    """
    size = matrix.shape[-1]
    shift = np.maximum(-np.diagonal(matrix, axis1=1, axis2=2).min(axis=1), 0.0)
    largest = float(shift.max(initial=0.0)) * minutes
    halvings = max(0, math.ceil(math.log2(largest / LARGEST_STEP))) if largest > 0 else 0
    step = minutes / 2**halvings
    one = np.eye(size)
    scaled = (matrix + shift[:, None, None] * one) * step
    found: Floats = _taylor(scaled, one) * np.exp(-shift * step)[:, None, None]
    for _ in range(halvings):
        found = np.matmul(found, found)
    return found


def _taylor(scaled: Floats, one: Floats) -> Floats:
    """Return the series of exp up to ORDER, by its fourth powers: 3 + 3 products."""
    second = np.matmul(scaled, scaled)
    third = np.matmul(second, scaled)
    fourth = np.matmul(second, second)
    powers = (one, scaled, second, third)
    found: Floats = fourth / math.factorial(ORDER)
    for low in range(ORDER - 4, -1, -4):
        group = sum(power / math.factorial(low + n) for n, power in enumerate(powers))
        found = group + (np.matmul(found, fourth) if low < ORDER - 4 else found)
    return found


class Chain:
    """The matrices of some people, and the exponentials that were asked for so far.

    `matrix` (people, n, n) in 1/min; `inputs` are the compartments that take constant rates. A
    state is mg in each compartment followed by mg/min into each input, shape (people, n + inputs).
    """

    def __init__(self, matrix: Floats, inputs: tuple[int, ...]) -> None:
        people, size, _ = matrix.shape
        whole = size + len(inputs)
        self.matrix = np.zeros((people, whole, whole))
        self.matrix[:, :size, :size] = matrix
        for place, compartment in enumerate(inputs):
            self.matrix[:, compartment, size + place] = 1.0
        self._found: dict[float, Floats] = {}

    def start(self) -> Floats:
        """Return the state of people who have had nothing."""
        return np.zeros(self.matrix.shape[:2])

    def step(self, minutes: float) -> Floats:
        """Return the matrix that carries a state over some minutes."""
        # Differences of times on a grid are equal but for their last digits.
        key = float(f"{minutes:.11e}")
        if key not in self._found:
            self._found[key] = exponential(self.matrix, minutes)
        return self._found[key]

    def after(self, state: Floats, minutes: float) -> Floats:
        """Return the state after some minutes at the state's own rates."""
        found: Floats = np.matmul(self.step(minutes), state[:, :, None])[:, :, 0]
        return found

    def grid(self, state: Floats, row: Floats, step: float, count: int) -> Floats:
        """Return `row` times the state at count steps from it, the first at 0: (people, count).

        `row` (people, n + inputs) reads a level from a state.
        """
        rows, power = row[:, None, :], self.step(step)
        while rows.shape[1] ** 2 < count:
            rows = np.concatenate([rows, np.matmul(rows, power)], axis=1)
            power = np.matmul(power, power)
        size = rows.shape[1]
        blocks = np.empty((len(state), -(-count // size), state.shape[1]))
        for place in range(blocks.shape[1]):
            blocks[:, place] = state
            state = np.matmul(power, state[:, :, None])[:, :, 0]
        found: Floats = np.matmul(blocks, rows.transpose(0, 2, 1))
        return found.reshape(len(state), -1)[:, :count]
