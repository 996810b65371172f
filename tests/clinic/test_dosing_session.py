"""The hour: what is written when a nurse taps, what the monitor's readings open and close."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.db.utils import ProgrammingError

from clinic.audit.models import Event
from clinic.course.actions import Refused
from clinic.course.models import Fact
from clinic.database import now
from clinic.dosing import actions, live, queries
from clinic.dosing.models import Alarm, Device, Infusion, Observation, SessionEvent
from clinic.people import access
from kap.observation import Observation as Reading
from tests import world
from tests.clinic import hour
from tests.clock import Clock

MONITOR = hour.MONITOR


@pytest.fixture
def bob(running: hour.Hour) -> Iterator[access.Author]:
    """Bob acting, in a transaction of hers."""
    assert running
    with access.acting(world.author("bob")) as by:
        yield by


def audited() -> list[str]:
    """The audit log's actions, oldest first."""
    return list(Event.objects.order_by("id").values_list("action", flat=True))


def read(session: object, by: access.Author, seconds_ago: float = 0, **values: int) -> None:
    """Let the monitor read values now or so many seconds ago."""
    at = now() - timedelta(seconds=seconds_ago)
    units = {"systolic": "mm[Hg]", "diastolic": "mm[Hg]", "heart_rate": "/min", "spo2": "%"}
    seen = [
        Reading(name, Decimal(value), units[name], observed_at=at, received_at=now())
        for name, value in values.items()
    ]
    actions.record_observations(session=session, seen=seen, by=by)  # type: ignore[arg-type]


# -- the log --------------------------------------------------------------------------------------


def test_pause_resume_and_stop_give_the_delivered_dose(
    running: hour.Hour, bob: access.Author, clock: Clock
) -> None:
    clock.step(10 * 60)
    actions.pause(session=running.session, id=uuid4(), by=bob)
    clock.step(5 * 60)
    actions.resume(session=running.session, id=uuid4(), by=bob)
    clock.step(10 * 60)
    actions.stop(session=running.session, id=uuid4(), by=bob)
    row = Infusion.objects.get(session=running.session)
    assert running.order is not None
    half = running.order.dose_ug // 2
    assert row.state == "stopped"
    assert abs(row.delivered_ug - half) < running.order.dose_ug // 200  # pauses do not count
    assert {"log.paused", "log.resumed", "log.stopped"} <= set(audited())


def test_fold_row_and_facts_say_the_same(
    running: hour.Hour, bob: access.Author, clock: Clock
) -> None:
    clock.step(22 * 60)
    actions.stop(session=running.session, id=uuid4(), by=bob)
    row, at = Infusion.objects.get(session=running.session), now()
    state = live.fold_of(running.session, running.order)
    assert (row.started_at, row.stopped_at) == (state.started_at, state.clock_stop)
    assert row.delivered_ug == state.delivered_ug(at)
    assert queries.untold(running.session, at) == []
    told = {
        fact.name: fact.value
        for fact in Fact.objects.filter(patient=running.session.patient, source="record").order_by(
            "observed_at", "recorded_at"
        )
    }
    assert told["dosed_before"] is True
    assert datetime.fromisoformat(told["last_start"]) == row.started_at
    assert datetime.fromisoformat(told["last_stop"]) == row.stopped_at
    assert datetime.fromisoformat(told["dose"]) == row.started_at


def test_the_same_line_again_changes_nothing(running: hour.Hour, bob: access.Author) -> None:
    key = uuid4()
    first = actions.say(session=running.session, id=key, text="vomiting", by=bob)
    count = SessionEvent.objects.count()
    again = actions.say(session=running.session, id=key, text="vomiting", by=bob)
    assert again.pk == first.pk
    assert SessionEvent.objects.count() == count


def test_a_stop_is_written_even_where_it_does_not_fit(
    running: hour.Hour, bob: access.Author
) -> None:
    actions.emergency(session=running.session, id=uuid4(), by=bob)
    actions.stop(session=running.session, id=uuid4(), by=bob)
    state = live.fold_of(running.session, running.order)
    assert state.phase.value == "stopped"
    assert state.anomalies
    with pytest.raises(Refused):
        actions.resume(session=running.session, id=uuid4(), by=bob)


