"""A dose of an invented person, through every gate, and the integration after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from uuid import uuid4

from clinic.course.models import Session
from clinic.demo.steps import Steps, reading
from clinic.dosing import actions as dosing
from clinic.dosing import queries as dosing_queries
from clinic.dosing.models import Device
from kap import synth
from kap.course import Dose
from kap.observation import vitals
from kap.trace import device_trace

DRAFT = dosing_queries.Draft(
    mg_per_kg=Decimal("0.5"), minutes=40, vial_mg_per_ml=Decimal(50), final_ml=Decimal(50)
)
# A number of the demonstration's own: minutes between the sets a nurse writes down.
SET_EVERY = timedelta(minutes=10)
LONGEST_TRACE_S = 41 * 60
# Minutes after the stop, and how far the pressure still is above what it was before (mmHg).
SETTLING = ((15, 6), (40, 2), (62, -2))


class Doses(Steps):
    """The steps of a dosing day; each sets the clock to when it happened."""

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
                reading(name, self.told[name][0], at, self.told[name][1])
                for name in ("systolic", "diastolic", "heart_rate", "spo2", "weight")
                if name in self.told
            ]
            self._record(session, readings)
        self.at(start - timedelta(minutes=8))
        self._tell(dosing_queries.order_gate(session, self._clock()).verdict, session)
        self._meet(dosing_queries.order_gate(session, self._clock()))

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
