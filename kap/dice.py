"""Dice that fall the same way for the same seed, on every machine and every version of Python.

For invented people and invented traces only. A counter run through a mixing function (SplitMix64;
Steele, Lea, Flood 2014): no state is shared, and no clock or system randomness is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_WORD = 2**64
_STEP = 0x9E3779B97F4A7C15


class Dice:
    """A sequence of numbers that its seed decides."""

    def __init__(self, seed: str) -> None:
        self._state = _folded(seed)

    def below(self, ceiling: int) -> int:
        """Return a whole number from 0 to ceiling - 1."""
        self._state = (self._state + _STEP) % _WORD
        return _mixed(self._state) * ceiling // _WORD

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.below(len(items))]


def _mixed(word: int) -> int:
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % _WORD
    return word ^ (word >> 31)


def _folded(seed: str) -> int:
    state = 0
    for byte in seed.encode():
        state = _mixed((state + byte + 1) % _WORD)
    return state