def test_an_emergency_after_the_stop_moves_no_clock(
    running: hour.Hour, bob: access.Author, clock: Clock
) -> None:
    actions.stop(session=running.session, id=uuid4(), by=bob)
    before = Infusion.objects.get(session=running.session).stopped_at
    clock.step(600)
    actions.emergency(session=running.session, id=uuid4(), by=bob)
    assert Infusion.objects.get(session=running.session).stopped_at == before
    assert "session.emergency" in audited()


def test_what_was_said_is_taken_back_by_a_correction_and_stays_readable(
    running: hour.Hour, bob: access.Author
) -> None:
    line = actions.say(session=running.session, id=uuid4(), text="asleep", by=bob)
    actions.undo(session=running.session, id=uuid4(), target=line, by=bob)
    shown = {row["row"].pk: row for row in live.Live(running.session, now()).log}
    assert shown[line.pk]["is_corrected"]


def test_a_start_cannot_be_taken_back_in_one_tap(running: hour.Hour, bob: access.Author) -> None:
    started = SessionEvent.objects.get(session=running.session, kind="started")
    with pytest.raises(Refused):
        actions.undo(session=running.session, id=uuid4(), target=started, by=bob)


@pytest.mark.parametrize(
    "table", ["dosing_observation", "dosing_sessionevent", "course_decision", "audit_event"]
)
@pytest.mark.parametrize("change", ["UPDATE {} SET recorded_at = now()", "DELETE FROM {}"])
def test_what_is_written_cannot_be_changed_or_removed(
    running: hour.Hour, bob: access.Author, table: str, change: str
) -> None:
    read(running.session, bob, heart_rate=80)
    with pytest.raises(ProgrammingError), connection.cursor() as cursor:
        cursor.execute(change.format(table))


# -- readings and alarms --------------------------------------------------------------------------


def test_a_high_pressure_opens_an_alarm_that_is_acknowledged_and_closes(
    running: hour.Hour, bob: access.Author, clock: Clock
) -> None:
    read(running.session, bob, systolic=172, diastolic=98)
    [row] = live.Live(running.session, now()).alarms
    assert (row.level, row.marks, row.is_sounding) == ("amber", "**", True)
    assert row.text == "SYS 172 ≥ 160 mmHg"
    actions.acknowledge(session=running.session, signal=row.signal, by=bob)
    [row] = live.Live(running.session, now()).alarms
    assert not row.is_sounding
    assert row.silent_ms > 110_000
    clock.step(300)
    read(running.session, bob, systolic=124, diastolic=80)
    assert live.Live(running.session, now()).alarms == []
    kinds = SessionEvent.objects.filter(session=running.session).values_list("kind", flat=True)
    assert {"alarm_raised", "alarm_acknowledged", "alarm_closed"} <= set(kinds)
    assert live.fold_of(running.session, running.order).alarms == {}


def test_a_normal_pressure_opens_none(running: hour.Hour, bob: access.Author) -> None:
    read(running.session, bob, systolic=128, diastolic=80, heart_rate=78, spo2=97)
    assert live.Live(running.session, now()).alarms == []


def test_twenty_per_cent_above_the_baseline_is_an_advisory(
    running: hour.Hour, bob: access.Author
) -> None:
    read(running.session, bob, systolic=146, diastolic=80)  # the mean before was 121
    [row] = live.Live(running.session, now()).alarms
    assert row.level == "advisory"


def test_silence_is_seen_by_the_watch_and_ends_when_the_monitor_speaks(
    running: hour.Hour, bob: access.Author, clock: Clock
) -> None:
    association = bound(running, bob)
    at = now()
    seen = [Reading("heart_rate", Decimal(80), "/min", observed_at=at, received_at=at)]
    actions.record_observations(session=running.session, seen=seen, by=bob, association=association)
    actions.tick_alarms(by=bob)
    assert live.Live(running.session, now()).alarms == []
    clock.step(11)
    actions.tick_alarms(by=bob)
    [row] = live.Live(running.session, now()).alarms
    assert (row.level, row.marks) == ("technical", "!!")
    assert live.Live(running.session, now()).tile("heart_rate").shown == "--"
    at = now()
    seen = [Reading("heart_rate", Decimal(80), "/min", observed_at=at, received_at=at)]
    actions.record_observations(session=running.session, seen=seen, by=bob, association=association)
    actions.tick_alarms(by=bob)
    assert live.Live(running.session, now()).alarms == []


