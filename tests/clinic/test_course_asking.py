"""The same question asked again: at each occasion, and a changed answer opens one task."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from clinic.audit.author import Author
from clinic.course import actions, booked, queries
from clinic.course.actions import asking as asking_actions
from clinic.course.actions import changed
from clinic.course.models import Asking, Course, Session, Task, TaskEntry
from clinic.database import now
from clinic.dosing import queries as dosing_queries
from clinic.intake import actions as intake
from clinic.people import access
from clinic.people.models import Site
from kap.rule import Answer
from kap.verdict import Unknown
from tests import world as ground
from tests.clock import Clock
from tests.pages import text_of
from tests.world import World

A_DAY = 24 * 60


def rows(course: Course) -> list[Asking]:
    return list(course.askings.order_by("place"))


def said(course: Course) -> list[tuple[str, str, str]]:
    return [(row.occasion, row.stage, row.answer) for row in rows(course)]


def last(course: Course) -> tuple[str, str, str]:
    return said(course)[-1]


def to_do(course: Course) -> list[tuple[str, str]]:
    """The open tasks that an asking opened, by role and kind."""
    found = queries.open_tasks(course=course, source__startswith=changed.SOURCE)
    return [(task.owner_role, task.kind) for task in found]


def the_task(course: Course) -> Task:
    return queries.open_tasks(course=course, source__startswith=changed.SOURCE).get()


@pytest.fixture
def screened(world: World) -> World:
    """Marie, of whom screening knows enough; what that opened is done."""
    ground.known_well(world.course)
    return world


# -- the occasions ---------------------------------------------------------------------------------


def test_a_course_that_opens_is_asked_with_what_the_referral_told(world: World) -> None:
    assert said(world.course) == [("referral", "screening", "need_more_information")]
    referral = ground.refer(psychosis_now=True)
    with world.acting("cora") as by:
        course = intake.open_patient(
            referral=referral,
            legal_name="Rose Almeida",
            preferred_name="",
            birth_date=ground.date(1980, 1, 1),
            language="en",
            indication="TRD",
            by=by,
        )
        assert said(course) == [("referral", "screening", "contraindicated")]
        assert not to_do(course)  # the worklist of screening has it


def test_an_emergency_at_the_very_first_asking_reaches_a_prescriber(world: World) -> None:
    ground.tell(world.enrolment, si_intent=True)
    course = actions.open_course(
        enrolment=world.enrolment, indication="TRD", by=world.author("alice")
    )
    assert last(course) == ("referral", "screening", "refer_now")
    task = the_task(course)
    assert (task.owner_role, task.kind) == ("prescriber", "safety")
    wait = queries.safety_wait(course)
    assert abs(task.due_at - (now() + wait)) < timedelta(minutes=1)


def test_what_is_told_in_one_go_is_asked_about_once(world: World) -> None:
    ground.known_well(world.course, consented=False)
    assert said(world.course)[1:] == [("fact_change", "screening", "eligible")]


def test_a_booked_dose_is_asked_about_with_its_slot(screened: World) -> None:
    first = ground.plan_dose(screened.course, in_minutes=5 * A_DAY)
    row = rows(screened.course)[-1]
    assert (row.occasion, row.stage, row.session_id) == ("booking", "booking", first.pk)
    assert row.answer == "need_more_information"  # the escort
    ground.tell(screened.course, escort_named=True)
    assert last(screened.course)[2] in ("eligible", "eligible_with_conditions")
    ground.plan_dose(screened.course, number=2, in_minutes=6 * A_DAY)
    assert last(screened.course) == ("booking", "booking", "defer")
    assert rows(screened.course)[-1].began == ["INT-48-SLOT"]
    assert to_do(screened.course) == [("prescriber", "asking")]


def test_other_sessions_than_doses_are_not_asked_about(screened: World) -> None:
    before = said(screened.course)
    actions.plan_session(
        course=screened.course,
        kind="preparation",
        planned_start=now() + timedelta(days=1),
        planned_minutes=60,
        number=1,
        by=screened.author("alice"),
    )
    assert said(screened.course) == before


def test_the_start_gate_is_kept_once_on_its_day_and_again_when_it_changes(
    screened: World,
) -> None:
    ground.accept(screened.course)
    session = ground.plan_dose(screened.course)
    ground.eligible_for_start(session)
    ground.sign_order(session)
    bob, address = screened.client("bob"), reverse("dosing:start", args=[session.pk])

    def at_the_chair() -> list[str]:
        assert bob.get(address).status_code == 200
        access.enter(screened.author("bob"))
        found = Asking.objects.filter(course=screened.course, stage="start").order_by("place")
        return [row.answer for row in found]

    first = at_the_chair()
    assert len(first) == 1
    assert at_the_chair() == first
    ground.tell(session, alcohol_24h=True)
    assert at_the_chair() == [*first, "defer"]
    assert to_do(screened.course) == [("prescriber", "asking")]
    ground.tell(session, alcohol_24h=False)
    assert at_the_chair() == [*first, "defer", *first]
    assert not to_do(screened.course)
    seen = TaskEntry.objects.get(disposition="seen")
    assert (seen.task.owner_role, seen.author) == ("nurse", screened.author("bob").id)


def test_a_gate_that_is_opened_days_ahead_is_not_at_the_chair(screened: World) -> None:
    ground.accept(screened.course)
    session = ground.plan_dose(screened.course, in_minutes=3 * A_DAY)
    ground.eligible_for_start(session)
    order = ground.sign_order(session)
    gate = dosing_queries.start_gate(session, order, now())
    from clinic.dosing.actions import ask_at_the_chair

    assert ask_at_the_chair(gate=gate, by=screened.author("bob")) is None


# -- a fact that changes ---------------------------------------------------------------------------


def test_no_change_writes_nothing(screened: World) -> None:
    before = said(screened.course)
    ground.tell(screened.course, psychosis_now=False)
    ground.tell(screened.course, sips_tolerated=True)  # no stage before a dose reads it
    assert said(screened.course) == before


def test_a_worse_answer_opens_one_task_for_the_prescriber(screened: World) -> None:
    ground.tell(screened.course, psychosis_now=True)
    row = rows(screened.course)[-1]
    assert (row.answer, row.before and row.before.answer) == ("contraindicated", "eligible")
    assert "CI-PSY-A" in row.began
    assert to_do(screened.course) == [("prescriber", "asking")]
    ground.tell(screened.course, psychosis_now=True)
    assert to_do(screened.course) == [("prescriber", "asking")]


def test_a_correction_is_asked_about_and_supersedes_the_older_task(screened: World) -> None:
    ground.tell(screened.course, psychosis_now=True)
    wrong = queries.newest_facts(screened.patient, now(), "psychosis_now")["psychosis_now"]
    actions.correct_fact(fact=wrong, value=False, reason="", by=screened.author("bob"))
    row = rows(screened.course)[-1]
    assert (row.answer, row.ceased) == ("eligible", ["CI-PSY-A"])
    assert to_do(screened.course) == [("coordinator", "asking")]
    closed = TaskEntry.objects.filter(task__owner_role="prescriber").get()
    assert closed.disposition == "superseded"
    assert "eligible" in closed.note


def test_to_become_unknown_is_never_better(screened: World) -> None:
    ground.tell(screened.course, psychosis_now=True)
    ground.tell(screened.course, psychosis_now=None)
    assert last(screened.course)[2] == "need_more_information"
    assert to_do(screened.course) == [("nurse", "asking")]
    assert "hearing or seeing things" in the_task(screened.course).text


def test_a_comparison_that_takes_unknown_for_good_is_seen(
    screened: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken configuration: what is unknown counts as eligible."""
    lenient = {**{a: a.rank for a in Answer}, Answer.NEED_MORE_INFORMATION: 1}
    real = changed.turn_after

    def turn(row: Asking, verdict: Any) -> Any:
        before = row.before
        if before and lenient[verdict.answer] <= lenient[Answer(before.answer)]:
            return changed.Turn("coordinator", is_better=True)
        return real(row, verdict)

    monkeypatch.setattr(changed, "turn_after", turn)
    with pytest.raises(AssertionError):
        test_to_become_unknown_is_never_better(screened)


