"""What a chart holds: readings of facts, and reviewed lists of what was diagnosed and taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

from kap.moment import with_offset


class ChartError(ValueError):
    """Input that a chart refuses; the message names the key, the value and the way out."""


class Source(StrEnum):
    """Who or what said it. RECORD is computed by the clinic from its own rows."""

    SELF = "self"
    STAFF = "staff"
    DEVICE = "device"
    IMPORT = "import"
    RECORD = "record"


class Reason(StrEnum):
    """Why something is unknown."""

    NEVER_ASKED = "never_asked"
    NOT_KNOWN = "not_known"
    DECLINED = "declined"
    TOO_OLD = "too_old"
    NOT_REVIEWED = "not_reviewed"  # the list is absent, or not marked complete
    UNCODED = "uncoded"  # an item, or a code that asks, leaves it open
    UNCONFIRMED = "unconfirmed"  # a reading that jumps from the one before
    ONE_READING = "one_reading"  # fewer readings, or not as far apart, as are needed


FactValue = bool | Decimal | str | date | datetime | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One reading of one fact. `value` None comes with the reason.

    A number is a Decimal in `unit` (UCUM); a date is a `date`, or "2014" / "2014-05" when partial.
    `observed_at` is aware, and **its offset says the local date** on which it was observed: hand
    over instants in the site's zone, not in UTC.
    """

    name: str
    value: FactValue
    unit: str = ""
    observed_at: datetime = field(kw_only=True)
    recorded_at: datetime | None = None
    source: Source = Source.STAFF
    id: str = ""
    reason: Reason | None = None
    day: date = field(init=False, repr=False, compare=False)  # the local date of observed_at

    def __post_init__(self) -> None:
        if (self.value is None) != (self.reason is not None):
            raise ChartError(f"{self.name}: a value, or the reason why there is none; not both")
        object.__setattr__(self, "observed_at", with_offset(self.observed_at))
        object.__setattr__(self, "day", self.observed_at.date())
        known_at = self.observed_at if self.recorded_at is None else with_offset(self.recorded_at)
        object.__setattr__(self, "recorded_at", known_at)


@dataclass(frozen=True, slots=True)
class Condition:
    """A diagnosis. `status`: active, past, refuted or family; `onset` may be a partial date."""

    system: str
    code: str
    status: str = "active"
    onset: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Medication:
    """A medicine taken. `atc` "" is one that could not be coded; `prn` None is not known."""

    atc: str
    name: str = ""
    mg_per_day: Decimal | None = None
    prn: bool | None = None
    since: str | None = None
    last_taken: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Allergy:
    """An allergy or an intolerance to a substance (ATC code or excipient name)."""

    code: str
    kind: str = "allergy"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One antidepressant trial. `judged` is the prescriber's word when the table has none."""

    atc: str
    mg_per_day: Decimal | None = None
    weeks: Decimal | None = None
    adherent: bool | None = None
    stopped_for_intolerance: bool | None = None
    current_episode: bool | None = None
    judged: bool | None = None
    id: str = ""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReviewedList(Generic[T]):
    """A list as somebody reviewed it. Only a complete one makes what is not on it false."""

    reviewed_at: datetime | None
    complete: bool
    items: tuple[T, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", tuple(self.items))
        if self.reviewed_at is not None:
            object.__setattr__(self, "reviewed_at", with_offset(self.reviewed_at))
        elif self.complete:
            raise ChartError("a list marked complete needs reviewed_at: say when it was reviewed")
