"""From a chart to values: the latest reading in date, and what reviewed lists say about a fact.

A `Look` is one reading of one chart at one moment and stage. Each fact is read at most once in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from kap.chart import Chart
from kap.coding import Coding
from kap.facts import FactType
from kap.known import ChartError, Fact, Reason
from kap.moment import Moment, before

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


def unknown(reason: Reason, asks: tuple[str, ...], evidence: tuple[Any, ...] = ()) -> Value:
    """Return the value of something that is not known."""
    return Value(reason=reason, asks=asks, evidence=evidence)


def number(low: int, high: int, evidence: tuple[Any, ...] = ()) -> Value:
    """Return a number in steps; `low` < `high` when only its ends are known."""
    return Value(low=low, high=high, evidence=evidence)


Deriver = Callable[["Look"], Value]


class Look:
    """One chart, one moment, one stage: the values of the protocol's slots, each read once."""

    __slots__ = (
        *("_cutoffs", "_matched", "_reasons", "_unmatched", "at", "chart"),
        *("derivers", "limits", "now", "told_of", "values"),
    )

    def __init__(
        self,
        chart: Chart,
        at: Moment,
        derivers: list[Deriver],
        limits: Mapping[str, Limit],
        now: frozenset[str],
    ) -> None:
        self.chart = chart
        self.at = at
        self.derivers = derivers
        self.limits = limits
        self.now = now
        self.values: list[Value | None] = [None] * len(derivers)
        # When nothing lies after the moment, readings are taken from the chart as they are.
        all_past = chart.latest is None or chart.latest <= at.utc
        self.told_of = chart.facts.get if all_past else None
        self._cutoffs: dict[Limit, date] = {}
        self._reasons: dict[Any, Reason | None] = {}
        self._unmatched: dict[Any, Value] = {}
        self._matched: dict[Any, Any] = {}

    def value(self, slot: int) -> Value:
        """Return the value of `slot`."""
        found = self.values[slot]
        if found is None:
            found = self.values[slot] = self.derivers[slot](self)
        return found

    def readings(self, name: str) -> tuple[Fact, ...]:
        """Return what was told of `name` up to this moment, oldest first."""
        told = self.chart.facts.get(name, ())
        if self.told_of is not None:
            return told
        return tuple(fact for fact in told if fact.observed_at <= self.at.utc)

    def is_fresh(self, name: str, observed_at: datetime, day: date) -> bool:
        """Return whether what was observed then, on that local date, is still valid for `name`."""
        limit = self.limits[name]
        if limit is ALWAYS:
            return True
        cutoff = self._cutoffs.get(limit)
        if cutoff is None:
            cutoff = self._cutoffs[limit] = _cutoff(self.at, limit)
        return observed_at >= cutoff if limit.by_clock else day >= cutoff

    def is_current(self, fact: Fact, name: str = "") -> bool:
        """Return whether a reading is still valid, for its own name or for another fact's."""
        return self.is_fresh(name or fact.name, fact.observed_at, fact.day)

    def fresh(self, name: str) -> tuple[Fact, ...]:
        """Return the readings of `name` that are known and in date, oldest first."""
        told = self.readings(name)
        return tuple(f for f in told if f.value is not None and self.is_current(f))

    def list_reason(self, name: str, fact: str = "") -> Reason | None:
        """Return None when list `name` is complete and in date, also for `fact`; else why not."""
        key = (name, self.limits.get(fact))
        if key not in self._reasons:
            self._reasons[key] = self._list_reason(name, fact)
        return self._reasons[key]

    def _list_reason(self, name: str, fact: str) -> Reason | None:
        listed = getattr(self.chart, name)
        if listed is None:
            return Reason.NEVER_ASKED
        seen = listed.reviewed_at
        if not listed.complete or seen > self.at.utc:
            return Reason.NOT_REVIEWED
        names = (name, fact) if fact in self.limits else (name,)
        fresh = all(self.is_fresh(held, seen, seen.date()) for held in names)
        return None if fresh else Reason.TOO_OLD

    def unmatched(self, lists: tuple[str, ...], fact: str) -> Value:
        """Return what lists that do not touch `fact` say: false when all are complete, in date."""
        key = (lists, self.limits.get(fact))
        found = self._unmatched.get(key)
        if found is None:
            reason = next(filter(None, (self.list_reason(name, fact) for name in lists)), None)
            truth, evidence = (UNKNOWN, ()) if reason else (FALSE, (getattr(self.chart, lists[0]),))
            found = self._unmatched[key] = Value(truth, reason=reason, evidence=evidence)
        return found if found.reason is None else unknown(found.reason, (fact,))

    def matches(self, name: str, match: Matcher) -> Matches:
        """Return what `match` makes of the items of list `name`, computed once."""
        key = (name, match)
        found: Matches | None = self._matched.get(key)
        if found is None:
            listed = getattr(self.chart, name)
            found = self._matched[key] = match(name, () if listed is None else listed.items)
        return found


