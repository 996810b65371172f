"""When a question is asked, and calendar arithmetic on dates that may be partial.

`kap` never meets a time zone: hours are counted between UTC instants, days and ages by local dates.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache


class MomentError(ValueError):
    """An instant without offset, or a date that does not exist."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The instant of a question (kept in UTC) and the clinic's local date at that instant."""

    utc: datetime
    local_date: date

    def __post_init__(self) -> None:
        object.__setattr__(self, "utc", with_offset(self.utc).astimezone(UTC))

    @classmethod
    def at(cls, instant: datetime) -> Moment:
        """Return the moment of `instant`; its offset says the local date. No offset: refused."""
        return cls(utc=instant, local_date=with_offset(instant).date())


def with_offset(instant: datetime) -> datetime:
    """Return `instant` with a fixed offset, so that its date is local and differences are true.

    Subtracting two datetimes of one named zone uses wall time and is an hour wrong across a change.
    """
    offset = instant.utcoffset()
    if offset is None:
        raise MomentError(f"{instant.isoformat()} has no offset; write one, as in -05:00 or Z")
    return instant if type(instant.tzinfo) is timezone else instant.replace(tzinfo=timezone(offset))


def instant(text: str) -> datetime:
    """Return the instant that an ISO 8601 text with offset names."""
    try:
        return with_offset(datetime.fromisoformat(text))
    except ValueError as problem:
        raise MomentError(
            f"{text!r} is no instant: {problem}; write 2026-11-24T09:30:00-05:00"
        ) from None


_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def span(text: str) -> tuple[date, date]:
    """Return the first and the last day that "2014", "2014-05" or "2014-05-02" may mean."""
    found = _PARTIAL.fullmatch(text)
    if not found:
        raise MomentError(f"{text!r} is no date; write 2014, 2014-05 or 2014-05-02")
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    try:
        if month is None:
            return date(year, 1, 1), date(year, 12, 31)
        if day is None:
            return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
        return date(year, month, day), date(year, month, day)
    except ValueError as problem:
        raise MomentError(f"{text!r} is no date: {problem}") from None


def months_before(day: date, months: int) -> date:
    """Return the day `months` calendar months earlier; month ends stay within their month."""
    index = day.year * 12 + day.month - 1 - months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


@lru_cache(maxsize=1024)  # a chart is asked about few days, and each has many limits
def before(day: date, amount: int, unit: str) -> date:
    """Return the date `amount` of `unit` (UCUM d, wk, mo, a) before `day`."""
    if unit == "d":
        return day - timedelta(days=amount)
    if unit == "wk":
        return day - timedelta(weeks=amount)
    return months_before(day, amount * (12 if unit == "a" else 1))


def years_between(birth: date, day: date) -> int:
    """Return the whole years from `birth` to `day`; a 29 February counts from 1 March."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def elapsed(at: datetime, by: timedelta) -> datetime:
    """Return the instant `by` after `at` (before it, if negative), with an offset in its zone.

    The sum is in UTC: a wall time plus an hour is another hour on a night when the clocks change.
    """
    return (at.astimezone(UTC) + by).astimezone(at.tzinfo)
