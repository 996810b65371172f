"""Reading for the order, the start gate and the way home: the same question at three stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.shortcuts import get_object_or_404

from clinic.course import premises
from clinic.course import queries as course_queries
from clinic.course.models import Course, Decision, Fact, Override, Session, TaskEntry
from clinic.dosing.body import Body, body_of, dosing_weight_of
from clinic.dosing.models import Association, Infusion, Order
from clinic.people.premises import Premises
from kap import course as kap_course
from kap.chart import Chart, Source
from kap.chart import Fact as Told
from kap.chart_json import write_fact
from kap.dose import DosePlan, plan_infusion
from kap.facts import FactType, vocabulary
from kap.finding import Finding
from kap.protocol import Protocol
from kap.rule import RuleCondition
from kap.verdict import Answer, Lift, Verdict
from kap.weight import DosingWeight

# Facts that only the clinic's own pages may state, and the roles that state them there.
STATED_HERE = {
    "consent_today": ("nurse", "prescriber"),
    "psychiatrist_signed_discharge": ("prescriber",),
}
CONDITION = "condition"
MET = "met"


def session_of(session_id: UUID) -> Session:
    """Return a dosing session of the reader's sites, with what every page of it shows; else 404."""
    rows = Session.objects.select_related("course__protocol", "patient", "site")
    return get_object_or_404(rows, pk=session_id, kind=Session.Kind.DOSING)


def infusion_of(session: Session) -> Infusion | None:
    """Return the session's infusion, or None before a start."""
    return Infusion.objects.filter(session=session).select_related("order").first()


def order_of(session: Session) -> Order | None:
    """Return the session's order that stands: the newest, not replaced."""
    return session.orders.filter(replaced_by__isnull=True).order_by("-signed_at").first()


def bound_to(session: Session) -> Association | None:
    """Return the live association of a device with the session."""
    return session.associations.filter(released_at__isnull=True).select_related("device").first()


def mrn_of(session: Session) -> str:
    """Return the patient's chart number at the session's site."""
    number: str = session.patient.enrolments.get(site_id=session.site_id).mrn
    return number


# -- the dose -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Draft:
    """A dose as it is asked for, before it is signed."""

    mg_per_kg: Decimal
    minutes: int
    vial_mg_per_ml: Decimal
    final_ml: Decimal


def planned(draft: Draft, weight_kg: Decimal, protocol: Protocol) -> DosePlan:
    """Return the plan; the core computes it twice by independent code. Raises DoseError."""
    return plan_infusion(
        mg_per_kg=draft.mg_per_kg,
        weight_kg=weight_kg,
        minutes=draft.minutes,
        vial_mg_per_ml=draft.vial_mg_per_ml,
        final_ml=draft.final_ml,
        syringe_step_ml=number(protocol, "syringe_step"),
        pump_step_ml_h=number(protocol, "pump_step"),
    )


def number(protocol: Protocol, name: str) -> Decimal:
    """Return a parameter that is one number."""
    value = protocol.parameters[name].value
    assert isinstance(value, Decimal)  # the loader checked its unit
    return value


def plan_of(order: Order) -> DosePlan:
    """Return the plan of a signed order, from its whole micrograms, grams and microlitres."""
    draft = Draft(
        mg_per_kg=order.mg_per_kg,
        minutes=order.minutes,
        vial_mg_per_ml=Decimal(order.vial_ug_per_ml) / 1000,
        final_ml=Decimal(order.final_ul) / 1000,
    )
    protocol = course_queries.protocol_of(order.course)
    return planned(draft, Decimal(order.weight_g) / 1000, protocol)


def told(fact: Told) -> dict[str, Any]:
    """Return a fact of the core in the form that `course.queries.chart` takes."""
    return {"name": fact.name, **write_fact(fact)}


def order_facts(order: Order) -> list[dict[str, Any]]:
    """Return what the gates read of a signed order; the same each time, so that hashes agree."""
    at = order.signed_at.astimezone(order.site.tz)
    return [told(fact) for fact in plan_of(order).facts(at)]


def untold(session: Session, at: datetime) -> list[Told]:
    """Return what the clinic's own rows say and no Fact row says yet: the doses, the mass index.

    An action writes them; a page that only reads hands them to the gate (fold == Facts).
    """
    return _untold(session, at, body_of(session, at))


