"""Instants, dates and ages as a person reads them: on the wall of a named place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import dateformat
from django.utils.translation import get_language

# What the zones of Canada are called in French. Source: National Research Council Canada.
FRENCH_ZONES = {
    "NST": "HNT",
    "NDT": "HAT",
    "AST": "HNA",
    "ADT": "HAA",
    "EST": "HNE",
    "EDT": "HAE",
    "CST": "HNC",
    "CDT": "HAC",
    "MST": "HNR",
    "MDT": "HAR",
    "PST": "HNP",
    "PDT": "HAP",
}


@dataclass(frozen=True, slots=True)
class Instant:
    """One instant in words: ISO, at the site, on the reader's wall ("" if the same), its hour."""

    iso: str
    text: str
    reader: str = ""
    clock: str = ""


def french() -> bool:
    """Return whether the page is in French."""
    return (get_language() or "en").startswith("fr")


def day(of: date) -> str:
    """Return a date with its month in letters, never 08/12: 24 Nov 2026; 24 nov. 2026."""
    return dateformat.format(of, "j N Y" if french() else "j M Y")


def instant(at: Any, zone: str, reader_zone: str = "") -> Instant | None:
    """Return `at` (a datetime, a kap Moment, ISO text) in `zone`; None when there is none."""
    moment = _moment(at)
    if moment is None:
        return None
    return _told(moment.astimezone(UTC), zone, reader_zone, get_language())


@lru_cache(maxsize=4096)  # a page of readings says the same few instants again and again
def _told(moment: datetime, zone: str, reader_zone: str, _language: str | None) -> Instant:
    here = _wall(moment, zone)
    reader = _wall(moment, reader_zone) if reader_zone and reader_zone != zone else ""
    clock = _clock(moment.astimezone(ZoneInfo(zone) if zone else UTC))
    return Instant(moment.isoformat(), here, reader, clock)


def _moment(at: Any) -> datetime | None:
    if isinstance(at, str):
        return datetime.fromisoformat(at) if at else None
    found = getattr(at, "utc", at)
    return found if isinstance(found, datetime) else None


def _wall(moment: datetime, zone: str) -> str:
    local = moment.astimezone(ZoneInfo(zone) if zone else UTC)
    name = local.tzname() or ""
    if french():
        name = FRENCH_ZONES.get(name, name)
    place = zone.rpartition("/")[2].replace("_", " ")
    return f"{day(local.date())}, {_clock(local)} {name} {place}".rstrip()


def _clock(local: datetime) -> str:
    return f"{local:%H} h {local:%M}" if french() else f"{local:%H:%M}"


def age(born: date, today: date) -> int:
    """Return the age in whole years on `today`."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))
