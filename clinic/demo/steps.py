"""What every step of an invented person needs: a hand, a clock, and what was told so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from clinic.audit.author import Author
from clinic.course import actions as course_actions
from clinic.course import queries as course_queries
from clinic.course.actions import Reading
from clinic.course.models import Course, Session
from clinic.demo.clock import SteppedClock
from clinic.demo.places import Places
from clinic.outcomes import actions as outcomes
from clinic.people.models import Site
from clinic.therapy import actions as therapy
from kap import synth
from kap.facts import vocabulary
from kap.synth import Person
from kap.verdict import Verdict


class Steps:
    """One invented person, the clinic's people, and the stepped clock."""

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
                reading(unknown.fact, known[unknown.fact], at, vocabulary()[unknown.fact].unit)
                for unknown in verdict.unknowns
                if unknown.fact in known and vocabulary()[unknown.fact].type != "list"
            ],
        )
        if any(unknown.fact in course_queries.LISTED for unknown in verdict.unknowns):
            self._review_lists(at)

    def _record(self, session: Session | None, readings: Iterable[Reading]) -> None:
        given = list(readings)
        if given:
            course_actions.record_facts(
                of=session or self.course, session=session, readings=given, by=self.by("nurse")
            )

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


def reading(name: str, value: Any, at: datetime, unit: str) -> Reading:
    stated = ("consent_today",)
    return Reading(name, value, at, unit=unit, source="record" if name in stated else "staff")
