"""What is known about one patient: facts in time, and reviewed lists.

An absent fact was never asked; an absent list was never reviewed. Neither is a "no".
The reading and writing of JSON is in `kap/chart_json.py`; `Chart.from_json` is its door.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from kap.facts import FactType, vocabulary
from kap.moment import Moment, with_offset

__all__ = [
    "Allergy",
    "Chart",
    "ChartError",
    "Condition",
    "Fact",
    "Medication",
    "Moment",
    "Reason",
    "ReviewedList",
    "Source",
    "Trial",
]


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

    def __post_init__(self) -> None:
        if (self.value is None) != (self.reason is not None):
            raise ChartError(f"{self.name}: a value, or the reason why there is none; not both")
        object.__setattr__(self, "observed_at", with_offset(self.observed_at))
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


@dataclass(frozen=True, slots=True)
class Chart:
    """Facts by name, oldest first, and the four reviewed lists (None: never asked)."""

    facts: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    conditions: ReviewedList[Condition] | None = None
    medications: ReviewedList[Medication] | None = None
    allergies: ReviewedList[Allergy] | None = None
    antidepressant_trials: ReviewedList[Trial] | None = None

    def __post_init__(self) -> None:
        ordered = {name: tuple(sorted(told, key=_when)) for name, told in self.facts.items()}
        for name, told in ordered.items():
            strangers = {fact.name for fact in told} - {name}
            if strangers:
                raise ChartError(f"{', '.join(sorted(strangers))} is filed under {name}")
        object.__setattr__(self, "facts", MappingProxyType(ordered))

    def with_facts(self, *facts: Fact) -> Chart:
        """Return a chart that also holds `facts`."""
        told = dict(self.facts)
        for fact in facts:
            told[fact.name] = (*told.get(fact.name, ()), fact)
        return replace(self, facts=told)

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], facts: Mapping[str, FactType] | None = None
    ) -> Chart:
        """Return the chart of the input format of `kap screen` (docs/algorithms/screening.md 5).

        Numbers are int, Decimal or text (read JSON with `parse_float=Decimal`); a binary float, a
        number without unit, an unknown key or an impossible value raises ChartError.
        """
        from kap.chart_json import read_chart

        return read_chart(data, vocabulary() if facts is None else facts)

    def to_json(self) -> dict[str, Any]:
        """Return the same format; numbers are texts, so nothing is rounded."""
        from kap.chart_json import write_chart

        return write_chart(self)


def _when(fact: Fact) -> tuple[datetime, datetime]:
    assert fact.recorded_at is not None
    return fact.observed_at, fact.recorded_at
