"""What the phases share, written by actions: facts, lists, sessions, tasks, protocols."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from clinic.audit.models import Event
from clinic.course import actions, queries
from clinic.course.actions import Reading, Refused
from clinic.course.models import Fact, ListReview, ProtocolVersion
from clinic.database import now
from clinic.people.models import Enrolment, Site
from kap.chart import Chart
from tests import world as ground
from tests.clock import Clock
from tests.world import World


def record(world: World, *readings: Reading) -> list[Fact]:
    return actions.record_facts(of=world.course, readings=readings, by=world.author("bob"))


def chart(world: World) -> Chart:
    return queries.chart(world.patient, now())


# -- the world -------------------------------------------------------------------------------------


def test_marie_known_well_is_eligible_and_may_be_dosed(world: World) -> None:
    ground.known_well(world.course)
    verdict, _chart = queries.verdict(world.course, "screening", now())
    assert verdict.answer == "eligible", verdict.explain()
    ground.accept(world.course)
    infusion = ground.start(ground.plan_dose(world.course))
    assert infusion.discharged_at is None
    assert queries.is_dosed(world.patient)


def test_marie_of_whom_nothing_is_known_needs_more_information(world: World) -> None:
    verdict, _chart = queries.verdict(world.course, "screening", now())
    assert verdict.answer == "need_more_information"
    assert not queries.is_dosed(world.patient)


# -- patients and courses --------------------------------------------------------------------------


def test_chart_numbers_count_on_within_a_site(world: World) -> None:
    second, _course = ground.open_person("Second Person")
    assert [world.enrolment.mrn, second.mrn] == ["TOR-00001", "TOR-00002"]
    elsewhere, _course = ground.open_person("Third Person", by="charlie")
    assert elsewhere.mrn == "VAN-00001"
    with world.acting("alice"):
        assert Enrolment.objects.count() == 2


def test_the_birth_date_is_a_fact_of_the_record(world: World) -> None:
    (fact,) = Fact.objects.filter(patient=world.patient, name="birth_date")
    assert (fact.value, fact.source) == ("1988-05-17", "record")


def test_a_course_is_pinned_to_a_protocol_whose_file_it_checks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert queries.protocol_of(world.course).id == "iv-ketamine"
    monkeypatch.setattr(world.course.protocol, "digest", "0" * 64)
    with pytest.raises(ValueError, match="restore the released file"):
        queries.protocol_of(world.course)


def test_protocols_are_registered_once_and_never_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world
    before = set(ProtocolVersion.objects.values_list("name", "digest"))
    actions.register_protocols()
    assert set(ProtocolVersion.objects.values_list("name", "digest")) == before

    class Changed:
        digest = "f" * 64

    monkeypatch.setattr("clinic.course.actions.protocols.load", lambda *_name: Changed)
    with pytest.raises(Refused, match="released files never change"):
        actions.register_protocols()


# -- facts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        ({"name": "weight", "value": "70", "unit": "lb"}, "kept in 'kg'"),
        ({"name": "weight", "value": "700", "unit": "kg"}, "impossible"),
        ({"name": "weight", "value": "70"}, "has no unit"),
        ({"name": "weight", "value": None, "reason": "forgot"}, "forgot"),
        ({"name": "weight", "value": None}, "reason"),
        ({"name": "shoe_size", "value": True}, "shoe_size"),
        ({"name": "pregnant", "value": "perhaps"}, "perhaps"),
        ({"name": "pregnant", "value": True, "source": "gossip"}, "gossip"),
    ],
)
def test_what_cannot_be_true_is_refused_with_name_value_and_way_out(
    world: World, reading: dict[str, Any], said: str
) -> None:
    before = Fact.objects.count()
    good = Reading("height", "170", now(), unit="cm")
    with pytest.raises(Refused, match=said):
        record(world, good, Reading(observed_at=now(), **reading))
    assert Fact.objects.count() == before  # the good one beside it neither


@pytest.mark.parametrize(
    ("height", "weight", "possible"),
    [("200", "31.9", False), ("200", "32", True), ("100", "120", True), ("100", "120.1", False)],
)
def test_a_weight_is_refused_that_nobody_of_the_known_height_has(
    world: World, height: str, weight: str, possible: bool
) -> None:
    record(world, Reading("height", height, now(), unit="cm"))
    if possible:
        record(world, Reading("weight", weight, now(), unit="kg"))
    else:
        with pytest.raises(
            Refused, match=f"{weight} kg with height {height} cm.*record both together"
        ):
            record(world, Reading("weight", weight, now(), unit="kg"))
    told = {fact.name for fact in queries.facts_of(world.patient, now())}
    assert ("weight" in told) is possible


def test_a_wrong_height_is_no_dead_end(world: World) -> None:
    (wrong,) = record(world, Reading("height", "100", now(), unit="cm"))
    weight = Reading("weight", "130", now(), unit="kg")
    with pytest.raises(Refused, match="nobody has that body"):
        record(world, weight)
    record(world, weight, Reading("height", "178", now(), unit="cm"))
    with pytest.raises(Refused, match="nobody has that body"):
        actions.correct_fact(
            fact=Fact.objects.get(name="height", value="178"),
            value="100",
            reason="",
            by=world.author("bob"),
        )
    actions.correct_fact(fact=wrong, value="177", reason="", by=world.author("bob"))


def test_a_weight_that_jumps_from_the_last_is_unknown_until_it_is_confirmed(
    world: World, clock: Clock
) -> None:
    jump = queries.protocol_of(world.course).parameters["weight_jump"]
    assert (jump.value, jump.unit) == (5, "%")
    ground.known_well(world.course)
    for kg, known in (("70", False), ("154", False), ("153.2", True)):  # 154 lb is 70 kg
        clock.step(60)
        record(world, Reading("weight", kg, now(), unit="kg"))
        verdict, _chart = queries.verdict(world.course, "screening", now())
        reasons = {u.fact: u.reason for u in verdict.unknowns}
        assert (reasons.get("weight") is None) is known, (kg, reasons.get("weight"))


def test_nothing_is_observed_in_the_future(world: World) -> None:
    with pytest.raises(Refused, match="is in the future"):
        record(world, Reading("pregnant", False, now() + timedelta(hours=1)))
    record(world, Reading("pregnant", False, now() + timedelta(seconds=20)))  # clocks differ


def test_a_correction_takes_the_place_of_a_fact_and_keeps_it_readable(world: World) -> None:
    (wrong,) = record(world, Reading("weight", "86", now(), unit="kg"))
    right = actions.correct_fact(fact=wrong, value="68", reason="", by=world.author("bob"))
    assert [f.value for f in queries.facts_of(world.patient, now()) if f.name == "weight"] == ["68"]
    assert Fact.objects.get(pk=wrong.pk).value == "86"
    assert right.observed_at == wrong.observed_at
    void = actions.correct_fact(fact=right, value=None, reason="not_known", by=world.author("bob"))
    assert (void.unit, void.reason) == ("", "not_known")
    with pytest.raises(Refused, match="impossible"):
        actions.correct_fact(fact=void, value="6800", reason="", by=world.author("bob"))


def test_a_day_is_the_sites_day_and_not_utcs(world: World, clock: Clock) -> None:
    late = now().astimezone(world.site.tz).replace(hour=23, minute=30)
    clock.set(late)
    assert queries.moment(now(), world.site).local_date == late.date()
    assert queries.moment(now(), world.site).utc.date() == late.date() + timedelta(days=1)
    record(world, Reading("pregnant", False, now()))
    (fact,) = chart(world).facts["pregnant"]
    assert fact.observed_at.isoformat().endswith(late.isoformat()[-6:])


def test_what_is_not_a_row_may_be_asked_about_beside_the_chart(world: World) -> None:
    at = now()
    told = {"name": "pregnant", "value": True, "observed_at": at.isoformat(), "source": "staff"}
    assert "pregnant" in queries.chart(world.patient, at, told).facts
    assert "pregnant" not in chart(world).facts


# -- lists -----------------------------------------------------------------------------------------


def test_a_review_takes_the_place_of_the_one_before(world: World) -> None:
    def go_through(*codes: str) -> None:
        items = [{"system": "ICD-10", "code": code, "status": "active"} for code in codes]
        actions.review_list(
            of=world.course, kind="conditions", complete=True, items=items, by=world.author("bob")
        )

    go_through("F33.2", "I10")
    go_through("F33.2")
    kept = chart(world).conditions
    assert kept is not None
    assert [item.code for item in kept.items] == ["F33.2"]


def test_a_list_the_core_cannot_read_is_not_stored(world: World) -> None:
    with pytest.raises(Refused):
        actions.review_list(
            of=world.course,
            kind="conditions",
            complete=True,
            items=[{"system": "ICD-10", "code": "F33.2", "status": "rumoured"}],
            by=world.author("bob"),
        )
    assert not ListReview.objects.exists()


# -- sessions and tasks ----------------------------------------------------------------------------


def test_a_moved_session_is_replaced_and_stays_on_record(world: World) -> None:
    first = ground.plan_dose(world.course)
    moved = actions.plan_session(
        course=world.course,
        kind="dosing",
        planned_start=first.planned_start + timedelta(days=1),
        planned_minutes=120,
        number=1,
        replaces=first,
        by=world.author("alice"),
    )
    assert list(queries.sessions_of(world.course)) == [moved]
    assert world.course.sessions.count() == 2


def test_a_task_is_closed_once_with_what_was_done(world: World) -> None:
    task = actions.open_task(
        of=world.course,
        course=world.course,
        kind="call",
        text="call her",
        owner_role="nurse",
        due_at=now(),
        by=world.author("alice"),
    )
    assert list(queries.open_tasks(course=world.course)) == [task]
    actions.close_task(task=task, disposition="done", note="called", by=world.author("bob"))
    assert not queries.open_tasks(course=world.course).exists()
    with pytest.raises(Refused, match="was closed at"):
        actions.close_task(task=task, disposition="done", note="again", by=world.author("bob"))


def test_each_action_leaves_an_event_about_its_patient(world: World) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    ground.plan_dose(world.course)
    told = set(Event.objects.filter(patient_id=world.patient.pk).values_list("action", flat=True))
    assert told >= {
        "patient.open",
        "course.open",
        "fact.record",
        "list.review",
        "consent.sign",
        "decision.accepted",
        "session.plan",
    }


def test_a_row_of_a_course_belongs_to_the_courses_patient(world: World) -> None:
    from django.db import IntegrityError, connection, transaction

    from clinic.course.models import Task

    _enrolment, other = ground.open_person("Second Person", born=date(1970, 1, 1))
    row = {**actions.written(other, world.author("alice")), "course": world.course}
    with transaction.atomic(), pytest.raises(IntegrityError, match="same_patient"):
        Task.add(**row, kind="call", text="x", owner_role="nurse", due_at=now())
    connection.needs_rollback = False
    assert Site.objects.count() == 2
