"""`clinic watch`: silence is seen, the heart beats, the chain is sealed, by one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest
from django.db import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.test.utils import CaptureQueriesContext

from clinic.audit import chain
from clinic.course.models import Session
from clinic.database import embedded, now
from clinic.dosing import actions, faults, live
from clinic.dosing.management.commands import watch
from clinic.dosing.models import Device, SessionEvent
from clinic.people import access
from kap.observation import Observation as Reading
from tests import world
from tests.clinic import hour
from tests.clock import Clock
from tests.conftest import signed_in_as


@pytest.fixture(autouse=True)
def as_the_watch(world_database: str) -> Iterator[None]:
    """What the watch does, it does as `ag_worker`: the app may not seal."""
    server = embedded()
    assert server is not None
    with signed_in_as(server, "ag_worker", world_database):
        yield


@pytest.fixture
def monitored(running: hour.Hour) -> hour.Hour:
    """Marie's infusion with a monitor that spoke once: committed."""
    hour.owner_adds_device(hour.MONITOR)
    with access.acting(world.author("bob")) as by:
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
    with access.acting(world.author("bob")):
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
    with access.acting(world.author("bob")) as by:
        actions.acknowledge(session=monitored.session, signal="stale spo2", by=by)
        [row] = live.Live(monitored.session, now()).alarms
        assert not row.is_sounding
    clock.step(121)
    watch.look()
    with access.acting(world.author("bob")):
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
        assert chain.verify(world.SITES) == []


def test_one_process_watches_at_a_time(monitored: hour.Hour, world_database: str) -> None:
    assert monitored
    server = embedded()
    assert server is not None
    with psycopg.connect(server.url("ag_app", world_database), autocommit=True) as other:
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


# -- who waits for whom ---------------------------------------------------------------------------


@contextmanager
def a_monitor_writes(session: Session, database: str) -> Iterator[None]:
    """Hold the session's log and alarms in another transaction, as a message that is stored."""
    server = embedded()
    assert server is not None
    with psycopg.connect(server.url("ag_app", database)) as other:
        other.execute("SELECT set_config('afterglow.sites', 'toronto', true)")
        other.execute("SELECT FROM dosing_loghead WHERE session_id = %s FOR UPDATE", [session.pk])
        other.execute("SELECT FROM dosing_alarm WHERE session_id = %s FOR UPDATE", [session.pk])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '300ms'")
        yield


def test_a_watch_that_changes_nothing_waits_for_no_monitor(
    monitored: hour.Hour, world_database: str
) -> None:
    watch.look()
    with a_monitor_writes(monitored.session, world_database):
        watch.look()


def test_a_watch_that_changes_an_alarm_waits_for_the_monitor(
    monitored: hour.Hour, world_database: str, clock: Clock
) -> None:
    """The other half: what the monitor is writing may be the very value that was missed."""
    clock.step(11)
    with (
        a_monitor_writes(monitored.session, world_database),
        pytest.raises(OperationalError, match="lock"),
    ):
        watch.look()


@pytest.mark.parametrize("who", ["the watch", "a hand", "a monitor"])
def test_whoever_steps_an_alarm_holds_the_log_first(
    monitored: hour.Hour, clock: Clock, who: str
) -> None:
    """Always in one order: else a watch, a monitor and a hand that meet wait in a circle."""
    clock.step(11)
    watch.look()
    with CaptureQueriesContext(connection) as asked:
        if who == "the watch":
            with access.acting(world.author("bob")) as by:
                actions.acknowledge(session=monitored.session, signal="stale spo2", by=by)
            asked.initial_queries = len(connection.queries_log)
            clock.step(121)
            watch.look()
        with access.acting(world.author("bob")) as by:
            if who == "a hand":
                actions.acknowledge(session=monitored.session, signal="stale spo2", by=by)
            elif who == "a monitor":
                at = now()
                seen = [Reading("spo2", Decimal(97), "%", observed_at=at, received_at=at)]
                actions.record_observations(session=monitored.session, seen=seen, by=by)
    locks = [
        table
        for one in asked.captured_queries
        for table in ("dosing_loghead", "dosing_alarm")
        if table in one["sql"] and ("FOR UPDATE" in one["sql"] or "INSERT INTO" in one["sql"])
    ]
    assert locks[0] == "dosing_loghead"
    assert "dosing_alarm" in locks


