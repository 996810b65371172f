"""One invented person's way through the clinic, written by the same actions as a real one's.

Nothing is inserted past a gate: each dose is ordered, checked, started, watched and discharged on a
stepped clock, with the facts that the gates ask for. What the gates ask and the person's chart
holds is told again on the day, as staff would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import uuid4

from clinic.audit.author import Author
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Reading
from clinic.course.consents import wording
from clinic.course.models import Course, Referral, Session
from clinic.demo.clock import SteppedClock
from clinic.demo.places import Places
from clinic.dosing import actions as dosing
from clinic.dosing import queries as dosing_queries
from clinic.dosing.models import Device
from clinic.intake import actions as intake
from clinic.outcomes import actions as outcomes
from clinic.people.models import Site
from clinic.portal import actions as portal
from clinic.therapy import actions as therapy
from kap import synth
from kap.chart import Chart
from kap.course import Dose
from kap.facts import vocabulary
from kap.observation import vitals
from kap.protocol import load
from kap.synth import Person
from kap.trace import device_trace
from kap.verdict import Verdict

DRAFT = dosing_queries.Draft(
    mg_per_kg=Decimal("0.5"), minutes=40, vial_mg_per_ml=Decimal(50), final_ml=Decimal(50)
)
# A number of the demonstration's own: minutes between the sets a nurse writes down.
SET_EVERY = timedelta(minutes=10)
LONGEST_TRACE_S = 41 * 60
# Minutes after the stop, and how far the pressure still is above what it was before (mmHg).
SETTLING = ((15, 6), (40, 2), (62, -2))


class Life:
    """The steps of one person, in order; each sets the clock to when it happened."""

    def __init__(self, person: Person, places: Places, clock: SteppedClock, now: datetime) -> None:
        self.person, self.places, self.clock, self.now = person, places, clock, now
        self.site = Site.objects.get(code=person.site)
        self.course: Course
        self.told: dict[str, tuple[Any, str]] = {}

    def by(self, role: str, place: int = 0) -> Author:
        """Return the person's clinic in one of its roles."""
        return self.places.author(self.places.who(self.person.site, role, place=place))

    def at(self, moment: datetime) -> datetime:
        """Set the clock, never past now, and return the instant."""
        moment = min(moment, self.now)
        self.clock.set(moment)
        return moment

    # -- before the first dose -------------------------------------------------------------------

    def live(self) -> None:
        """Write the whole way, as far as this person's phase goes."""
        referral = self.refer()
        if self.person.phase == "referred":
            return
        self.open(referral)
        self.intake()
        self.answer_until(self.first_dose or self.now)
        self.decide()
        if self.person.consented_at is not None:
            self.consent()
        self.prepare()
        for number, dose in enumerate(self.person.doses, start=1):
            self.dose(number, dose)
        self.follow_up()

    @property
    def first_dose(self) -> datetime | None:
        """Return the start of the first dose, if there is one."""
        return self.person.doses[0].started_at if self.person.doses else None

    def refer(self) -> Referral:
        """Answer the self-check and agree to be called."""
        at = self.at(self.person.referred_at)
        asked = load(portal.PROTOCOL).selfcheck_facts
        facts = {
            name: _moved(readings, at, "self")
            for name, readings in self.person.chart["facts"].items()
            if name in asked
        }
        by = Author("self", "", "patient", (self.site.code,), purpose="referral")
        return portal.refer(
            site=self.site,
            key=uuid4(),
            name=self.person.name,
            email=f"{self.person.id}@example.org",
            phone="",
            language=self.person.language,
            message="",
            chart=Chart.from_json({"facts": facts}),
            by=by,
        )

    def open(self, referral: Referral) -> None:
        """Have the coordinator open patient and course."""
        self.at(self.person.referred_at + timedelta(days=1))
        self.course = intake.open_patient(
            referral=referral,
            legal_name=self.person.name,
            preferred_name=self.person.given,
            birth_date=self.person.birth_date,
            language=self.person.language,
            indication=self.person.indication,
            by=self.by("coordinator"),
        )

    def intake(self) -> None:
        """Record the chart as it was told: before the first dose, and again lately."""
        # In the evening: on a dosing day's morning its pressures would stand between the day's own.
        evening = (self.now - timedelta(days=2)).astimezone(self.site.tz).replace(hour=17, minute=0)
        times = [evening if self.person.doses else self.now - timedelta(days=2)]
        if self.person.consented_at is not None:
            times.insert(0, min(self.person.consented_at, self.now) - timedelta(days=3))
        for when in times:
            at = self.at(when)
            self._tell_chart(at)
            self._review_lists(at)

    def _tell_chart(self, at: datetime) -> None:
        readings = []
        for name, rows in self.person.chart["facts"].items():
            if name == "birth_date":
                continue
            for place, row in enumerate(reversed(rows)):
                self.told.setdefault(name, (row["value"], row.get("unit", "")))
                when = at - place * timedelta(minutes=10)
                readings.append(_reading(name, row["value"], when, row.get("unit", "")))
        course_actions.record_facts(of=self.course, readings=readings, by=self.by("nurse"))

    def _review_lists(self, at: datetime) -> None:
        for kind in ("conditions", "medications", "allergies", "antidepressant_trials"):
            known = self.person.chart.get(kind)
            if known is None:
                continue
            course_actions.review_list(
                of=self.course,
                kind=kind,
                complete=known["complete"],
                by=self.by("nurse"),
                items=[dict(item) for item in known["items"]],
                reviewed_at=at,
            )

    def decide(self) -> None:
        """Have the prescriber decide as the answer allows."""
        at = self.at(self.person.consented_at or self.now - timedelta(days=1))
        if self.person.phase != "screening-unknown":
            self._tell(course_queries.verdict(self.course, "screening", at)[0])
        verdict, chart = course_queries.verdict(self.course, "screening", at)
        if self.person.phase in ("screening-unknown", "eligible"):
            return  # waits on the prescriber's page
        fits = verdict.answer in intake.ACCEPTABLE
        intake.decide(
            course=self.course,
            kind="accepted" if fits else "declined",
            verdict=verdict,
            chart=chart,
            reason="Fits the protocol; discussed with the person."
            if fits
            else "Not for this person now; explained, referred back with a letter.",
            by=self.by("prescriber"),
        )

    def consent(self) -> None:
        """Sign the treatment consent, in the person's language."""
        assert self.person.consented_at is not None
        self.at(self.person.consented_at)
        text, language = wording("treatment"), self.person.language
        course_actions.sign_consent(
            course=self.course,
            scope="treatment",
            version=text.version,
            language=language,
            text=text.text[language],
            signer=self.person.name,
            by=self.by("nurse"),
            teach_back="I stay until I am clear, somebody takes me home, and I do not drive until"
            " tomorrow.",
        )

    def prepare(self) -> None:
        """Plan the preparation session and, where it is past, sign its note."""
        if self.person.consented_at is None:
            return
        when = min(self.person.consented_at, self.now) + timedelta(days=1)
        planned = self._plan("preparation", when, 1, minutes=75)
        if when < self.now:
            self.at(when + timedelta(hours=2))
            self._note(planned, intention="To meet the fear without leaving.")

    # -- a dose ----------------------------------------------------------------------------------

    def dose(self, number: int, dose: Dose) -> None:
        """Order, check, start, watch, stop, discharge; then integrate."""
        # In UTC: minutes before and after a dose are no minutes of a wall when the clocks change.
        start = dose.started_at.astimezone(UTC)
        stopped = dose.stopped_at and dose.stopped_at.astimezone(UTC)
        session = self._plan("dosing", start, number, minutes=150, room=self._room(dose))
        self._morning(session, start)
        self.at(start - timedelta(minutes=4))
        order = dosing.sign_order(
            session=session, draft=DRAFT, key=uuid4(), by=self.by("prescriber")
        )
        self.at(start)  # the interval counts to the second check
        self._tell(dosing_queries.start_gate(session, order, self._clock()).verdict, session)
        self._meet(dosing_queries.start_gate(session, order, self._clock()))
        authorization = dosing.authorise(
            session=session,
            order=order,
            second=self.places.staff[self.places.who(self.person.site, "nurse", place=1)],
            rate_ml_h=Decimal(order.rate_ul_h) / 1000,
            key=uuid4(),
            by=self.by("nurse"),
        )
        if stopped is None:
            self._bind(session)
        dosing.start_infusion(authorization=authorization, key=uuid4(), by=self.by("nurse"))
        self._watch(session, start, stopped or self.now - timedelta(minutes=1))
        if stopped is not None and stopped < self.now:
            self.at(stopped)
            dosing.stop(session=session, id=uuid4(), by=self.by("nurse"))
            self._recover(session, stopped)
            self._integrate(number, start)

    def _room(self, dose: Dose) -> str:
        return (
            {"toronto": "2", "vancouver": "3"}[self.person.site]
            if dose.stopped_at is None
            else ({"toronto": "1", "vancouver": "4"}[self.person.site])
        )

    def _morning(self, session: Session, start: datetime) -> None:
        """Record what the day asks: two rested pressures, and every fact that is open."""
        for minutes in (22, 12):
            at = self.at(start - timedelta(minutes=minutes))
            readings = [
                _reading(name, self.told[name][0], at, self.told[name][1])
                for name in ("systolic", "diastolic", "heart_rate", "spo2", "weight")
                if name in self.told
            ]
            self._record(session, readings)
        self.at(start - timedelta(minutes=8))
        self._tell(dosing_queries.order_gate(session, self._clock()).verdict, session)
        self._meet(dosing_queries.order_gate(session, self._clock()))

    def _tell(
        self,
        verdict: Verdict,
        session: Session | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell again what the gate lacks and the person's chart, or the day, holds."""
        known = {
            **{name: value for name, (value, _u) in self.told.items()},
            **synth.day_of(),
            **(more or {}),
        }
        at = self._clock()
        self._record(
            session,
            [
                _reading(unknown.fact, known[unknown.fact], at, vocabulary()[unknown.fact].unit)
                for unknown in verdict.unknowns
                if unknown.fact in known and vocabulary()[unknown.fact].type != "list"
            ],
        )
        if any(unknown.fact in course_queries.ITEMS for unknown in verdict.unknowns):
            self._review_lists(at)

    def _record(self, session: Session | None, readings: Iterable[Reading]) -> None:
        given = list(readings)
        if given:
            course_actions.record_facts(
                of=session or self.course, session=session, readings=given, by=self.by("nurse")
            )

    def _meet(self, gate: dosing_queries.Gate) -> None:
        """Have the owners of open conditions put their names to them."""
        for _finding, condition in gate.to_do:
            role = condition.owner if condition.owner != "patient" else "nurse"
            dosing.meet_condition(gate=gate, text=condition.text, by=self.by(role))

    def _bind(self, session: Session) -> None:
        """Bind the room's monitor to the person in it."""
        device = Device.objects.get(site=self.site, room=session.room)
        dosing.bind(
            session=session,
            device=device,
            mrn=dosing_queries.mrn_of(session),
            birth_date=self.person.birth_date,
            key=uuid4(),
            by=self.by("nurse"),
        )

    def _watch(self, session: Session, start: datetime, until: datetime) -> None:
        """Write a set every ten minutes, as a calm monitor would have shown it."""
        last = int((until - start).total_seconds())
        for second in range(60, last, int(SET_EVERY.total_seconds())):
            self.at(start + timedelta(seconds=second))
            dosing.record_set(
                session=session, values=self._trace.at(second), key=uuid4(), by=self.by("nurse")
            )

    @cached_property
    def _trace(self) -> Trace:
        return Trace(int(self.person.id[-2:]), self.now)

    def _recover(self, session: Session, stopped: datetime) -> None:
        """Score, tell what the way home asks, sign, and let the person go."""
        scores = {name: Decimal(value) for name, value in synth.recovered().items()}
        for minutes, above in SETTLING:
            self.at(stopped + timedelta(minutes=minutes))
            pressures = {
                name: Decimal(self.told[name][0]) + above for name in ("systolic", "diastolic")
            }
            values = {**self._trace.at(0), **pressures, **scores}
            dosing.record_set(session=session, values=values, key=uuid4(), by=self.by("nurse"))
        if stopped + timedelta(minutes=70) > self.now:
            return
        self.at(stopped + timedelta(minutes=66))
        dosing.close_vial(
            session=session,
            key=uuid4(),
            by=self.by("nurse"),
            second=self.places.staff[self.places.who(self.person.site, "nurse", place=1)],
        )
        gate = dosing_queries.discharge_gate(session, self._clock())
        self._tell(gate.verdict, session, synth.going_home())
        dosing.discharge(session=session, key=uuid4(), by=self.by("nurse"))

    def _integrate(self, number: int, start: datetime) -> None:
        """Plan integration the next day; sign its note where it is past."""
        when = start + timedelta(days=1, hours=2)
        planned = self._plan("integration", when, number, minutes=60)
        self.answer_until(when)
        if when + timedelta(hours=1) < self.now:
            self.at(when + timedelta(hours=1))
            self._note(planned, context="The day after the dose.")

    # -- around it -------------------------------------------------------------------------------

    def follow_up(self) -> None:
        """Answer the last questionnaires and plan what is next."""
        self.answer_until(self.now)
        if self.person.phase in ("consented", "ordered", "mid-series", "integration"):
            at = self.at(self.now)
            days = 1 if self.person.phase == "ordered" else 2
            day = at.astimezone(self.site.tz).replace(hour=10, minute=0, second=0, microsecond=0)
            number = len(self.person.doses) + 1
            self._plan("dosing", day + timedelta(days=days), number, minutes=150, room="1")

    @cached_property
    def _waiting(self) -> list[synth.Filled]:
        return list(self.person.scores)

    def answer_until(self, moment: datetime) -> None:
        """Send and answer the questionnaires up to a moment."""
        while self._waiting and self._waiting[0].answered_at <= min(moment, self.now):
            filled = self._waiting.pop(0)
            self.at(max(filled.answered_at, self.person.referred_at + timedelta(days=1)))
            link, _token = outcomes.send_questionnaire(
                course=self.course, instrument_id="phq9", by=self.by("coordinator")
            )
            by = Author(f"link:{link.pk}", "", "patient", (self.site.code,))
            outcomes.answer_questionnaire(
                link=link, answers=filled.answers, language=self.person.language, by=by
            )

    def _plan(
        self, kind: str, when: datetime, number: int, *, minutes: int, room: str = ""
    ) -> Session:
        self.at(min(when, self.now) - timedelta(days=1))
        return course_actions.plan_session(
            course=self.course,
            kind=kind,
            planned_start=when,
            planned_minutes=minutes,
            number=number,
            room=room,
            by=self.by("coordinator"),
        )

    def _note(self, session: Session, **parts: str) -> None:
        therapy.sign_note(
            session=session,
            modality="talking",
            by=self.by("therapist"),
            parts={
                **parts,
                "risk": "No thoughts of suicide today; knows 9-8-8.",
                "plan": "Walk each morning; call a friend on Sunday; meet again next week.",
            },
        )

    def _clock(self) -> datetime:
        from clinic.database import now

        return now()


class Trace:
    """A calm monitor's values, second by second."""

    def __init__(self, seed: int, start: datetime) -> None:
        self._samples = list(device_trace(seed, "normal", start, LONGEST_TRACE_S))
        self._start = start

    def at(self, second: int) -> dict[str, Decimal]:
        """Return the last value of each vital up to a second of the trace."""
        until = self._start + timedelta(seconds=second)
        return {
            sample.code: sample.value
            for sample in self._samples
            if sample.at <= until and sample.code in vitals()
        }


def _moved(rows: Any, at: datetime, source: str) -> dict[str, Any]:
    last = rows[-1] if isinstance(rows, list) else rows
    return {**last, "observed_at": at.isoformat(), "source": source}


def _reading(name: str, value: Any, at: datetime, unit: str) -> Reading:
    stated = ("consent_today",)
    return Reading(name, value, at, unit=unit, source="record" if name in stated else "staff")
