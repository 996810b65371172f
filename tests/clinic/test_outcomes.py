"""The course page: what is shown to whom, planning by the site's clock, and a link that arrives."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.urls import reverse

from clinic.audit.models import Event
from clinic.course import actions as course_actions
from clinic.course.models import Course, Session, Task
from clinic.database import now
from clinic.outcomes import actions, queries
from clinic.outcomes.forms import PlanForm
from clinic.outcomes.models import QuestionnaireLink, Response
from clinic.outcomes.pictures import spec_of
from clinic.people.models import Site
from kap.outcome import Outcome
from tests import world as ground
from tests.clock import Clock
from tests.pages import hidden, key, text_of
from tests.world import World

PLAN = {"kind": "integration", "day": "2027-01-20", "time": "09:30", "minutes": "60", "room": "2"}


class Unreachable(BaseEmailBackend):
    """A mail server that cannot be reached."""

    def send_messages(self, _messages: Any) -> int:
        raise ConnectionRefusedError("a test's")


def plan(**other: str) -> dict[str, str]:
    """Return the form of a plan, with a key of its own."""
    return {**PLAN, "key": key(), **other}


def send(instrument: str = "phq9", **other: str) -> dict[str, str]:
    """Return the form that makes a link, with a key of its own."""
    return {"instrument": instrument, "key": key(), **other}


def url(view: str, world: World) -> str:
    return reverse(f"outcomes:{view}", args=[world.course.pk])


def answer(course: Course, each: int, ninth: int | None = 0) -> Response:
    """Answer a PHQ-9 in which the first eight questions are `each`."""
    link, _token = actions.send_questionnaire(
        course=course, instrument_id="phq9", by=ground.author("cora")
    )
    answers: dict[int, int | None] = dict.fromkeys(range(1, 9), each)
    response, _score = actions.answer_questionnaire(
        link=link, answers=answers | {9: ninth}, language="en", by=ground.author("bob")
    )
    return response


# -- the page --------------------------------------------------------------------------------------


def test_an_empty_course_says_what_to_do_next(world: World) -> None:
    told = text_of(world.client("bob").get(url("course", world)))
    assert "No baseline yet" in told
    assert "No session is planned." in told
    with world.acting("bob"):
        assert Event.objects.filter(action="course.view").count() == 1


def test_progress_is_the_latest_score_against_the_one_before_the_first_dose(
    world: World, clock: Clock
) -> None:
    answer(world.course, 2)
    seen = queries.progress(world.course, now())
    assert (seen.baseline is not None, seen.latest, seen.change) == (True, None, None)
    assert seen.outcome == Outcome.UNKNOWN
    course_actions.plan_session(
        course=world.course,
        kind="preparation",
        planned_start=now(),
        planned_minutes=60,
        number=1,
        by=world.author("cora"),
    )
    clock.step(3600)
    course_actions.record_facts(of=world.course, by=world.author("bob"), readings=[dose()])
    clock.step(86_400)
    answer(world.course, 1)
    seen = queries.progress(world.course, now())
    assert seen.change == -8
    assert seen.outcome == Outcome.RESPONDED
    spec = spec_of(seen, list(Session.objects.all()))
    assert [mark.kind for mark in spec.marks] == ["dose", "therapy"]
    assert "16 before the first dose, 8 now (-8)" in text_of(
        world.client("bob").get(url("course", world))
    )


def dose() -> course_actions.Reading:
    return course_actions.Reading("dose", now().isoformat(), now(), source="record")


def test_the_coordinator_sees_no_finding_of_suicide(world: World) -> None:
    answer(world.course, 1, ninth=2)
    coordinator = text_of(world.client("cora").get(url("course", world)))
    assert "Safety question" not in coordinator
    assert "uicid" not in coordinator.replace("Suicide crisis helpline", "")
    assert "Safety question" in text_of(world.client("bob").get(url("course", world)))
    response = Response.objects.get()
    page = reverse("outcomes:response", args=[response.pk])
    assert world.client("cora").get(page).status_code == 404
    assert world.client("bob").get(page).status_code == 200


def test_another_sites_course_and_answers_are_not_found(world: World) -> None:
    response = answer(world.course, 1)
    charlie = world.client("charlie")
    assert charlie.get(url("course", world)).status_code == 404
    assert charlie.post(url("plan", world), plan()).status_code == 404
    assert charlie.post(url("send", world), send()).status_code == 404
    assert charlie.get(reverse("outcomes:response", args=[response.pk])).status_code == 404


def test_a_response_is_read_item_by_item_in_the_readers_language(world: World) -> None:
    response = answer(world.course, 1, ninth=None)
    client = world.client("bob")
    page = reverse("outcomes:response", args=[response.pk])
    english = text_of(client.get(page))
    assert "not answered" in english
    assert "Several days (1)" in english
    client.cookies["django_language"] = "fr"
    french = client.get(page)
    from kap import instrument

    assert instrument.load("phq9").title["fr"] in text_of(french)
    assert "Several days" not in text_of(french)


# -- planning --------------------------------------------------------------------------------------


def test_a_session_is_planned_by_the_sites_wall_clock(world: World) -> None:
    done = world.client("cora").post(url("plan", world), plan())
    assert done.status_code == 302
    with world.acting("cora"):
        (session,) = Session.objects.all()
    assert session.planned_start.isoformat() == "2027-01-20T14:30:00+00:00"
    assert session.number == 1


@pytest.mark.parametrize(
    ("day", "time", "exists"), [("2027-03-14", "02:30", False), ("2027-03-14", "03:30", True)]
)
def test_a_time_that_the_clock_skips_is_refused(
    world: World, day: str, time: str, exists: bool
) -> None:
    told = world.client("cora").post(url("plan", world), plan(day=day, time=time))
    assert told.status_code == (302 if exists else 400)
    assert ("does not exist that day" in text_of(told)) is not exists
    with world.acting("cora"):
        assert Session.objects.exists() is exists


def test_a_plan_pressed_twice_is_one_session(world: World) -> None:
    cora, form = world.client("cora"), plan()
    first, second = (cora.post(url("plan", world), form) for _press in range(2))
    assert (first.status_code, second.status_code) == (302, 302)
    assert first["Location"] == second["Location"]
    with world.acting("cora"):
        assert Session.objects.count() == 1
        assert Event.objects.filter(action="session.plan").count() == 1


def test_a_key_with_another_plan_is_refused_and_a_new_form_plans_the_second(world: World) -> None:
    cora, form = world.client("cora"), plan()
    cora.post(url("plan", world), form)
    told = cora.post(url("plan", world), form | {"time": "11:00"}, follow=True)
    assert "sent before with other answers" in text_of(told)
    with world.acting("cora"):
        assert Session.objects.count() == 1
    cora.post(url("plan", world), plan(time="11:00", key=hidden(told, "key")))
    with world.acting("cora"):
        assert sorted(Session.objects.values_list("number", flat=True)) == [1, 2]


@pytest.mark.parametrize("view", ["plan", "send"])
def test_a_form_without_a_key_is_asked_again(world: World, view: str) -> None:
    form = {**PLAN, "instrument": "phq9"}
    assert world.client("cora").post(url(view, world), form).status_code == 400
    with world.acting("cora"):
        assert not Session.objects.exists()
        assert not QuestionnaireLink.objects.exists()


def test_a_plan_without_a_day_is_asked_again(world: World) -> None:
    assert not PlanForm({"kind": "dosing"}, site=world.site).is_valid()


def test_a_session_is_planned_in_a_room_of_the_site_or_in_none_yet(world: World) -> None:
    cora = world.client("cora")
    page = text_of(cora.get(url("course", world)))
    assert "no room yet 1 2" in page
    assert cora.post(url("plan", world), plan(room="9")).status_code == 400
    with world.acting("cora"):
        assert not Session.objects.exists()
    for room in ("1", ""):
        assert cora.post(url("plan", world), plan(room=room, key=key())).status_code == 302
    with world.acting("cora"):
        assert sorted(Session.objects.values_list("room", flat=True)) == ["", "1"]


# -- sending ---------------------------------------------------------------------------------------


def with_mail(language: str = "fr") -> Course:
    enrolment = course_actions.open_patient(
        site=Site.objects.get(pk="toronto"),
        legal_name="Luc Roy",
        birth_date=date(1990, 1, 1),
        language=language,
        email="luc@example.org",
        by=ground.author("cora"),
    )
    return course_actions.open_course(
        enrolment=enrolment, indication="TRD", by=ground.author("cora")
    )


def test_a_link_is_shown_once_to_hand_over(world: World) -> None:
    shown = world.client("cora").post(url("send", world), send())
    assert "Hand it over now" in text_of(shown)
    with world.acting("cora"):
        (link,) = QuestionnaireLink.objects.all()
    assert link.expires_at - now() > timedelta(days=6)
    assert link.token_hash not in shown.content.decode()
    assert not mail.outbox


def test_a_link_asked_for_twice_is_one_link_shown_twice_and_mailed_once(
    world: World, django_capture_on_commit_callbacks: Any
) -> None:
    course, cora, form = with_mail(), world.client("cora"), send()
    with django_capture_on_commit_callbacks(execute=True):
        presses = [cora.post(reverse("outcomes:send", args=[course.pk]), form) for _ in range(2)]
    first, second = (re.findall(r"/me/q/\w+", page.content.decode()) for page in presses)
    assert first
    assert first == second
    with world.acting("cora"):
        (link,) = QuestionnaireLink.objects.all()
    assert link.token_hash == actions.hashed(first[0].removeprefix("/me/q/"))
    assert len(mail.outbox) == 1


def test_the_same_key_makes_no_link_for_another_course_and_none_for_another_hand(
    world: World,
) -> None:
    other, form = with_mail(), send()
    world.client("cora").post(url("send", world), form)
    told = world.client("cora").post(reverse("outcomes:send", args=[other.pk]), form)
    assert told.status_code == 400
    assert "sent before with other answers" in text_of(told)
    with world.acting("cora"):
        assert not QuestionnaireLink.objects.filter(course=other).exists()
    world.client("bob").post(url("send", world), form)
    with world.acting("cora"):
        assert QuestionnaireLink.objects.filter(course=world.course).count() == 2


def test_an_instrument_that_does_not_exist_is_refused(world: World) -> None:
    assert world.client("cora").post(url("send", world), send("x")).status_code == 400


@pytest.mark.parametrize(("language", "greeting"), [("en", "Hello"), ("fr", "Bonjour")])
def test_mail_is_in_the_patients_language_and_tells_a_bystander_nothing(
    world: World, django_capture_on_commit_callbacks: Any, language: str, greeting: str
) -> None:
    course = with_mail(language)
    with django_capture_on_commit_callbacks(execute=True):
        world.client("cora").post(reverse("outcomes:send", args=[course.pk]), send())
    (message,) = mail.outbox
    assert message.to == ["luc@example.org"]
    assert message.body.startswith(greeting)
    assert "/me/q/" in message.body
    for word in ("ketamin", "kétamin", "depress", "dépress", "phq"):
        assert word not in f"{message.subject} {message.body}".lower()
    with world.acting("cora"):
        assert not Task.objects.exists()


def test_mail_that_cannot_be_sent_becomes_a_task_for_the_coordinator(
    world: World, django_capture_on_commit_callbacks: Any, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "tests.clinic.test_outcomes.Unreachable"
    course = with_mail()
    with django_capture_on_commit_callbacks(execute=True):
        shown = world.client("cora").post(reverse("outcomes:send", args=[course.pk]), send())
    assert "if that fails, the coordinator gets a task" in text_of(shown)
    with world.acting("cora"):
        (task,) = Task.objects.all()
        assert QuestionnaireLink.objects.filter(course=course).exists()
    assert (task.owner_role, task.kind, task.course_id) == ("coordinator", "mail", course.pk)
    assert "could not be sent" in text_of(world.client("cora").get(reverse("today:today")))
