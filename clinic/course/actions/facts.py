"""Recording what is known about a patient, and correcting it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries
from clinic.course.actions.asking import ask_after_a_fact
from clinic.course.actions.rows import Refused, written
from clinic.course.models import Fact, Session
from clinic.database import now
from clinic.people.models import Patient
from kap.chart import Chart, ChartError
from kap.facts import vocabulary
from kap.plausible import refuse_impossible


@dataclass(frozen=True)
class Reading:
    """A value as it is told: JSON value or None with a reason, unit, and when it was so."""

    name: str
    value: Any
    observed_at: datetime
    unit: str = ""
    source: str = "staff"
    reason: str = ""

    def told(self) -> dict[str, Any]:
        """Return the reading in the form the core reads."""
        row = {
            "value": self.value,
            "unit": self.unit,
            "observed_at": self.observed_at.isoformat(),
            "source": self.source,
            "reason": self.reason,
        }
        return {key: value for key, value in row.items() if value not in ("", None)}


@transaction.atomic
def record_facts(
    *, of: Any, readings: Iterable[Reading], by: Author, session: Session | None = None
) -> list[Fact]:
    """Store readings about the patient of `of`. Raises Refused for one that cannot be true."""
    given = list(readings)
    _check(given)
    _check_body(of.patient, given)
    columns = written(of, by)
    rows = Fact.add_all(
        {
            **columns,
            "name": reading.name,
            "value": reading.value,
            "unit": reading.unit,
            "observed_at": reading.observed_at,
            "source": reading.source,
            "reason": reading.reason,
            "session": session,
        }
        for reading in given
    )
    audit.record(by=by, action="fact.record", about=of, names=sorted({r.name for r in given}))
    ask_after_a_fact(of=of, names={r.name for r in given}, by=by)
    return rows


def _check(readings: Sequence[Reading]) -> None:
    facts: dict[str, list[dict[str, Any]]] = {}
    latest = now() + timedelta(minutes=1)
    for reading in readings:
        if reading.observed_at > latest:
            raise Refused(
                _("%(name)s: %(at)s is in the future; give the time it was observed")
                % {"name": reading.name, "at": reading.observed_at.isoformat(timespec="minutes")}
            )
        facts.setdefault(reading.name, []).append(reading.told())
    try:
        Chart.from_json({"facts": facts})
    except ChartError as error:
        raise Refused(str(error)) from error


def _check_body(patient: Patient, readings: Sequence[Reading]) -> None:
    """Refuse a weight that nobody of the last known height has, or the other way round."""
    body = [reading for reading in readings if reading.name in ("weight", "height")]
    if not body:
        return
    more = ({"name": reading.name, **reading.told()} for reading in body)
    chart = queries.chart(patient, now(), *more)
    try:
        refuse_impossible(chart, vocabulary())
    except ChartError as error:
        last = {name: chart.facts[name][-1].value for name in ("weight", "height")}
        raise Refused(
            _(
                "Weight %(weight)s kg with height %(height)s cm: nobody has that body. Check both"
                " and their units (lb, inches), and record both together."
            )
            % last
        ) from error


@transaction.atomic
def correct_fact(*, fact: Fact, value: Any, reason: str, by: Author) -> Fact:
    """Record a correction of a fact; the old value stays readable in the record."""
    unit = vocabulary()[fact.name].unit if value is not None else ""
    right = Reading(fact.name, value, fact.observed_at, unit, fact.source, reason)
    _check([right])
    row = Fact.add(
        **written(fact, by),
        name=fact.name,
        value=value,
        unit=unit,
        observed_at=fact.observed_at,
        source=fact.source,
        reason=reason,
        session=fact.session,
        corrects=fact,
    )
    _check_body(fact.patient, [right])
    audit.record(by=by, action="fact.correct", about=row, corrects=str(fact.pk))
    ask_after_a_fact(of=row, names=[row.name], by=by)
    return row
