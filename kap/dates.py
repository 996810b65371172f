"""Dates of facts, told or read from the onsets of coded diagnoses; partial ones have two ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from kap.coding import Coding
from kap.evidence import Deriver, Look
from kap.known import Reason
from kap.moment import span
from kap.value import Value, unknown

# First and last possible day, what they were read from, and the reason when there are none.
DateRead = tuple[date | None, date | None, tuple[Any, ...], Reason | None]


def date_of(name: str, coded_by: tuple[str, ...], coding: Coding) -> Callable[[Look], DateRead]:
    """Return how a date fact is read: (first day, last day, evidence, reason).

    Onsets of matched diagnoses count too; the later date is the riskier and wins.
    """

    def read(look: Look) -> DateRead:
        spans, evidence, reason = [], [], Reason.NEVER_ASKED
        readings = look.readings(name)
        if readings:
            latest = readings[-1]
            evidence.append(latest)
            if latest.value is None:
                reason = latest.reason or Reason.NOT_KNOWN
            elif not look.is_current(latest):
                reason = Reason.TOO_OLD
            else:
                spans.append(_days(latest.value))
        if not coded_by and spans:
            return *spans[0], (latest,), None
        matched = look.matches(coding.touches["conditions"])
        items = [item for fact in coded_by for item in matched.get(fact, ("", ()))[1]]
        onsets = [getattr(item, "onset", None) for item in items]
        if None in onsets and not spans:
            return None, None, tuple(items), Reason.NOT_KNOWN
        spans += [span(onset) for onset in onsets if onset]
        if not spans:
            return None, None, tuple(evidence), reason
        last = max(last for _, last in spans)
        return max(first for first, _ in spans), last, (*evidence, *items), None

    return read


def dated(name: str, date_read: Callable[[Look], DateRead]) -> Deriver:
    """Return whether a date fact is known, as a value whose code is the date it may be latest."""

    def read(look: Look) -> Value:
        _, last, evidence, reason = date_read(look)
        if last is None:
            return unknown(reason or Reason.NOT_KNOWN, (name,), evidence)
        return Value(code=last.isoformat(), evidence=evidence)

    return read


def _days(value: Any) -> tuple[date, date]:
    if isinstance(value, datetime):
        return value.date(), value.date()
    return (value, value) if isinstance(value, date) else span(value)
