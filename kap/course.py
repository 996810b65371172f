"""One patient's treatment in time: the series on the calendar, its checkpoints, and the facts that
the later stages ask for.

Intervals are counted between instants with an offset, never between wall times: across a change of
clocks two equal wall times two days apart may be 47 hours apart. Numbers are in `kap/course.toml`
and, for the least interval, in the protocol.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from kap.chart import Fact, FactValue, Source
from kap.instrument import Instrument
from kap.logic import Truth
from kap.outcome import responded

LONGEST_SEARCH_WEEKS = (
    60  # beyond this a pattern can never hold the interval; not a clinical number
)


class CourseError(ValueError):
    """A series that cannot be placed, or a pattern that does not exist; says the way out."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """On which ISO weekdays (1 is Monday) the doses of a series fall."""

    id: str
    weekdays: frozenset[int]


@dataclass(frozen=True, slots=True)
class Dose:
    """One administration: start and end as instants with the site's offset; None: still running."""

    started_at: datetime
    stopped_at: datetime | None = None
    is_booster: bool = False
    id: str = ""


@dataclass(frozen=True, slots=True)
class Scored:
    """A total of the course's instrument, and the instant it was answered."""

    answered_at: datetime
    total: int
    id: str = ""


def default_doses() -> int:
    """Return how many doses the first series has by default."""
    return int(_data()["series"]["doses"]["value"])


def patterns() -> Mapping[str, Pattern]:
    """Return the weekday patterns by id, the default first."""
    rows = sorted(_data()["pattern"], key=lambda r: r["id"] != _data()["series"]["default_pattern"])
    return {row["id"]: Pattern(row["id"], frozenset(row["weekdays"])) for row in rows}


def pattern(pattern_id: str | None = None) -> Pattern:
    """Return a pattern by id, or the default one; CourseError names those that exist."""
    known = patterns()
    chosen = next(iter(known)) if pattern_id is None else pattern_id
    if chosen not in known:
        raise CourseError(f"no pattern {chosen!r}; use one of {', '.join(known)}")
    return known[chosen]


def earliest_next(last_start: datetime, min_interval_h: int) -> datetime:
    """Return the first UTC instant at which the next dose may start (start to start)."""
    # In UTC first: adding hours to a local time counts on the wall clock, an hour wrong in spring.
    return last_start.astimezone(UTC) + timedelta(hours=min_interval_h)


def may_follow(last_start: datetime | None, slot: datetime, min_interval_h: int) -> bool:
    """Return whether a slot keeps the interval from the last start; a first dose has none."""
    return last_start is None or slot >= earliest_next(last_start, min_interval_h)


def offered(
    slots: Iterable[datetime], last_start: datetime | None, min_interval_h: int
) -> tuple[datetime, ...]:
    """Return the slots that may be offered, in their order. Slots are instants with an offset."""
    return tuple(slot for slot in slots if may_follow(last_start, slot, min_interval_h))


def plan_series(
    first: date,
    *,
    doses: int,
    on: Pattern,
    min_interval_h: int,
    slot_at: Callable[[date], datetime],
    last_start: datetime | None = None,
) -> tuple[datetime, ...]:
    """Return the planned starts of a series: the first on its date, the rest on the pattern's days.

    `slot_at` gives the instant (UTC or with an offset) of the daily slot on a date: only the site
    knows its zone. CourseError when the first date comes too soon after `last_start`, or when the
    pattern cannot hold the interval.
    """
    starts = [slot_at(first)]
    if not may_follow(last_start, starts[0], min_interval_h):
        raise CourseError(
            f"{first} comes less than {min_interval_h} h after the last dose; choose a later date"
        )
    day, limit = first, first + timedelta(weeks=LONGEST_SEARCH_WEEKS)
    while len(starts) < doses:
        day += timedelta(days=1)
        if day > limit:
            raise CourseError(
                f"pattern {on.id} cannot keep {min_interval_h} h between starts; choose another"
            )
        slot = slot_at(day)
        if day.isoweekday() in on.weekdays and may_follow(starts[-1], slot, min_interval_h):
            starts.append(slot)
    return tuple(starts)