def test_an_emergency_is_told_once_and_closed_by_a_person_alone(screened: World) -> None:
    ground.tell(screened.course, si_intent=True)
    assert ("prescriber", "safety") in to_do(screened.course)
    ground.tell(screened.course, si_intent=False)
    assert ("prescriber", "safety") in to_do(screened.course)
    ground.tell(screened.course, si_intent=True)
    assert to_do(screened.course).count(("prescriber", "safety")) == 1


def test_new_conditions_are_the_prescribers(screened: World) -> None:
    ground.tell(screened.course, glaucoma_treated=True)
    assert last(screened.course)[2] == "eligible_with_conditions"
    assert to_do(screened.course) == [("prescriber", "asking")]


def test_a_list_that_is_gone_through_is_asked_about(screened: World) -> None:
    actions.review_list(
        of=screened.course,
        kind="conditions",
        complete=True,
        items=[{"code": "F20.0", "status": "active"}],
        by=screened.author("bob"),
    )
    assert last(screened.course) == ("fact_change", "screening", "contraindicated")
    actions.review_list(
        of=screened.course, kind="conditions", complete=False, items=[], by=screened.author("bob")
    )
    assert last(screened.course)[2] == "need_more_information"


def test_a_task_is_due_before_the_session(screened: World) -> None:
    session = ground.plan_dose(screened.course, in_minutes=A_DAY)
    ground.tell(screened.course, psychosis_now=True)
    assert the_task(screened.course).due_at == session.planned_start


