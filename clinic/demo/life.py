"""One invented person's way through the clinic, written by the same actions as a real one's.

Nothing is inserted past a gate: each dose is ordered, checked, started, watched and discharged on a
stepped clock, with the facts that the gates ask for. What the gates ask and the person's chart
holds is told again on the day, as staff would.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from clinic.audit.author import Author
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.consents import wording
from clinic.course.models import Referral
from clinic.demo.doses import Doses
from clinic.demo.steps import reading
from clinic.intake import actions as intake
from clinic.portal import actions as portal
from kap.chart import Chart
from kap.protocol import load


class Life(Doses):
    """The steps of one person, in order; each sets the clock to when it happened."""

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
            with course_actions.asked_once():
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
                readings.append(reading(name, row["value"], when, row.get("unit", "")))
        course_actions.record_facts(of=self.course, readings=readings, by=self.by("nurse"))

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

    def follow_up(self) -> None:
        """Answer the last questionnaires and plan what is next."""
        self.answer_until(self.now)
        if self.person.phase in ("consented", "ordered", "mid-series", "integration"):
            at = self.at(self.now)
            days = 1 if self.person.phase == "ordered" else 2
            day = at.astimezone(self.site.tz).replace(hour=10, minute=0, second=0, microsecond=0)
            number = len(self.person.doses) + 1
            self._plan("dosing", day + timedelta(days=days), number, minutes=150, room="1")


def _moved(rows: Any, at: datetime, source: str) -> dict[str, Any]:
    last = rows[-1] if isinstance(rows, list) else rows
    return {**last, "observed_at": at.isoformat(), "source": source}
