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
from kap.coding import Coding, Matches, Touch
from kap.facts import FactType
from kap.known import ChartError, Fact, Reason
from kap.moment import Moment, before
from kap.value import FALSE, TRUE, UNKNOWN, Amount, Latest, Said, Value, unknown

Deriver = Callable[["Look"], Value]


class Look:
    """One chart, one moment, one stage: the values of the protocol's slots, each read once."""

    __slots__ = (
        *("_cutoffs", "_matched", "_reasons", "_rows", "_untouched", "at", "chart"),
        *("derivers", "limits", "now", "told", "values"),
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
        self.told = _told_by(at, chart)
        self._cutoffs: dict[Limit, date] = {}
        self._reasons: dict[tuple[str, Limit | None], Reason | None] = {}
        self._untouched: dict[tuple[tuple[str, ...], Limit | None], Value] = {}
        self._matched: dict[Touch, Matches] = {}
        self._rows: dict[Touch, tuple[Mapping[str, Value], Value]] = {}

    def value(self, slot: int) -> Value:
        """Return the value of `slot`."""
        found = self.values[slot]
        if found is None:
            found = self.values[slot] = self.derivers[slot](self)
        return found

    def evidence(self, value: Value) -> tuple[Any, ...]:
        """Return what a value was read from."""
        return self.told[value.name][-1:] if isinstance(value, Latest) else value.evidence

    def readings(self, name: str) -> tuple[Fact, ...]:
        """Return what was told of `name` up to this moment, oldest first."""
        return self.told.get(name, ())

    def is_fresh(self, name: str, observed_at: datetime, day: date) -> bool:
        """Return whether what was observed then, on that local date, is still valid for `name`."""
        limit = self.limits[name]
        if limit is ALWAYS:
            return True
        cutoff = self._cutoffs.get(limit) or self.cutoff(limit)
        return (observed_at if limit.by_clock else day) >= cutoff

    def cutoff(self, limit: Limit) -> date:
        """Return the first instant or local date on which what was seen is still valid now."""
        found = self._cutoffs.get(limit)
        if found is None:
            found = self._cutoffs[limit] = _cutoff(self.at, limit)
        return found

    def is_current(self, fact: Fact, name: str = "") -> bool:
        """Return whether a reading is still valid, for its own name or for another fact's."""
        return self.is_fresh(name or fact.name, fact.observed_at, fact.day)

    def last_known(self, name: str, count: int) -> tuple[Fact, ...]:
        """Return the last `count` readings of `name` that are known and in date, oldest first."""
        found: list[Fact] = []
        for fact in reversed(self.told.get(name, ())):
            if fact.value is not None and self.is_fresh(name, fact.observed_at, fact.day):
                found.append(fact)
                if len(found) == count:
                    break
        found.reverse()
        return tuple(found)

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
        day = seen.date()
        fresh = self.is_fresh(name, seen, day)
        if fresh and fact in self.limits:
            fresh = self.is_fresh(fact, seen, day)
        return None if fresh else Reason.TOO_OLD

    def untouched(self, lists: tuple[str, ...], fact: str) -> Value:
        """Return what lists that do not touch `fact` say: false when all are complete, in date."""
        key = (lists, self.limits.get(fact))
        found = self._untouched.get(key)
        if found is None:
            found = self._untouched[key] = self._closed(lists, fact)
        return found if found.reason is None else unknown(found.reason, (fact,))

    def _closed(self, lists: tuple[str, ...], fact: str) -> Value:
        reason = next(filter(None, (self.list_reason(name, fact) for name in lists)), None)
        if reason is None:
            return Said(FALSE, (getattr(self.chart, lists[0]),))
        return unknown(reason, ())

    def matches(self, touch: Touch) -> Matches:
        """Return what a list's items say of the facts they touch, computed once."""
        found = self._matched.get(touch)
        if found is None:
            listed = getattr(self.chart, touch.list)
            found = self._matched[touch] = touch.match(() if listed is None else listed.items)
        return found

    def rows(self, touch: Touch) -> tuple[Mapping[str, Value], Value]:
        """Return what the interaction rows that are touched say, and what all the others say."""
        found = self._rows.get(touch)
        if found is None:
            rest = self.untouched(_MEDICATIONS, MEDICATIONS)
            said = {tag: self._row(*row) for tag, row in self.matches(touch).items()}
            found = self._rows[touch] = said, rest
        return found

    def _row(self, kind: str, items: tuple[Any, ...]) -> Value:
        if kind == "assert":
            return Said(TRUE, items)
        reason = self.list_reason(MEDICATIONS)
        return unknown(reason or Reason.UNCODED, _MEDICATIONS, items)


def _told_by(at: Moment, chart: Chart) -> Mapping[str, tuple[Fact, ...]]:
    """Return the readings up to a moment; nearly always that is all of them."""
    if chart.latest is None or chart.latest <= at.utc:
        return chart.told
    return {
        name: tuple(fact for fact in told if fact.observed_at <= at.utc)
        for name, told in chart.facts.items()
    }


@dataclass(frozen=True, eq=False)
class Limit:
    """How long something stays valid: `amount` of a UCUM unit; 0 d is the same local date."""

    amount: int
    unit: str

    @cached_property
    def length(self) -> timedelta:
        """How long, for a limit by the clock."""
        return timedelta(seconds=self.amount * _CLOCK[self.unit])

    @cached_property
    def by_clock(self) -> bool:
        """Whether it is counted in UTC hours, not in local dates."""
        return self.unit in _CLOCK


ALWAYS = Limit(0, "always")
SAME_DAY = Limit(0, "d")
_CLOCK = {"h": 3600, "min": 60, "s": 1}


def _cutoff(at: Moment, limit: Limit) -> date:
    if limit.by_clock:
        return at.utc - limit.length
    return before(at.local_date, limit.amount, limit.unit)


# --- readings -----------------------------------------------------------------------------------


def told(kind: FactType, jump: tuple[int, int] | None) -> Deriver:
    """Return how a raw fact is read: its latest reading, if in date.

    `jump` = (n, d): a number that differs from the one before by more than n/d is unconfirmed.
    """
    name, asks = kind.name, (kind.name,)
    never = unknown(Reason.NEVER_ASKED, asks)
    is_bool, is_number = kind.type == "bool", kind.type == "number"

    def read(look: Look) -> Value:
        readings = look.told.get(name)
        if not readings:
            return never
        latest = readings[-1]
        if not look.is_fresh(name, latest.observed_at, latest.day):
            return unknown(Reason.TOO_OLD, asks, (latest,))
        value = latest.value
        if value is False and is_bool:
            return Said(FALSE, (latest,))
        if value is True and is_bool:
            return Said(TRUE, (latest,))
        if value is None:
            return unknown(latest.reason or Reason.NOT_KNOWN, asks, (latest,))
        if jump and _jumps(readings, jump):
            return unknown(Reason.UNCONFIRMED, asks, (latest,))
        if is_number:
            steps = steps_of(kind, latest)
            return Amount(steps, steps, (latest,))
        return _worded(kind, latest)

    return read


def _jumps(readings: tuple[Fact, ...], jump: tuple[int, int]) -> bool:
    known = [fact.value for fact in readings if isinstance(fact.value, Decimal)]
    if len(known) < 2:
        return False
    return abs(known[-1] - known[-2]) * jump[1] > abs(known[-2]) * jump[0]


def _worded(kind: FactType, fact: Fact) -> Value:
    """Return the value of a code, a date or an instant; ChartError when it is of another type."""
    value = fact.value
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
    touches, asks = tuple(coding.touches[name] for name in lists), (fact,)

    def read(look: Look) -> Value:
        for touch in touches:
            if fact in look.matches(touch):
                return touched(look)
        return look.untouched(lists, fact)

    def touched(look: Look) -> Value:
        found = [(touch.list, look.matches(touch).get(fact, ("", ()))) for touch in touches]
        for name, (kind, items) in found:
            if kind == "assert" and (retains or look.list_reason(name, fact) is not Reason.TOO_OLD):
                return Said(TRUE, items)
        reasons = (look.list_reason(name, fact) for name in lists)
        asked = tuple(item for _, (_, items) in found for item in items)
        return unknown(next(filter(None, reasons), Reason.UNCODED), asks, asked)

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


def row_taken(tag: str, rows: Touch) -> Deriver:
    """Return whether a medicine on the list belongs to the interaction row `tag`."""

    def read(look: Look) -> Value:
        taken, rest = look.rows(rows)
        return taken.get(tag, rest)

    return read


MEDICATIONS = "medications"
_MEDICATIONS = (MEDICATIONS,)


def list_known(name: str) -> Deriver:
    """Return whether a list itself is known: reviewed as complete and in date."""

    def read(look: Look) -> Value:
        reason = look.list_reason(name)
        evidence = (getattr(look.chart, name),)
        return Said(TRUE, evidence) if reason is None else unknown(reason, (name,))

    return read
