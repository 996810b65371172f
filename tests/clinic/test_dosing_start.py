"""The order, the second check and the start: what opens them, and what can never happen."""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection

from clinic.audit.models import Event
from clinic.course.actions import Refused
from clinic.course.models import Decision
from clinic.database import now
from clinic.dosing import actions, queries
from clinic.dosing.actions import start as start_actions
from clinic.dosing.models import Infusion, Order, StartAuthorization
from clinic.people import access
from kap.ceilings import DoseError, ceiling_check_sql, ceilings
from tests import world
from tests.clinic import hour
from tests.clock import Clock

ONE_RUNNING = "dosing_infusion_one_running"


@pytest.fixture
def day(ready: hour.Hour) -> Iterator[hour.Hour]:
    """Marie's day, Alice acting: one transaction."""
    with access.acting(world.author("alice")):
        yield ready


# -- the order ------------------------------------------------------------------------------------


def test_an_order_is_kept_in_whole_micrograms_and_rounded_down(day: hour.Hour) -> None:
    day.ready_for_the_day()
    order = day.sign()
    assert (order.weight_g, order.minutes, order.vial_ug_per_ml) == (76_400, 40, 50_000)
    assert (order.asked_ug, order.dose_ug, order.draw_ul) == (38_200, 38_000, 760)
    assert (order.final_ul, order.rate_ul_h) == (50_000, 75_000)
    decision = Decision.objects.get(pk=order.decision_id)
    assert (decision.stage, decision.kind) == ("order", "accepted")
    assert "order.sign" in set(Event.objects.values_list("action", flat=True))


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        (queries.Draft(Decimal("3.4"), 40, Decimal(50), Decimal(50)), DoseError),  # ten times
        (queries.Draft(Decimal("0.5"), 39, Decimal(50), Decimal(50)), DoseError),  # too fast
        (queries.Draft(Decimal("0.5"), 40, Decimal(20), Decimal(50)), Refused),  # no such vial
    ],
)
def test_what_the_protocol_blocks_is_not_ordered(
    day: hour.Hour, draft: queries.Draft, error: type[Exception]
) -> None:
    day.ready_for_the_day()
    with pytest.raises(error):
        day.sign(draft)
    assert not Order.objects.exists()


def test_without_a_weight_in_date_nothing_is_ordered(day: hour.Hour, clock: Clock) -> None:
    clock.step(8 * 24 * 3600)
    with pytest.raises(Refused, match="weigh"):
        day.sign()


def test_without_an_accepted_screening_nothing_is_ordered(day: hour.Hour) -> None:
    day.ready_for_the_day()
    gate = queries.order_gate(day.session, now())
    from clinic.course.actions import decide

    decide(
        course=day.course,
        stage="screening",
        kind="declined",
        reason="no",
        by=world.author("alice"),
        verdict=gate.verdict,
        chart=gate.chart,
    )
    with pytest.raises(Refused, match="screening"):
        day.sign()


def test_a_dose_above_three_quarters_needs_another_prescriber(day: hour.Hour) -> None:
    day.ready_for_the_day()
    order = day.sign(queries.Draft(Decimal("0.8"), 40, Decimal(50), Decimal(50)))
    gate = queries.start_gate(day.session, order, now())
    assert not gate.is_open
    [(_, condition)] = [pair for pair in gate.to_do if pair[0].rule_id == "DOSE-2ND"]
    with pytest.raises(Refused, match=r"[Aa]nother prescriber"):
        actions.meet_condition(gate=gate, text=condition.text, by=world.author("alice"))
    with pytest.raises(Refused):
        actions.meet_condition(gate=gate, text=condition.text, by=world.author("bob"))
    actions.meet_condition(gate=gate, text=condition.text, by=world.author("omar"))
    assert queries.start_gate(day.session, order, now()).is_open


@pytest.mark.usefixtures("day")
def test_the_database_holds_the_ceilings_of_the_file() -> None:
    def as_read(name: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", [name]
            )
            text: str = cursor.fetchone()[0]
        return text

    held = as_read("dosing_order_ceilings")
    hour.owner_executes(
        "ALTER TABLE dosing_order ADD CONSTRAINT probe CHECK ("
        + ceiling_check_sql(ceilings())
        + ") NOT VALID"
    )
    assert held == as_read("probe").removesuffix(" NOT VALID")


def test_the_database_refuses_an_order_above_a_ceiling(day: hour.Hour) -> None:
    day.ready_for_the_day()
    order = day.sign()
    columns = [field.column for field in Order._meta.concrete_fields]
    changed = {"id": "gen_random_uuid()", "dose_ug": "80000", "asked_ug": "80000"}
    chosen = ", ".join(changed.get(column, column) for column in columns)
    with pytest.raises(IntegrityError, match="ceilings"), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO dosing_order ({', '.join(columns)})"
            f" SELECT {chosen} FROM dosing_order WHERE id = %s",
            [order.pk],
        )


# -- the second check -----------------------------------------------------------------------------


def test_an_authorization_is_built_in_one_place_only() -> None:
    calls = [
        (path.as_posix(), function.name)
        for path in Path("clinic").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and "StartAuthorization" in ast.unparse(call.func)
        and not ast.unparse(call.func).startswith("StartAuthorization.objects")
    ]
    assert calls == [("clinic/dosing/actions/start.py", "authorise")]


def test_one_person_cannot_check_twice(day: hour.Hour) -> None:
    day.ready_for_the_day()
    day.sign()
    with pytest.raises(IntegrityError, match="two_people"):
        day.check("bob", "bob")