def checkpoints(series_doses: int) -> tuple[str, ...]:
    """Return the checkpoints that stand after this many series doses, before the next one."""
    rows = _data()["checkpoint"]
    return tuple(row["id"] for row in rows if series_doses in row["after_doses"])


def baseline(doses: Sequence[Dose], scores: Sequence[Scored]) -> Scored | None:
    """Return the last score before the first dose; before any dose, the last one; else None."""
    first = min((dose.started_at for dose in doses), default=None)
    before = [s for s in scores if first is None or s.answered_at <= first]
    return max(before, key=lambda s: s.answered_at, default=None)


def response_so_far(by: Instrument, doses: Sequence[Dose], scores: Sequence[Scored]) -> Truth:
    """Return whether the best score since the first dose is a response to the baseline.

    Once a response, always a response: whoever relapses has responded before. Unknown without a
    dose, a baseline above 0, or a score since.
    """
    start = baseline(doses, scores)
    first = min((dose.started_at for dose in doses), default=None)
    since = [s.total for s in scores if first is not None and s.answered_at > first]
    return responded(by, start.total if start else None, min(since, default=None))


def dose_facts(
    doses: Sequence[Dose],
    *,
    series_length: int,
    at: datetime,
    booster_scheduled: bool | None = None,
) -> tuple[Fact, ...]:
    """Return what the gates need to know of the doses given, as facts of source `record`.

    Names: dosed_before, dose (each), booster_dose (each), last_start, last_stop, series_doses,
    lifetime_doses, series_complete, course_end, and booster_scheduled where that is known. Without
    a dose only what is then true is said. A dose still running counts as given; it has no stop yet,
    and its series no end.
    """
    given = sorted(doses, key=lambda dose: dose.started_at)
    series = [dose for dose in given if not dose.is_booster]
    facts = [
        _fact("dosed_before", bool(given), given[0].started_at if given else at),
        _count("series_doses", len(series), at),
        _count("lifetime_doses", len(given), at),
        _fact("series_complete", _ended(series, series_length) is not None, at),
    ]
    if booster_scheduled is not None:
        facts.append(_fact("booster_scheduled", booster_scheduled, at))
    for dose in given:
        facts.append(_fact("dose", dose.started_at, dose.started_at, dose.id))
        if dose.is_booster:
            facts.append(_fact("booster_dose", dose.started_at, dose.started_at, dose.id))
    return tuple(facts + _lasts(given, _ended(series, series_length)))


def score_facts(
    by: Instrument, doses: Sequence[Dose], scores: Sequence[Scored], *, at: datetime
) -> tuple[Fact, ...]:
    """Return the readings, the baseline and the response so far, as facts of source `record`.

    Names follow the instrument: phq9 (each), phq9_baseline; and responded. What is not known is not
    said: an absent fact is unknown.
    """
    facts = [_count(by.id, s.total, s.answered_at, s.id) for s in scores]
    start = baseline(doses, scores)
    if start is not None and doses:
        facts.append(_count(f"{by.id}_baseline", start.total, start.answered_at, start.id))
    so_far = response_so_far(by, doses, scores)
    if so_far is not Truth.UNKNOWN:
        facts.append(_fact("responded", so_far is Truth.TRUE, at))
    return tuple(facts)


def _ended(series: Sequence[Dose], series_length: int) -> datetime | None:
    """The end of the last dose of a series that is complete; None while it is not."""
    return series[-1].stopped_at if series and len(series) >= series_length else None


def _lasts(given: Sequence[Dose], ended: datetime | None) -> list[Fact]:
    facts = []
    if given:
        last = given[-1]
        facts.append(_fact("last_start", last.started_at, last.started_at, last.id))
        if last.stopped_at is not None:
            facts.append(_fact("last_stop", last.stopped_at, last.stopped_at, last.id))
    if ended is not None:
        facts.append(_fact("course_end", ended, ended))
    return facts


def _fact(name: str, value: FactValue, observed_at: datetime, evidence: str = "") -> Fact:
    return Fact(name, value, observed_at=observed_at, source=Source.RECORD, id=evidence)


def _count(name: str, value: int, observed_at: datetime, evidence: str = "") -> Fact:
    return Fact(
        name, Decimal(value), "1", observed_at=observed_at, source=Source.RECORD, id=evidence
    )


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files("kap").joinpath("course.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
