"""The way home: every gate must be true; the clock counts from the last stop."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import IntegrityError, ProgrammingError, transaction

from clinic.audit.models import Event
from clinic.course import queries as course_queries
from clinic.course.actions import Refused
from clinic.course.models import Task
from clinic.database import now
from clinic.dosing import actions, live, queries
from clinic.dosing.models import Device, Infusion
from clinic.people import access
from kap.protocol import available, load
from tests import world
from tests.clinic import hour
from tests.clock import Clock

WELL = {
    "oriented": True,
    "aldrete": 10,
    "padss": 10,
    "gait_steady": True,
    "sips_tolerated": True,
    "escort_present": True,
    "instructions_understood": True,
    "next_contact_booked": True,
    "line_removed": True,
    "escort_named": True,
    "si_ideation": False,
    "si_plan": False,
    "si_intent": False,
    "si_acute": False,
    "attempt_ever": False,
    "acs_or_stroke_now": False,
    "chest_pain": False,
    "dyspnoea": False,
    "severe_headache": False,
    "visual_disturbance": False,
    "seizure": False,
    "reduced_consciousness": False,
    "focal_deficit": False,
}


@pytest.fixture
def stopped(running: hour.Hour, clock: Clock) -> Iterator[hour.Hour]:
    """Marie, stopped after 40 minutes, an hour ago; Bob acting."""
    with access.acting(world.author("bob")) as by:
        clock.step(40 * 60)
        actions.stop(session=running.session, id=uuid4(), by=by)
        clock.step(45 * 60)
        vitals = {"systolic": 122, "diastolic": 79, "heart_rate": 70, "spo2": 98}
        record(running, vitals)
        clock.step(16 * 60)
        record(running, {**vitals, "systolic": 120, "diastolic": 78})
        yield running


def record(at: hour.Hour, values: dict[str, int]) -> None:
    """Type a set."""
    actions.record_set(
        session=at.session,
        values={k: Decimal(v) for k, v in values.items()},
        key=uuid4(),
        by=world.author("bob"),
    )


def is_well(at: hour.Hour, **but: object) -> None:
    """Record what the gates ask, except what is given otherwise (None: not recorded)."""
    told = {name: value for name, value in {**WELL, **but}.items() if value is not None}
    at.tell(**told)
    actions.score(
        session=at.session,
        values={"moaas": 5, "dissociation": 0, "nausea": 0, "distress": 0},
        key=uuid4(),
        by=world.author("bob"),
    )
    actions.close_vial(
        session=at.session, second=world.staff("nina"), key=uuid4(), by=world.author("bob")
    )


def go_home(at: hour.Hour) -> Infusion:
    return actions.discharge(session=at.session, key=uuid4(), by=world.author("bob"))


def test_with_every_gate_true_the_person_goes_home(stopped: hour.Hour) -> None:
    is_well(stopped)
    gate = queries.discharge_gate(stopped.session, now())
    assert gate.is_open, gate.verdict.explain()
    row = go_home(stopped)
    assert row.discharged_at is not None
    state = live.fold_of(stopped.session, stopped.order)
    assert state.phase.value == "discharged"
    assert row.discharged_at == state.discharged_at
    assert set(state.gates) == {"vial", "discharge"}
    actions_seen = set(Event.objects.values_list("action", flat=True))
    assert {"session.discharge", "vial.close"} <= actions_seen


@pytest.mark.parametrize("fact", [name for name in WELL if name not in ("escort_named",)])
def test_an_unknown_gate_is_closed(stopped: hour.Hour, fact: str) -> None:
    known_from_before = {"si_ideation", "si_plan", "si_intent", "si_acute", "attempt_ever"}
    is_well(stopped, **{fact: None})
    gate = queries.discharge_gate(stopped.session, now())
    if gate.is_open:
        # told on the same day before the dose and still in date, or asked only with raised pressure
        assert fact in known_from_before | {
            "acs_or_stroke_now",
            "chest_pain",
            "dyspnoea",
            "severe_headache",
            "visual_disturbance",
            "seizure",
            "reduced_consciousness",
            "focal_deficit",
        }
        return
    assert fact in {unknown.fact for unknown in gate.verdict.unknowns}
    with pytest.raises(Refused):
        go_home(stopped)


def test_no_escort_is_never_overridden(stopped: hour.Hour) -> None:
    is_well(stopped, escort_present=False)
    gate = queries.discharge_gate(stopped.session, now())
    assert "GO-ESCORT" not in {finding.rule_id for finding in gate.liftable({"prescriber"})}
    with pytest.raises(Refused, match="level A"):
        actions.override(
            gate=gate,
            rule_id="GO-ESCORT",
            reason="the person lives next door",
            by=world.author("alice"),
            expires_at=queries.expiry(stopped.session, now()),
            second=world.staff("nina"),
        )


def test_before_the_hour_is_over_nobody_goes(running: hour.Hour, clock: Clock) -> None:
    with access.acting(world.author("bob")) as by:
        actions.stop(session=running.session, id=uuid4(), by=by)
        clock.step(59 * 60)
        record(running, {"systolic": 120, "diastolic": 78, "heart_rate": 70, "spo2": 98})
        is_well(running)
        with pytest.raises(Refused, match="60 minutes"):
            go_home(running)
        clock.step(61)
        assert go_home(running).discharged_at


# -- what the database holds, whatever the program asks -------------------------------------------


def let_go(at: hour.Hour, minutes: float) -> None:
    """Write a discharge past the gate, so many minutes after the stop, as a fault would."""
    row = Infusion.objects.filter(session=at.session)
    stop = row.get().stopped_at
    assert stop is not None
    with transaction.atomic():
        row.update(discharged_at=stop + timedelta(minutes=minutes))


def test_the_database_holds_the_wait_that_the_protocol_gave_this_infusion(
    stopped: hour.Hour,
) -> None:
    infusion = queries.infusion_of(stopped.session)
    assert infusion is not None
    wait = course_queries.protocol_of(stopped.course).parameters["discharge_min"]
    assert (infusion.discharge_min, wait.unit) == (wait.value, "min")
    for early in (-1.0, 0.0, float(infusion.discharge_min or 0) - 0.01):
        with pytest.raises(IntegrityError):
            let_go(stopped, early)
    with pytest.raises(IntegrityError, match="still to come"):
        let_go(stopped, 24 * 60)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        Infusion.objects.filter(session=stopped.session).update(discharge_min=1)
    let_go(stopped, float(infusion.discharge_min or 0))
    with pytest.raises(IntegrityError, match="written once"):
        let_go(stopped, float(infusion.discharge_min or 0) + 0.5)


@pytest.mark.parametrize(("protocol_id", "version"), available())
def test_the_rule_whose_override_the_database_looks_for_is_the_rule_of_the_wait(
    protocol_id: str, version: str
) -> None:
    protocol = load(protocol_id, version)
    assert "discharge_min" in protocol.rule("GO-TIME").expression.params
    assert protocol.parameters["discharge_min"].unit == "min"


def test_without_the_trigger_an_early_discharge_would_stand(
    running: hour.Hour, clock: Clock
) -> None:
    """The negative control of the test above: the other constraints do not hold it."""
    hour.owner_executes("DROP TRIGGER dosing_infusion_waits ON dosing_infusion")
    with access.acting(world.author("bob")) as by:
        actions.stop(session=running.session, id=uuid4(), by=by)
        clock.step(60)
        let_go(running, 1)
        assert Infusion.objects.get(session=running.session).discharged_at


def test_a_pump_that_was_not_stopped_discharges_nobody(running: hour.Hour, clock: Clock) -> None:
    with access.acting(world.author("bob")):
        clock.step(3600)
        row = Infusion.objects.filter(session=running.session)
        with pytest.raises(IntegrityError, match="not stopped"), transaction.atomic():
            row.update(discharged_at=now())


@pytest.mark.parametrize(
    ("start", "shown"),  # 01:25 in Toronto on the nights of both changes
    [
        (datetime(2026, 11, 1, 5, 25, tzinfo=UTC), -1),
        (datetime(2027, 3, 14, 6, 25, tzinfo=UTC), 119),
    ],
)
@pytest.mark.usefixtures("world_database")
def test_an_hour_that_the_clocks_repeat_or_skip_changes_no_wait(
    clock: Clock, start: datetime, shown: int
) -> None:
    clock.set(start)
    with access.acting(world.author("bob")) as by:
        marie = hour.marie()
        marie.start()
        clock.step(20 * 60)
        actions.stop(session=marie.session, id=uuid4(), by=by)
        stop = now()
        clock.step(59 * 60)
        assert wall(now(), marie) - wall(stop, marie) == pytest.approx(shown, abs=0.1)
        with pytest.raises(IntegrityError, match="60 minutes"):
            let_go(marie, 59)
        clock.step(60)
        let_go(marie, 60)


def wall(at: datetime, where: hour.Hour) -> float:
    """Return the minutes that a clock on the wall shows, since whenever."""
    return at.astimezone(where.session.site.tz).replace(tzinfo=UTC).timestamp() / 60


def test_a_prescriber_may_lift_the_time_with_a_reason(running: hour.Hour, clock: Clock) -> None:
    with access.acting(world.author("bob")) as by:
        actions.stop(session=running.session, id=uuid4(), by=by)
        clock.step(30 * 60)
        record(running, {"systolic": 120, "diastolic": 78, "heart_rate": 70, "spo2": 98})
        is_well(running)
        gate = queries.discharge_gate(running.session, now())
        assert [f.rule_id for f in gate.liftable({"prescriber"})] == ["GO-TIME"]
        actions.override(
            gate=gate,
            rule_id="GO-TIME",
            reason="stopped after two minutes",
            by=world.author("alice"),
            expires_at=queries.expiry(running.session, now()),
        )
        row = go_home(running)
        assert row.discharged_at is not None


def test_going_home_releases_the_monitor(stopped: hour.Hour) -> None:
    hour.owner_adds_device(hour.MONITOR)
    actions.bind(
        session=stopped.session,
        device=Device.objects.get(sender=hour.MONITOR),
        mrn=stopped.enrolment.mrn,
        birth_date=stopped.session.patient.birth_date,
        key=uuid4(),
        by=world.author("bob"),
    )
    is_well(stopped)
    go_home(stopped)
    assert queries.bound_to(stopped.session) is None


def test_leaving_against_advice_is_no_discharge_and_has_a_task(stopped: hour.Hour) -> None:
    actions.leave_against_advice(
        session=stopped.session, reason="wants to go", key=uuid4(), by=world.author("bob")
    )
    row = Infusion.objects.get(session=stopped.session)
    assert row.left_at is not None
    assert row.discharged_at is None
    assert Task.objects.filter(kind="left_against_advice", owner_role="prescriber").exists()
    with pytest.raises(Refused):
        go_home(stopped)


def test_the_vial_is_closed_by_two(stopped: hour.Hour) -> None:
    with pytest.raises(Refused):
        actions.close_vial(
            session=stopped.session,
            second=world.staff("bob"),
            key=uuid4(),
            by=world.author("bob"),
        )