Matches = Mapping[str, "tuple[str, tuple[Any, ...]]"]
Matcher = Callable[[str, "tuple[Any, ...]"], Matches]


@dataclass(frozen=True, eq=False)
class Limit:
    """How long something stays valid: `amount` of a UCUM unit; 0 d is the same local date."""

    amount: int
    unit: str

    @cached_property
    def by_clock(self) -> bool:
        """Whether it is counted in UTC hours, not in local dates."""
        return self.unit in _CLOCK


ALWAYS = Limit(0, "always")
SAME_DAY = Limit(0, "d")
_CLOCK = {"h": 3600, "min": 60, "s": 1}


def _cutoff(at: Moment, limit: Limit) -> date:
    if limit.by_clock:
        return at.utc - timedelta(seconds=limit.amount * _CLOCK[limit.unit])
    return before(at.local_date, limit.amount, limit.unit)


# --- readings -----------------------------------------------------------------------------------


def told(kind: FactType, jump: tuple[int, int] | None) -> Deriver:
    """Return how a raw fact is read: its latest reading, if in date.

    `jump` = (n, d): a number that differs from the one before by more than n/d is unconfirmed.
    """
    name, asks = kind.name, (kind.name,)
    never = unknown(Reason.NEVER_ASKED, asks)
    is_bool = kind.type == "bool"

    def read(look: Look) -> Value:
        readings = told_of(name, ()) if (told_of := look.told_of) else look.readings(name)
        if not readings:
            return never
        latest = readings[-1]
        if not look.is_fresh(name, latest.observed_at, latest.day):
            return unknown(Reason.TOO_OLD, asks, (latest,))
        if latest.value is True and is_bool:
            return Value(TRUE, None, None, None, None, (), (latest,))
        if latest.value is False and is_bool:
            return Value(FALSE, None, None, None, None, (), (latest,))
        if latest.value is None:
            return unknown(latest.reason or Reason.NOT_KNOWN, asks, (latest,))
        if jump and _jumps(readings, jump):
            return unknown(Reason.UNCONFIRMED, asks, (latest,))
        return value_of(kind, latest)

    return read


def _jumps(readings: tuple[Fact, ...], jump: tuple[int, int]) -> bool:
    known = [fact.value for fact in readings if isinstance(fact.value, Decimal)]
    if len(known) < 2:
        return False
    return abs(known[-1] - known[-2]) * jump[1] > abs(known[-2]) * jump[0]


def value_of(kind: FactType, fact: Fact) -> Value:
    """Return the value of one known reading; ChartError when its type or unit is another."""
    value = fact.value
    if kind.type == "number" and isinstance(value, Decimal):
        steps = steps_of(kind, fact)
        return number(steps, steps, (fact,))
    if kind.type == "code" and isinstance(value, str):
        return Value(code=value, evidence=(fact,))
    if kind.type in ("date", "instant") and isinstance(value, date | str):
        return Value(code=str(value), evidence=(fact,))
    raise ChartError(f"{kind.name}: {value!r} is no {kind.type}")


