"""What is known of one fact at one look: a truth, a number, a code, or the reason why not.

Truths are numbers here: 0 false, 1 unknown, 2 true; Kleene's "and" is the least, "not" is 2 - it.
"""

from __future__ import annotations

from typing import Any

from kap.known import Reason

UNKNOWN, FALSE, TRUE = 1, 0, 2


class Value:
    """What is known of one fact: a truth (0 false, 1 unknown, 2 true), both ends of a number in
    steps, or a code; else the reason, what to ask, and what it was read from."""

    __slots__ = ("asks", "code", "conflict", "evidence", "high", "low", "reason", "truth")

    def __init__(
        self,
        truth: int = UNKNOWN,
        low: int | None = None,
        high: int | None = None,
        code: str | None = None,
        reason: Reason | None = None,
        asks: tuple[str, ...] = (),
        evidence: tuple[Any, ...] = (),
        conflict: str = "",
    ) -> None:
        self.truth = truth
        self.low = low
        self.high = high
        self.code = code
        self.reason = reason
        self.asks = asks
        self.evidence = evidence
        self.conflict = conflict


class Said(Value):
    """A truth that is known, and what says so: the commonest value, so it carries nothing more."""

    __slots__ = ()
    low = high = code = reason = None
    asks = ()
    conflict = ""

    def __init__(self, truth: int, evidence: tuple[Any, ...]) -> None:
        self.truth = truth
        self.evidence = evidence


class Latest(Value):
    """A truth that the latest reading of fact `name` says. It is made once for all charts, so it
    names what says it and holds no evidence: `Look.evidence` finds it."""

    __slots__ = ("name",)
    low = high = code = reason = None
    asks = ()
    conflict = ""

    def __init__(self, truth: int, name: str) -> None:
        self.truth = truth
        self.name = name


class Amount(Value):
    """A number that is known, or both its ends, in steps."""

    __slots__ = ()
    truth = UNKNOWN
    code = reason = None
    asks = ()
    conflict = ""

    def __init__(self, low: int, high: int, evidence: tuple[Any, ...]) -> None:
        self.low = low
        self.high = high
        self.evidence = evidence


def unknown(reason: Reason, asks: tuple[str, ...], evidence: tuple[Any, ...] = ()) -> Value:
    """Return the value of something that is not known."""
    return Value(reason=reason, asks=asks, evidence=evidence)


def number(low: int, high: int, evidence: tuple[Any, ...] = ()) -> Value:
    """Return a number in steps; `low` < `high` when only its ends are known."""
    return Amount(low, high, evidence)