def bound(running: hour.Hour, by: access.Author) -> object:
    """Bind the room's monitor to Marie."""
    if not Device.objects.filter(sender=MONITOR).exists():
        hour.owner_adds_device(MONITOR)
    return actions.bind(
        session=running.session,
        device=Device.objects.get(sender=MONITOR),
        mrn=running.enrolment.mrn,
        birth_date=running.session.patient.birth_date,
        key=uuid4(),
        by=by,
    )


def test_a_monitor_is_bound_only_after_two_identifiers_agree(
    running: hour.Hour, bob: access.Author
) -> None:
    hour.owner_adds_device(MONITOR)
    device = Device.objects.get(sender=MONITOR)
    born = running.session.patient.birth_date
    for mrn, birth_date in (("TOR-99999", born), (running.enrolment.mrn, born + timedelta(days=1))):
        with pytest.raises(Refused):
            actions.bind(
                session=running.session,
                device=device,
                mrn=mrn,
                birth_date=birth_date,
                key=uuid4(),
                by=bob,
            )
    assert queries.bound_to(running.session) is None
    assert bound(running, bob)


def test_a_set_typed_twice_is_stored_once(running: hour.Hour, bob: access.Author) -> None:
    key = uuid4()
    for _ in range(2):
        actions.record_set(
            session=running.session, values={"heart_rate": Decimal(88)}, key=key, by=bob
        )
    assert Observation.objects.filter(session=running.session).count() == 1


def test_scores_become_readings_lines_and_facts(running: hour.Hour, bob: access.Author) -> None:
    actions.score(session=running.session, values={"moaas": 5, "nausea": 4}, key=uuid4(), by=bob)
    names = Fact.objects.filter(session=running.session).values_list("name", flat=True)
    assert {"moaas", "nausea"} <= set(names)
    assert SessionEvent.objects.filter(session=running.session, kind="scored").count() == 2
    [row] = live.Live(running.session, now()).alarms  # nausea 4 is an advisory
    assert row.signal == "nausea"


def test_a_device_message_has_one_audit_row(running: hour.Hour, bob: access.Author) -> None:
    before = len(audited())
    read(running.session, bob, systolic=120, diastolic=80, heart_rate=70)
    assert audited()[before:] == ["observation.record"]
    assert Alarm.objects.filter(session=running.session).exists()


def test_a_monitor_in_use_or_of_another_site_is_not_bound(
    running: hour.Hour, bob: access.Author
) -> None:
    bound(running, bob)
    hour.owner_adds_device("OTHER^1^EUI-64", site="vancouver")
    other = hour.second_session(running)
    born = running.session.patient.birth_date
    for device in (Device.objects.get(sender=MONITOR), Device(site_id="vancouver", sender="x")):
        with pytest.raises(Refused):
            actions.bind(
                session=other.session,
                device=device,
                mrn=running.enrolment.mrn,
                birth_date=born,
                key=uuid4(),
                by=bob,
            )


def test_a_reading_the_vocabulary_refuses_opens_no_gate(
    running: hour.Hour, bob: access.Author
) -> None:
    read(running.session, bob, systolic=120, spo2=40)  # facts.toml keeps 50 to 100
    told = Fact.objects.filter(session=running.session, source="device")
    assert set(told.values_list("name", flat=True)) == {"systolic_session"}
    assert live.latest(running.session)["spo2"].value == 40


def test_the_record_lists_each_cuff_with_the_numbers_of_that_moment(
    running: hour.Hour, bob: access.Author
) -> None:
    from clinic.dosing import record_page

    read(running.session, bob, seconds_ago=2, heart_rate=81)
    read(running.session, bob, systolic=130, diastolic=82)
    [cuff] = record_page.cuffs(live.Live(running.session, now()))
    assert (cuff["nibp"], cuff["heart_rate"]) == ("130/82", "81")
    assert "spo2" not in cuff