# -- what went wrong ------------------------------------------------------------------------------


def failed(state: str | None, kind: type[Exception] = OperationalError) -> Exception:
    """An error of Django's with psycopg's behind it."""
    error, cause = kind("MRN TOR-00001"), Exception()
    cause.sqlstate = state  # type: ignore[attr-defined]  # as psycopg's errors have it
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words", "away", "passing"),
    [
        (failed(None), "the connection to the database was lost", True, False),
        (failed("57P01"), "the connection to the database was lost", True, False),
        (failed("08006"), "the connection to the database was lost", True, False),
        (failed(None, InterfaceError), "the connection to the database was lost", True, False),
        (failed("40P01"), "two transactions waited for each other", False, True),
        (failed("55P03"), "a lock was not free in time", False, True),
        (failed("53100"), "the database's disk is full", False, False),
        (failed("53300"), "the database is out of a resource", False, False),
        (failed("23505", IntegrityError), "a constraint refused a row", False, False),
        (failed("42501", ProgrammingError), "a permission was refused", False, False),
        (failed("P0001", ProgrammingError), "the database refused", False, False),
        (ValueError("MRN TOR-00001"), "an error of the program", False, False),
    ],
)
def test_each_fault_of_the_database_has_its_own_words(
    error: Exception, words: str, away: bool, passing: bool
) -> None:
    assert faults.told(error).startswith(f"{words} (")
    assert "TOR" not in faults.told(error)  # an error's own text may hold values
    assert (faults.is_away(error), faults.is_passing(error)) == (away, passing)


@pytest.mark.parametrize(("state", "keeps"), [("23514", True), ("57P01", False)])
def test_a_fault_that_is_no_lost_connection_keeps_the_watch(
    monitored: hour.Hour,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: str,
    keeps: bool,
) -> None:
    assert monitored
    looks, asked = [], []
    hold = watch.hold_watch

    def look() -> int:
        looks.append("look")
        if len(looks) == 1:
            raise failed(state)
        return 0

    def rest(_seconds: float) -> None:
        if len(looks) >= 2:
            raise KeyboardInterrupt

    def holds() -> bool:
        asked.append("hold")
        return hold()

    monkeypatch.setattr(watch, "look", look)
    monkeypatch.setattr(watch, "hold_watch", holds)
    monkeypatch.setattr(watch.time, "sleep", rest)
    with pytest.raises(KeyboardInterrupt):
        watch.Command().handle()
    assert len(asked) == (1 if keeps else 2)
    assert state in caplog.text
    assert ("lost" in caplog.text) is not keeps
    connection.close()


# -- the day before --------------------------------------------------------------------------------


def test_the_watch_asks_again_once_a_minute_about_the_doses_of_tomorrow(
    ready: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    with access.acting(world.author("alice")):
        world.plan_dose(ready.session.course, number=2, in_minutes=24 * 60)
    asked: list[int] = []
    ask = watch.ask_again

    def counted() -> int:
        asked.append(ask())
        return asked[-1]

    seconds = iter(range(1000))
    looks: list[str] = []

    def rest(_seconds: float) -> None:
        looks.append("rest")
        if len(looks) == 61:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "ask_again", counted)
    monkeypatch.setattr(watch, "look", int)
    monkeypatch.setattr(watch.time, "sleep", rest)
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(seconds) / 2)
    with pytest.raises(KeyboardInterrupt):
        watch.Command().handle()
    assert asked == [1, 0]
    connection.close()