def test_a_rate_keyed_otherwise_stops_the_start(day: hour.Hour) -> None:
    day.ready_for_the_day()
    order = day.sign()
    with pytest.raises(Refused, match=r"7\.5"):
        actions.authorise(
            session=day.session,
            order=order,
            second=world.staff("nina"),
            rate_ml_h=Decimal("7.5"),
            key=uuid4(),
            by=world.author("bob"),
        )
    assert not StartAuthorization.objects.exists()


@pytest.mark.parametrize("fact", [*world.DAY, "systolic"])
def test_what_is_not_known_keeps_the_gate_closed(day: hour.Hour, fact: str) -> None:
    told = {name: value for name, value in world.DAY.items() if name != fact}
    if fact != "systolic":
        day.tell(minutes_ago=9, systolic=122, diastolic=78)
    day.tell(minutes_ago=1, systolic=120, diastolic=78, heart_rate=68, spo2=98, **told)
    if fact == "escort_named":
        with pytest.raises(Refused):
            day.sign()
        return
    try:
        day.sign()
    except Refused:
        assert fact == "systolic"
        return
    gate = queries.start_gate(day.session, day.order, now())  # type: ignore[arg-type]
    assert not gate.is_open
    assert fact in {kind.name for kind in gate.asks({"nurse"})}
    with pytest.raises(Refused):
        day.check()


# -- the start ------------------------------------------------------------------------------------


def test_a_day_goes_from_order_to_start(day: hour.Hour) -> None:
    infusion = day.start()
    assert infusion.state == "running"
    assert infusion.auth_decided_at <= infusion.started_at < infusion.auth_expires_at
    assert {"start.authorise", "infusion.start"} <= set(
        Event.objects.values_list("action", flat=True)
    )


def test_the_same_key_starts_once(day: hour.Hour) -> None:
    day.ready_for_the_day()
    day.sign()
    authorization, key, by = day.check(), uuid4(), world.author("bob")
    first = actions.start_infusion(authorization=authorization, key=key, by=by)
    again = actions.start_infusion(authorization=authorization, key=key, by=by)
    assert first.pk == again.pk
    assert Infusion.objects.count() == 1


def test_a_fact_that_changed_after_the_check_closes_the_start(day: hour.Hour) -> None:
    day.ready_for_the_day()
    day.sign()
    authorization = day.check()
    day.tell(alcohol_24h=True)
    with pytest.raises(actions.Changed):
        actions.start_infusion(authorization=authorization, key=uuid4(), by=world.author("bob"))
    assert not Infusion.objects.exists()


def test_a_check_older_than_fifteen_minutes_starts_nothing(day: hour.Hour, clock: Clock) -> None:
    day.ready_for_the_day()
    day.sign()
    authorization = day.check()
    clock.step(15 * 60)
    with pytest.raises(Refused, match="15"):
        actions.start_infusion(authorization=authorization, key=uuid4(), by=world.author("bob"))


def test_after_a_stop_the_same_order_starts_no_more(day: hour.Hour) -> None:
    day.start()
    actions.stop(session=day.session, id=uuid4(), by=world.author("bob"))
    with pytest.raises(Refused, match="Nothing was started"):
        actions.start_infusion(
            authorization=day.authorization,
            key=uuid4(),
            by=world.author("bob"),  # type: ignore[arg-type]
        )


def test_another_site_is_not_told_and_not_seen(running: hour.Hour) -> None:
    from django.http import Http404

    with access.acting(world.author("charlie")), pytest.raises(Http404):
        queries.session_of(running.session.pk)
    with access.acting(world.author("charlie")):
        assert not Infusion.objects.exists()
        assert not Order.objects.exists()


# -- two starts at once ---------------------------------------------------------------------------


@pytest.fixture
def two_checked(ready: hour.Hour) -> list[StartAuthorization]:
    """Two second checks of two orders of one person, both live: committed."""
    with access.acting(world.author("bob")):
        ready.ready_for_the_day()
        ready.sign()
        first = ready.check()
        other = hour.second_session(ready)
        other.sign()
        return [first, other.check()]


def race(
    authorizations: list[StartAuthorization], monkeypatch: pytest.MonkeyPatch, *, locked: bool
) -> list[str]:
    """Start each in a thread of its own, together; return what each was told."""
    together, told = threading.Barrier(len(authorizations)), list[str]()
    lock = start_actions.lock_patient

    def meet(patient_id: object) -> None:
        together.wait(5)
        if locked:
            lock(patient_id)  # type: ignore[arg-type]

    def begin(authorization: StartAuthorization) -> None:
        try:
            with access.acting(world.author("bob")) as by:
                actions.start_infusion(authorization=authorization, key=uuid4(), by=by)
                if not locked:
                    time.sleep(0.5)  # both have inserted before either commits
            told.append("started")
        except Refused as refusal:
            told.append(str(refusal))
        finally:
            connection.close()

    monkeypatch.setattr(start_actions, "lock_patient", meet)
    threads = [threading.Thread(target=begin, args=[one]) for one in authorizations]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(told)


def running_count() -> int:
    with access.acting(world.author("bob")):
        return Infusion.objects.count()


def test_two_starts_at_once_give_one_infusion_and_a_neutral_text(
    two_checked: list[StartAuthorization], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = race(two_checked, monkeypatch, locked=True)
    assert running_count() == 1
    assert told == [str(actions.neutral()), "started"]


def test_without_the_lock_the_index_alone_still_holds(
    two_checked: list[StartAuthorization], monkeypatch: pytest.MonkeyPatch
) -> None:
    race(two_checked, monkeypatch, locked=False)
    assert running_count() == 1


def test_without_lock_and_index_there_would_be_two(
    two_checked: list[StartAuthorization], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the two tests above."""
    hour.owner_executes(f"DROP INDEX {ONE_RUNNING}")
    assert race(two_checked, monkeypatch, locked=False) == ["started", "started"]
    assert running_count() == 2
