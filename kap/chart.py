"""What is known about one patient: facts in time, and reviewed lists.

An absent fact was never asked; an absent list was never reviewed. Neither is a "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from kap.chart_json import read_chart, write_fact, write_list
from kap.facts import LISTS, FactType, vocabulary
from kap.known import (
    Allergy,
    ChartError,
    Condition,
    Fact,
    FactValue,
    Medication,
    Reason,
    ReviewedList,
    Source,
    Trial,
)
from kap.moment import Moment

__all__ = [
    "Allergy",
    "Chart",
    "ChartError",
    "Condition",
    "Fact",
    "FactValue",
    "Medication",
    "Moment",
    "Reason",
    "ReviewedList",
    "Source",
    "Trial",
]


@dataclass(frozen=True, slots=True)
class Chart:
    """Facts by name, oldest first, and the four reviewed lists (None: never asked)."""

    facts: Mapping[str, tuple[Fact, ...]] = field(default_factory=dict)
    conditions: ReviewedList[Condition] | None = None
    medications: ReviewedList[Medication] | None = None
    allergies: ReviewedList[Allergy] | None = None
    antidepressant_trials: ReviewedList[Trial] | None = None
    latest: datetime | None = field(init=False, repr=False, compare=False)  # of all readings
    # `facts` as they lie, not to be changed: quicker to read than through the read-only view
    told: dict[str, tuple[Fact, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ordered = {name: tuple(sorted(told, key=_when)) for name, told in self.facts.items()}
        for name, told in ordered.items():
            strangers = {fact.name for fact in told} - {name}
            if strangers:
                raise ChartError(f"{', '.join(sorted(strangers))} is filed under {name}")
        object.__setattr__(self, "facts", MappingProxyType(ordered))
        object.__setattr__(self, "told", ordered)
        ends = (told[-1].observed_at for told in ordered.values() if told)
        object.__setattr__(self, "latest", max(ends, default=None))

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
        return cls(**read_chart(data, vocabulary() if facts is None else facts))

    def to_json(self) -> dict[str, Any]:
        """Return the same format; numbers are texts, so nothing is rounded."""
        told = {name: [write_fact(fact) for fact in rows] for name, rows in self.facts.items()}
        lists = {name: getattr(self, name) for name in LISTS}
        held = {name: write_list(found) for name, found in lists.items() if found is not None}
        return {"facts": told, **held}


def _when(fact: Fact) -> tuple[datetime, datetime]:
    assert fact.recorded_at is not None
    return fact.observed_at, fact.recorded_at