def _untold(session: Session, at: datetime, body: Body) -> list[Told]:
    facts = [*dose_facts(session, at), *_mass_index(session, body)]
    rows = course_queries.facts_of(session.patient, at).filter(
        source="record", name__in={fact.name for fact in facts}
    )
    said: dict[str, list[Said]] = {}
    for name, value, seen in rows.values_list("name", "value", "observed_at"):
        said.setdefault(name, []).append(Said(_instant_or(value), seen))
    return [fact for fact in facts if not _is_told(fact, said.get(fact.name, []))]


class Said(NamedTuple):
    """A value that a Fact row with source `record` holds, and when it was so."""

    value: Any
    observed_at: datetime


def dose_facts(session: Session, at: datetime) -> list[Told]:
    """Return the facts of every administration of the patient at the reader's sites."""
    zone, series = session.site.tz, kap_course.default_doses()
    rows = Infusion.objects.filter(patient_id=session.patient_id).select_related("session")
    doses = [
        kap_course.Dose(
            started_at=row.started_at.astimezone(zone),
            stopped_at=row.stopped_at.astimezone(zone) if row.stopped_at else None,
            is_booster=row.session.number > series,
            id=str(row.pk),
        )
        for row in rows.order_by("started_at")
    ]
    return list(kap_course.dose_facts(doses, series_length=series, at=at.astimezone(zone)))


def _mass_index(session: Session, body: Body) -> list[Told]:
    found = dosing_weight_of(body)
    if found is None:
        return []
    weight, row = found
    seen = row.observed_at.astimezone(session.site.tz)
    return [Told("bmi", weight.bmi, "kg/m2", observed_at=seen, source=Source.RECORD)]


def _is_told(fact: Told, said: Sequence[Said]) -> bool:
    wanted = _instant_or(write_fact(fact)["value"])
    values = [row.value for row in said]
    if fact.name == "bmi":
        return any(row.observed_at == fact.observed_at for row in said)
    return wanted in values if fact.name in ("dose", "booster_dose") else values[-1:] == [wanted]


def _instant_or(value: Any) -> Any:
    """Return a number as Decimal and an instant as such, so that two spellings are one value."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return Decimal(value)


def expiry(session: Session, at: datetime) -> datetime:
    """Return when an order signed at `at` ends: with the local day of the planned session."""
    day = max(session.planned_start, at).astimezone(session.site.tz).date()
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=session.site.tz)


# -- the gate -------------------------------------------------------------------------------------


@dataclass
class Gate:
    """One stage asked about one session, as a page shows it and an action asks it again."""

    session: Session
    stage: str
    at: datetime
    body: Body
    more: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def _asked(self) -> tuple[Verdict, Chart]:
        return course_queries.verdict(self.course, self.stage, self.at, *self.more)

    @property
    def course(self) -> Course:
        """Return the course the session belongs to."""
        return self.session.course

    @property
    def verdict(self) -> Verdict:
        """Return the answer as computed; overrides never change it."""
        return self._asked[0]

    @property
    def chart(self) -> Chart:
        """Return what was read."""
        return self._asked[1]

    @cached_property
    def met(self) -> frozenset[str]:
        """Return the conditions somebody put a name to, for this session or for the course."""
        return conditions_met(self.session)

    @cached_property
    def _live(self) -> list[Override]:
        return course_queries.live_overrides(self.course, self.at)

    @property
    def _lifts(self) -> list[Lift]:
        return [course_queries.lift_of(row) for row in self._live]

    @cached_property
    def premises(self) -> Premises:
        """Return what the site's premises need for the route on this day."""
        return premises.premises_of(self.course, self.at)

    @property
    def premises_bar(self) -> str:
        """Return why the premises close this gate; "" where they do not, or nothing is given."""
        if self.stage == "discharge" or self.premises.is_open:
            return ""
        return premises.closed_words(self.premises)

    @cached_property
    def is_open(self) -> bool:
        """Return whether one may go on, after live overrides and conditions met."""
        if self.premises_bar:
            return False
        moment = course_queries.moment(self.at, self.session.site)
        lifts = self._lifts
        if self.stage == "order":
            return self.verdict.may_pass("order", lifts, moment, self.met)
        return self.verdict.may_start(lifts, moment, self.met)

    @cached_property
    def after(self) -> Answer:
        """Return the answer after live overrides and conditions met."""
        moment = course_queries.moment(self.at, self.session.site)
        return self.verdict.after(self._lifts, moment, self.met)

    @cached_property
    def to_do(self) -> list[tuple[Finding, RuleCondition]]:
        """Return the conditions of rules that spoke and that nobody has met yet."""
        return [
            (finding, condition)
            for finding in self.verdict.findings
            for condition in finding.conditions
            if finding.state == "spoke" and condition.text not in self.met
        ]

    def liftable(self, by_roles: Iterable[str]) -> list[Finding]:
        """Return the findings a prescriber may override here and that no live override lifts."""
        if "prescriber" not in set(by_roles):
            return []
        live = {row.rule_id for row in self._live}
        return [
            finding
            for finding in self.verdict.findings
            if finding.level in ("R", "P")
            and finding.rule_id not in live
            and finding.verdict.rank > Answer.ELIGIBLE_WITH_CONDITIONS.rank
        ]

    def asks(self, roles: Iterable[str]) -> list[FactType]:
        """Return the facts that are unknown, that these roles may answer, in one input each."""
        kinds = vocabulary()
        names = dict.fromkeys(unknown.fact for unknown in self.verdict.unknowns)
        held = set(roles)
        return [
            kinds[name]
            for name in names
            if name in kinds
            and kinds[name].type != "list"
            and held & {*kinds[name].answered_by, *STATED_HERE.get(name, ())}
        ]


