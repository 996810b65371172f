"""Standard normals without dice: the same numbers on every machine, spread evenly.

Each column is the Halton sequence of a prime, carried to normals by the inverse of the distribution
function. Source: Halton, Numer Math 1960;2:84.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count as numbers_from
from itertools import islice
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from kap.pk.person import Floats
from kap.pk.refusal import refused

BURN_IN = 20  # first points, in which the columns of large primes still run together

_INVERSE = np.frompyfunc(NormalDist().inv_cdf, 1, 1)


def quasi_normal(count: int, columns: int, first: int = 0) -> Floats:
    """Return standard normals, shape (count, columns), from the `first` row of the sequence on."""
    if count < 0 or columns < 0 or first < 0:
        asked = f"{count} x {columns} from {first}"
        raise refused("not_a_number", "normals", asked, "write whole numbers from 0 on")
    rows = np.arange(first, first + count) + BURN_IN + 1
    found = np.empty((count, columns))
    for column, prime in enumerate(islice(_primes(), columns)):
        found[:, column] = _INVERSE(_mirrored(rows, prime))
    return found


def _primes() -> Iterator[int]:
    return (n for n in numbers_from(2) if all(n % k for k in range(2, n)))


def _mirrored(rows: NDArray[np.int64], base: int) -> Floats:
    """Return whole numbers with their digits in `base` mirrored at the point: above 0, below 1."""
    found, digit, rest = np.zeros(len(rows)), 1.0, rows
    while rest.any():
        digit /= base
        found += digit * (rest % base)
        rest = rest // base
    return found
