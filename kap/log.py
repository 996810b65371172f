"""The lines of a session's log: events, and the corrections that are events too.

A log is append-only. What was wrong is corrected by another line, {corrects, replacement or void,
reason}; the fold (`kap.session`) reads the log as corrected.
Source: docs/algorithms/session-log.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from kap.moment import MomentError, instant, with_offset

KINDS = (
    *("arrived", "checked", "authorised", "started", "paused", "resumed", "rate_changed"),
    *("stopped", "scored", "alarm_raised", "alarm_acknowledged", "alarm_closed", "said", "music"),
    *("handed_over", "gate_signed", "discharged", "correction"),
)
# A correction of one of these may shorten a wait: the interval, or the time before going home.
_WAITS = ("started", "stopped")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `id` is made by the client, so that a replay is harmless.

    `observed_at` is when it happened, `recorded_at` when it was stored; both aware. `corrects` is
    the id of the line that a correction is about; its `data` holds `void: true` or `replacement`
    {observed_at (ISO text), data}, `reason`, and `second` (who signed it second), if anybody did.
    """

    kind: str
    observed_at: datetime
    recorded_at: datetime
    id: str
    author: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    corrects: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "observed_at", with_offset(self.observed_at))
        object.__setattr__(self, "recorded_at", with_offset(self.recorded_at))
        object.__setattr__(self, "data", MappingProxyType(dict(self.data)))

    def order(self) -> tuple[datetime, datetime, str]:
        """The total order of the log: when it happened, when it was stored, its id."""
        return self.observed_at, self.recorded_at, self.id

    @property
    def is_signed_twice(self) -> bool:
        """Whether a second person, who is not the author, signed this line."""
        second = self.data.get("second")
        return bool(second) and second != self.author


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A line that does not fit: shown to a person, never dropped in silence, never an exception."""

    event_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Corrected:
    """The log as corrected: lines in order, what was odd, and times that still count for a wait.

    `held` has every instant claimed for a start or stop that no second signature has set aside:
    (kind, instant). A wait counts from the latest of them.
    """

    events: tuple[Event, ...]
    anomalies: tuple[Anomaly, ...]
    held: tuple[tuple[str, datetime], ...]


def corrected(events: Iterable[Event]) -> Corrected:
    """Return the log with its corrections applied, whatever order the lines come in."""
    anomalies: list[Anomaly] = []
    by_id = _once(events, anomalies)
    standing = dict(by_id)
    decided: set[str] = set()
    corrections = sorted(
        (one for one in by_id.values() if one.kind == "correction"), key=_newest_first
    )
    # The newest correction first: one that was itself voided must not speak.
    for line in reversed(corrections):
        if standing.pop(line.id, None) is None:
            continue
        target = by_id.get(line.corrects or "")
        problem = _problem(line, target, decided)
        if problem or target is None:
            anomalies.append(Anomaly(line.id, problem))
            continue
        decided.add(target.id)
        standing.pop(target.id, None)
        new = _replaced(target, line)
        if new is not None:
            standing[target.id] = new
    held = [
        (one.kind, claim)
        for one in by_id.values()
        if one.kind in _WAITS
        for claim in _claims(one, corrections, by_id)
    ]
    ordered = tuple(sorted(standing.values(), key=Event.order))
    return Corrected(ordered, tuple(anomalies), tuple(sorted(held)))


def _claims(
    line: Event, corrections: Iterable[Event], by_id: Mapping[str, Event]
) -> tuple[datetime, ...]:
    """Return the instants that still count for a wait: all that were claimed for this line since
    the last correction with a second signature. None when nobody corrected it.

    A void of a correction, signed twice, goes back to the line as first written. That may hold a
    wait too long, never too short.
    """
    claims: tuple[datetime, ...] = ()
    for one in corrections:
        target = by_id.get(one.corrects or "")
        if target is None or line not in (target, by_id.get(target.corrects or "")):
            continue
        if _problem(one, target, set()):
            continue
        claims = claims or (line.observed_at,)
        if target is not line:
            claims = (line.observed_at,) if one.is_signed_twice else claims
            continue
        new = _replaced(line, one)
        claim = () if new is None else (new.observed_at,)
        claims = claim if one.is_signed_twice else (*claims, *claim)
    return claims


def _once(events: Iterable[Event], anomalies: list[Anomaly]) -> dict[str, Event]:
    """Each id once. The same line again is a replay; another line under a used id is odd."""
    found: dict[str, Event] = {}
    odd: set[str] = set()
    for line in sorted(events, key=_as_written):
        first = found.setdefault(line.id, line)
        if first != line:
            odd.add(line.id)
    anomalies.extend(Anomaly(id_, "two different lines have this id") for id_ in sorted(odd))
    return found


def _as_written(line: Event) -> tuple[datetime, datetime, str, str]:
    told = [line.kind, line.author, line.corrects, dict(line.data)]
    return *line.order(), json.dumps(told, sort_keys=True, default=str)


def _newest_first(line: Event) -> tuple[datetime, datetime, str]:
    return line.recorded_at, line.observed_at, line.id


def _problem(line: Event, target: Event | None, decided: set[str]) -> str:
    """Say why a correction cannot be applied; empty when it can."""
    if target is None:
        return "corrects a line that is not here"
    if target.id in decided:
        return "a later correction of the same line stands"
    if line.data.get("void") is True:
        return ""
    if target.kind == "correction":
        return "a correction can only be voided"
    told = line.data.get("replacement")
    if not isinstance(told, Mapping):
        return "neither void nor replacement"
    return _unreadable(told)


def _unreadable(told: Mapping[str, Any]) -> str:
    try:
        instant(str(told.get("observed_at", "2000-01-01T00:00:00Z")))
    except MomentError as problem:
        return f"the replacement's time: {problem}"
    return "" if isinstance(told.get("data", {}), Mapping) else "the replacement's data"


def _replaced(target: Event, line: Event) -> Event | None:
    """The line as it should have been; None when it is void."""
    if line.data.get("void") is True:
        return None
    told = line.data["replacement"]
    when = instant(str(told["observed_at"])) if "observed_at" in told else target.observed_at
    return replace(target, observed_at=when, data={**target.data, **told.get("data", {})})