def conditions_met(session: Session) -> frozenset[str]:
    """Return the texts of conditions met: those of this session, and those met for the course."""
    entries = TaskEntry.objects.filter(
        task__course_id=session.course_id, task__kind=CONDITION, disposition=MET
    ).select_related("task")
    return frozenset(
        entry.task.text
        for entry in entries
        if "@" not in entry.task.source or entry.task.source.endswith(f"@{session.pk}")
    )


def screening_decision(course: Course) -> Decision | None:
    """Return the accepted (or overridden) screening Decision, if the newest one is that.

    One under a version that the course has left counts no more: screening is decided anew.
    """
    newest = course_queries.last_decision(course, "screening")
    yes = (Decision.Kind.ACCEPTED, Decision.Kind.OVERRIDDEN)
    stands = newest is not None and newest.protocol_id == course.protocol_id
    return newest if newest is not None and stands and newest.kind in yes else None


def order_gate(session: Session, at: datetime, plan: DosePlan | None = None) -> Gate:
    """Return stage `order` about this session, with a plan's facts once there is one."""
    local, body = at.astimezone(session.site.tz), body_of(session, at)
    asked = list(plan.facts(local)) if plan is not None else []
    more = [told(fact) for fact in (*_untold(session, at, body), *asked)]
    return Gate(session, "order", at, body, (*more, planned_fact(session)))


def planned_fact(session: Session) -> dict[str, Any]:
    """Return when the session is planned to start, as the interval rule reads it."""
    recorded = session.recorded_at.astimezone(session.site.tz)
    return {
        "name": "planned_start",
        "value": session.planned_start.astimezone(session.site.tz).isoformat(),
        "observed_at": recorded.isoformat(),
        "source": "record",
    }


def start_gate(session: Session, order: Order, at: datetime) -> Gate:
    """Return stage `start` about this session and its signed order."""
    body = body_of(session, at)
    more = [told(fact) for fact in _untold(session, at, body)]
    return Gate(session, "start", at, body, (*more, *order_facts(order)))


def weight_of(gate: Gate) -> tuple[DosingWeight, Fact] | None:
    """Return the dosing weight and the weight's row, or None where the gate calls it unknown."""
    if any(unknown.fact == "weight" for unknown in gate.verdict.unknowns):
        return None
    return dosing_weight_of(gate.body)


def discharge_gate(session: Session, at: datetime) -> Gate:
    """Return stage `discharge` about this session; the vitals and scores are facts by then."""
    body = body_of(session, at)
    more = tuple(told(fact) for fact in _untold(session, at, body))
    return Gate(session, "discharge", at, body, more)


def waste_ug(infusion: Infusion) -> int:
    """Return what was drawn and not given, in micrograms."""
    return infusion.order.dose_ug - (infusion.delivered_ug or 0)
