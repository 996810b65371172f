"""`clinic watch`: silence is seen, the heart beats, the chain is sealed, by one process."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import OperationalError, connection

from clinic.audit import actions as audit
from clinic.database import now
from clinic.dosing import actions, live
from clinic.dosing.management.commands import watch
from clinic.dosing.models import Device, SessionEvent
from clinic.people import access
from kap.observation import Observation as Reading
from tests.clinic import hour
from tests.clock import Clock


@pytest.fixture
def monitored(running: hour.Hour) -> hour.Hour:
    """Marie's infusion with a monitor that spoke once: committed."""
    hour.owner_adds_device(hour.MONITOR)
    with access.acting(hour.author("alice")) as by:
        association = actions.bind(
            session=running.session,
            device=Device.objects.get(sender=hour.MONITOR),
            mrn=running.enrolment.mrn,
            birth_date=running.session.patient.birth_date,
            key=uuid4(),
            by=by,
        )
        at = now()
        seen = [Reading("spo2", Decimal(97), "%", observed_at=at, received_at=at)]
        actions.record_observations(
            session=running.session, seen=seen, by=by, association=association
        )
    return running


def alarms(session: object) -> list[str]:
    with access.acting(hour.author("alice")):
        return [row.level for row in live.Live(session, now()).alarms]  # type: ignore[arg-type]


def test_silence_becomes_an_alarm_within_the_protocols_seconds(
    monitored: hour.Hour, clock: Clock
) -> None:
    watch.look()
    assert alarms(monitored.session) == []
    clock.step(11)
    watch.look()
    assert alarms(monitored.session) == ["technical"]


def test_without_a_watch_silence_is_not_seen(monitored: hour.Hour, clock: Clock) -> None:
    """The negative control: nothing but the watch raises it."""
    clock.step(60)
    assert alarms(monitored.session) == []


def test_an_acknowledged_silence_sounds_again(monitored: hour.Hour, clock: Clock) -> None:
    clock.step(11)
    watch.look()
    with access.acting(hour.author("alice")) as by:
        actions.acknowledge(session=monitored.session, signal="stale spo2", by=by)
        [row] = live.Live(monitored.session, now()).alarms
        assert not row.is_sounding
    clock.step(121)
    watch.look()
    with access.acting(hour.author("alice")):
        [row] = live.Live(monitored.session, now()).alarms
        assert row.is_sounding
        lines = SessionEvent.objects.filter(session=monitored.session, kind="alarm_raised")
        assert [line.data["change"] for line in lines.order_by("seq")] == ["raised", "sounds_again"]


@pytest.mark.usefixtures("monitored")
def test_it_beats_and_seals() -> None:
    assert live.watch_ms(now()) is None
    sealed = watch.look()
    assert sealed > 0
    seen = live.watch_ms(now())
    assert seen is not None
    assert seen < 5000
    with access.acting(access.worker("test")):
        assert audit.verify(hour.SITES) == []


def test_one_process_watches_at_a_time(monitored: hour.Hour, hour_database: str) -> None:
    assert monitored
    import psycopg

    from clinic.database import embedded

    server = embedded()
    assert server is not None
    with psycopg.connect(server.url("ag_app", hour_database), autocommit=True) as other:
        held = other.execute("SELECT pg_try_advisory_lock(%s)", [watch.WATCH_LOCK]).fetchone()
        assert held == (True,)
        assert watch.hold_watch() is False
        assert other.execute("SELECT pg_advisory_unlock(%s)", [watch.WATCH_LOCK]).fetchone() == (
            True,
        )
    assert watch.hold_watch() is True


def test_a_restart_of_the_database_is_waited_out(
    monitored: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert monitored
    looks: list[str] = []

    def look() -> int:
        looks.append("look")
        if len(looks) == 1:
            raise OperationalError("terminating connection due to administrator command")
        return 0

    def rest(_seconds: float) -> None:
        if len(looks) >= 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "look", look)
    monkeypatch.setattr(watch.time, "sleep", rest)
    with pytest.raises(KeyboardInterrupt):
        watch.Command().handle()
    assert len(looks) == 2
    connection.close()
