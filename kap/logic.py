"""Three-valued logic: what is not known is an answer of its own, and never "no".

Source: strong Kleene logic K3 (Kleene, Introduction to Metamathematics, 1952, section 64):
false < unknown < true; `and` is the lesser, `or` the greater, `not` swaps the ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Truth(Enum):
    """True, false or unknown. Combine with `&`, `|`, `~`; compare with `is`."""

    FALSE = 0
    UNKNOWN = 1
    TRUE = 2

    def __and__(self, other: Truth) -> Truth:
        return self if self.value <= other.value else other

    def __or__(self, other: Truth) -> Truth:
        return self if self.value >= other.value else other

    def __invert__(self) -> Truth:
        return Truth(2 - self.value)

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self} has no yes or no: `if`, `and`, `or`, `not` would take unknown for an answer; "
            "compare with `is Truth.TRUE`, combine with & | ~"
        )

    @staticmethod
    def of(known: bool | None) -> Truth:
        """Return the truth of `known`; None is unknown."""
        if known is None:
            return Truth.UNKNOWN
        return Truth.TRUE if known else Truth.FALSE


def at_least(n: int, truths: Iterable[Truth]) -> Truth:
    """Return whether at least `n` of `truths` hold; known once the unknown cannot change it."""
    found = list(truths)
    sure = found.count(Truth.TRUE)
    if sure >= n:
        return Truth.TRUE
    return Truth.UNKNOWN if sure + found.count(Truth.UNKNOWN) >= n else Truth.FALSE