def steps_of(kind: FactType, fact: Fact) -> int:
    """Return a reading in whole steps; ChartError when it is in another unit."""
    if fact.unit != kind.unit or not isinstance(fact.value, Decimal):
        raise ChartError(f"{kind.name}: {fact.value} {fact.unit!r}; it is kept in {kind.unit!r}")
    return kind.steps(fact.value)


# --- lists --------------------------------------------------------------------------------------


def listed(fact: str, lists: tuple[str, ...], coding: Coding, retains: bool) -> Deriver:
    """Return what reviewed lists say of a bool fact.

    `retains`: a match on a list that is out of date still holds (true is the risk).
    """
    match, asks = coding.matches, (fact,)

    def read(look: Look) -> Value:
        touched = [name for name in lists if fact in look.matches(name, match)]
        if not touched:
            return look.unmatched(lists, fact)
        for name in touched:
            kind, items = look.matches(name, match)[fact]
            if kind == "assert" and (retains or look.list_reason(name, fact) is not Reason.TOO_OLD):
                return Value(truth=TRUE, evidence=items)
        reasons = (look.list_reason(name, fact) for name in lists)
        items = tuple(i for name in touched for i in look.matches(name, match)[fact][1])
        return unknown(next(filter(None, reasons), Reason.UNCODED), asks, items)

    return read


def settle(name: str, direction: str, first: Deriver, second: Deriver) -> Deriver:
    """Return how a told fact and what lists (or a derivation) say are joined: the risk wins."""
    risk = {"up": TRUE, "down": FALSE}.get(direction)

    def read(look: Look) -> Value:
        said, shown = first(look), second(look)
        if said.truth == shown.truth and said.truth != UNKNOWN:
            return said
        if shown.reason is not None:
            return said if said.reason is None else _both(said, shown)
        if said.reason is not None:
            return shown
        if (said.truth, said.low, said.high) == (shown.truth, shown.low, shown.high):
            return said
        taken = (
            _riskier(said, shown, direction)
            if risk is None or said.low is not None
            else (said if said.truth == risk else shown)
        )
        if taken is None:
            return unknown(Reason.UNCONFIRMED, (name,), (*said.evidence, *shown.evidence))
        return _with_conflict(taken, name, said, shown)

    return read


def _both(said: Value, shown: Value) -> Value:
    reason = shown.reason if said.reason is Reason.NEVER_ASKED else said.reason
    assert reason is not None
    return unknown(reason, shown.asks or said.asks, (*said.evidence, *shown.evidence))


def _riskier(said: Value, shown: Value, direction: str) -> Value | None:
    """Return the riskier of two numbers; None where no direction says which that is."""
    if said.low is None or shown.low is None or direction not in ("up", "down"):
        return None
    more = said if said.low >= shown.low else shown
    less = shown if more is said else said
    return more if direction == "up" else less


def _with_conflict(taken: Value, name: str, said: Value, shown: Value) -> Value:
    text = f"{name}: told and derived disagree; the riskier of the two is taken"
    return Value(
        taken.truth, taken.low, taken.high, taken.code,
        evidence=(*said.evidence, *shown.evidence), conflict=text,
    )  # fmt: skip


def row_taken(tag: str, match: Matcher) -> Deriver:
    """Return whether a medicine on the list belongs to the interaction row `tag`."""

    def read(look: Look) -> Value:
        found = look.matches(MEDICATIONS, match).get(tag)
        if found is None:
            return look.unmatched(_MEDICATIONS, MEDICATIONS)
        kind, items = found
        if kind == "assert":
            return Value(truth=TRUE, evidence=items)
        reason = look.list_reason(MEDICATIONS)
        return unknown(reason or Reason.UNCODED, (MEDICATIONS,), items)

    return read


MEDICATIONS = "medications"
_MEDICATIONS = (MEDICATIONS,)


def list_known(name: str) -> Deriver:
    """Return whether a list itself is known: reviewed as complete and in date."""

    def read(look: Look) -> Value:
        reason = look.list_reason(name)
        evidence = (getattr(look.chart, name),)
        return Value(truth=TRUE, evidence=evidence) if reason is None else unknown(reason, (name,))

    return read
