"""Today: what waits for whom, by each site's own day, and a task closed with what was done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from clinic.course import actions as course_actions
from clinic.course.models import Session, Task, TaskEntry
from clinic.database import now
from clinic.people.models import Role, Site
from clinic.today import queries
from tests import world as ground
from tests.clock import Clock
from tests.pages import text_of
from tests.world import World


def ask(world: World, role: str = "nurse", kind: str = "call") -> Task:
    return course_actions.open_task(
        of=world.course,
        course=world.course,
        kind=kind,
        text=f"For the {role}",
        owner_role=role,
        due_at=now() + timedelta(hours=1),
        by=world.author("alice"),
    )


def today(world: World, name: str) -> str:
    return text_of(world.client(name).get(reverse("today:today")))


def close(world: World, task: Task, name: str, note: str = "called her") -> str:
    url = reverse("today:close_task", args=[task.pk])
    return text_of(world.client(name).post(url, {"note": note}, follow=True))


def entries() -> list[TaskEntry]:
    with ground.acting("dee"):
        return list(TaskEntry.objects.all())


def test_an_empty_day_says_so_and_names_the_next_session(world: World) -> None:
    assert "No sessions today." in today(world, "bob")
    ground.plan_dose(world.course, in_minutes=3 * 24 * 60)
    assert "Next:" in today(world, "bob")


def test_each_role_sees_its_own_tasks_and_the_director_all(world: World) -> None:
    ask(world, "nurse")
    ask(world, "prescriber", kind="safety")
    assert "For the nurse" in today(world, "bob")
    assert "For the prescriber" not in today(world, "bob")
    assert "For the prescriber" not in today(world, "cora")
    assert "For the prescriber" in today(world, "alice")
    assert {
        "For the nurse" in today(world, "dee"),
        "For the prescriber" in today(world, "dee"),
    } == {True}
    assert "For the nurse" not in today(world, "charlie")


def test_a_day_is_the_sites_own(world: World) -> None:
    toronto, vancouver = (Site.objects.get(pk=code) for code in ("toronto", "vancouver"))
    late = datetime.fromisoformat("2026-11-25T06:00:00+00:00")
    assert queries.day_of(late, toronto)[0].isoformat() == "2026-11-25T00:00:00-05:00"
    assert queries.day_of(late, vancouver)[0].date().isoformat() == "2026-11-24"
    ground.plan_dose(world.course, in_minutes=0)
    assert "Open the session" in today(world, "bob")


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-10-31", 24), ("2026-11-01", 25), ("2027-03-14", 23)]
)
def test_a_session_at_midnight_is_of_the_day_that_begins(
    world: World, clock: Clock, day: str, hours: int
) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=world.site.tz)
    first, after = queries.day_of(start + timedelta(hours=1), world.site)
    assert (first, after.astimezone(UTC) - first.astimezone(UTC)) == (start, timedelta(hours=hours))
    clock.set(first - timedelta(days=1))
    for at in (first - timedelta(minutes=1), first, after - timedelta(minutes=1), after):
        ground.plan_dose(world.course, in_minutes=(at - now()).total_seconds() / 60)
    with world.acting("bob") as by:
        shown = queries.Today(by, first + timedelta(hours=12)).sessions
    assert [round((row.planned_start - first).total_seconds()) for row in shown] == [
        0,
        hours * 3600 - 60,
    ]


def test_a_role_held_at_one_site_shows_and_closes_no_task_at_another(world: World) -> None:
    charlie = {"staff": world.staff("charlie"), "author": world.author("ada").id}
    with world.acting("ada"):  # Vancouver's nurse is a therapist at Toronto from now on
        Role(**charlie, site_id="toronto", role="therapist", recorded_at=now()).save()
    task = ask(world, "nurse")
    assert "For the nurse" not in today(world, "charlie")
    assert "another role's" in close(world, task, "charlie")
    assert not entries()
    ask(world, "therapist")
    assert "For the therapist" in today(world, "charlie")


def test_a_referral_waits_for_the_coordinator(world: World) -> None:
    ground.refer()
    assert "1 referral waits" in today(world, "cora")
    assert "referral waits" not in today(world, "bob")


def test_a_running_infusion_is_on_top(world: World) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    session: Session = ground.plan_dose(world.course)
    ground.start(session)
    assert "In the rooms now" in today(world, "bob")


def test_a_task_is_closed_once_with_what_was_done(world: World) -> None:
    task = ask(world)
    assert "Say in a few words" in close(world, task, "bob", note="  ")
    assert not entries()
    assert "Task closed." in close(world, task, "bob")
    assert "closed at" in close(world, task, "nina")
    (entry,) = entries()
    assert (entry.note, entry.author) == ("called her", world.author("bob").id)


@pytest.mark.parametrize("name", ["cora", "tess"])
def test_nobody_closes_the_safety_task_of_another_role(world: World, name: str) -> None:
    task = ask(world, "prescriber", kind="safety")
    assert "another role's" in close(world, task, name)
    assert not entries()
    assert "Task closed." in close(world, task, "dee")


def test_a_task_of_another_site_is_not_found(world: World) -> None:
    task = ask(world)
    url = reverse("today:close_task", args=[task.pk])
    assert world.client("charlie").post(url, {"note": "done"}).status_code == 404
    assert not entries()


def test_patients_are_found_by_name_or_number(world: World) -> None:
    ground.open_person("Second Person")
    url, bob = reverse("today:patients"), world.client("bob")
    for text in ("kowal", world.enrolment.mrn):
        found = text_of(bob.get(url, {"q": text}))
        assert "Kowalski" in found
        assert "Second Person" not in found
    assert "Second Person" in text_of(bob.get(url))
    assert "Kowalski" not in text_of(bob.get(url, {"q": "nobody"}))