@pytest.mark.parametrize(
    ("facts", "role"),
    [
        (["escort_named"], "nurse"),
        (["dosed_before"], "nurse"),
        (["psychosis_now", "psychiatrist_signed_discharge"], "prescriber"),
    ],
)
def test_who_may_record_what_is_missing_is_asked(
    facts: list[str], role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kap.facts import vocabulary

    kinds = dict(vocabulary())
    only = kinds["psychiatrist_signed_discharge"]
    kinds[only.name] = type(only)(name=only.name, type="bool", answered_by=("prescriber",))
    monkeypatch.setattr(changed, "vocabulary", lambda: kinds)
    assert changed.who_answers(Unknown(fact, "never_asked", ()) for fact in facts) == role


# -- what a role may read --------------------------------------------------------------------------


def test_a_tier_of_suicide_risk_reaches_no_task_and_no_coordinator(screened: World) -> None:
    ground.tell(screened.course, si_ideation=True, si_intent=True, si_plan=True)
    for task in Task.objects.filter(course=screened.course):
        assert "suicid" not in task.text.lower()
    address = reverse("outcomes:course", args=[screened.course.pk])
    told = text_of(screened.client("cora").get(address))
    assert "restricted reason" in told
    assert "suicid" not in told.lower()
    assert "suicid" in text_of(screened.client("alice").get(address)).lower()


def test_another_site_sees_no_asking(screened: World) -> None:
    assert rows(screened.course)
    with screened.acting("charlie"):
        assert not Asking.objects.exists()


def test_a_course_of_another_site_is_not_asked_about(screened: World) -> None:
    _there, course = ground.open_person("Person There", by="charlie")
    before = said(course)
    with screened.acting("bob"):
        ground.tell(screened.course, psychosis_now=True)
    with screened.acting("charlie"):
        assert said(course) == before


# -- the day before --------------------------------------------------------------------------------


def sweep() -> list[Asking]:
    return actions.ask_the_day_before(at=now())


def planned_at(course: Course, wall: datetime) -> Session:
    return ground.plan_dose(course, in_minutes=(wall - now()).total_seconds() / 60)


@pytest.mark.parametrize("day", ["2026-11-01", "2027-03-14", "2026-12-05"])
def test_tomorrow_is_that_of_the_sites_wall(screened: World, clock: Clock, day: str) -> None:
    zone = screened.site.tz
    first = datetime.fromisoformat(day).replace(tzinfo=zone)
    after = booked.midnight(first.date() + timedelta(days=1), screened.site)
    clock.set(booked.midnight(first.date() - timedelta(days=3), screened.site))
    planned_at(screened.course, first - timedelta(minutes=1))
    begins = planned_at(screened.course, first)
    ends = planned_at(screened.course, after - timedelta(minutes=1))
    planned_at(screened.course, after)
    eve = booked.midnight(first.date() - timedelta(days=1), screened.site)
    clock.set(eve + timedelta(minutes=1))
    found = sweep()
    assert [row.session_id for row in found] == [begins.pk, ends.pk]
    assert {(row.stage, row.occasion) for row in found} == {("day-before", "day_before")}
    assert {row.author for row in found} == {"worker:watch"}


def test_two_sweeps_are_one(screened: World) -> None:
    ground.plan_dose(screened.course, in_minutes=A_DAY)
    assert [row.occasion for row in sweep()] == ["day_before"]
    with CaptureQueriesContext(connection) as queries_made:
        assert not sweep()
    assert not [q for q in queries_made if q["sql"].startswith("INSERT")]


def test_what_went_out_of_date_by_the_eve_is_asked_of_the_nurse(
    screened: World, clock: Clock
) -> None:
    ground.tell(screened.course, escort_named=True)
    session = ground.plan_dose(screened.course, in_minutes=200 * A_DAY)
    clock.set(session.planned_start - timedelta(days=1))
    (row,) = sweep()
    assert row.answer == "need_more_information"
    access.enter(screened.author("alice"))
    assert to_do(screened.course) == [("nurse", "asking")]


def test_a_course_that_fails_stops_no_other_and_is_told(
    screened: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _second, other = ground.open_person("Second Person")
    for course in (screened.course, other):
        ground.plan_dose(course, in_minutes=A_DAY)
    real = queries.protocol_of

    def broken(course: Course) -> Any:
        if course.pk == screened.course.pk:
            raise ValueError("weight 6800 of Marie")
        return real(course)

    monkeypatch.setattr(queries, "protocol_of", broken)
    for _ in range(2):
        found = sweep()
    assert "ValueError" in caplog.text
    assert "6800" not in caplog.text
    access.enter(screened.author("alice"))
    assert Asking.objects.filter(course=other, occasion="day_before").count() == 1
    assert not found
    failed = queries.open_tasks(course=screened.course, source=f"{changed.SOURCE} failed")
    assert failed.get().owner_role == "prescriber"


def test_a_fact_is_kept_though_the_question_cannot_be_asked(
    screened: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(asking_actions, "ask", broken)
    ground.tell(screened.course, psychosis_now=True)
    facts = queries.newest_facts(screened.patient, now(), "psychosis_now")
    assert facts["psychosis_now"].value is True
    assert len(to_do(screened.course)) >= 1


def test_a_sweep_goes_on_at_the_next_one(world: World) -> None:
    assert world
    for number in range(6):
        _enrolment, course = ground.open_person(f"Person {number}")
        ground.plan_dose(course, in_minutes=A_DAY)
    assert [len(sweep()) for _ in range(3)] == [5, 1, 0]


def test_a_sweep_is_of_one_site_at_a_time(screened: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.plan_dose(screened.course, in_minutes=A_DAY)
    hands: list[Author] = []
    real = actions.day_before.ask_again

    def ask(**given: Any) -> Asking | None:
        hands.append(given["by"])
        return real(**given)

    monkeypatch.setattr(actions.day_before, "ask_again", ask)
    sweep()
    assert [by.sites for by in hands] == [("toronto",)]
    assert Site.objects.count() == 2


# -- the next dose, and the cost -------------------------------------------------------------------


def test_a_dose_that_began_is_no_longer_the_next_one(screened: World) -> None:
    ground.accept(screened.course)
    session = ground.plan_dose(screened.course)
    later = ground.plan_dose(screened.course, number=2, in_minutes=4 * A_DAY)
    ground.start(session)
    coming = booked.booked(screened.course, now())
    known = queries.chart(screened.patient, now())
    assert [row.pk for row in coming] == [session.pk, later.pk]
    assert booked.next_booked(coming, known, screened.site) == later
    assert booked.next_booked([], known, screened.site) is None


@pytest.mark.parametrize(("days", "stage"), [(0, "day-before"), (1, "day-before"), (2, "booking")])
def test_the_stage_follows_the_sessions_day(screened: World, days: int, stage: str) -> None:
    session = ground.plan_dose(screened.course, in_minutes=days * A_DAY)
    assert booked.stage_of(session, now(), screened.site) == stage


def test_an_asking_that_says_nothing_new_costs_few_statements(screened: World) -> None:
    ground.plan_dose(screened.course, in_minutes=3 * A_DAY)
    ground.tell(screened.course, psychosis_now=False)
    with CaptureQueriesContext(connection) as with_asking:
        ground.tell(screened.course, psychosis_now=False)
    with CaptureQueriesContext(connection) as without:
        ground.tell(screened.course, sips_tolerated=True)
    assert len(with_asking) - len(without) <= 9


def test_a_block_within_a_block_asks_at_the_outer_end(screened: World) -> None:
    before = len(rows(screened.course))
    with actions.asked_once():
        with actions.asked_once():
            ground.tell(screened.course, psychosis_now=True)
        assert len(rows(screened.course)) == before
    assert len(rows(screened.course)) == before + 1


def test_what_is_told_in_a_block_that_fails_is_not_asked_about(screened: World) -> None:
    before = len(rows(screened.course))
    with pytest.raises(actions.Refused), actions.asked_once():
        tell_and_fail(screened.course)
    assert len(rows(screened.course)) == before


def tell_and_fail(course: Course) -> None:
    ground.tell(course, psychosis_now=True)
    raise actions.Refused("no")
