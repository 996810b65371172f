"""A questionnaire by a link: answered once, kept whole; what it says of danger is acted on."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from clinic.audit.models import Event
from clinic.course import queries as course_queries
from clinic.course.actions import Refused
from clinic.course.models import Fact, Task
from clinic.database import now
from clinic.outcomes import actions, queries
from clinic.outcomes.models import Response
from clinic.people import access
from tests import world as ground
from tests.clock import Clock
from tests.pages import text_of
from tests.world import World

CALM = {f"q{number}": "1" for number in range(1, 9)} | {"q9": "0"}


@pytest.fixture
def sent(world: World) -> actions.Sent:
    """A PHQ-9 sent to Marie."""
    return send(world)


def send(world: World) -> actions.Sent:
    return actions.send_questionnaire(
        course=world.course, instrument_id="phq9", by=world.author("cora")
    )


def page(sent: actions.Sent, after: str = "/") -> str:
    return f"/me/q/{sent.token}{after}"


def kept(world: World) -> list[Response]:
    with world.acting("bob"):
        return list(Response.objects.all())


def tasks(world: World) -> list[Task]:
    with world.acting("alice"):
        return list(Task.objects.filter(kind="safety").order_by("due_at"))


# -- answering -------------------------------------------------------------------------------------


def test_answers_are_kept_with_their_score_and_facts(world: World, sent: actions.Sent) -> None:
    client = Client()
    asked = client.get(page(sent))
    assert asked.content.decode().count("<fieldset") == 10
    assert " checked" not in asked.content.decode().replace("you checked", "")
    done = client.post(page(sent), CALM)
    assert done.headers["Location"] == page(sent, "/done")
    (response,) = kept(world)
    assert (response.total, response.answers["9"], response.mode) == (8, 0, "link")
    with world.acting("bob"):
        told = dict(Fact.objects.filter(name__startswith="phq9").values_list("name", "value"))
    assert told == {"phq9": 8, "phq9_item9": 0}
    assert "Your answers are saved" in text_of(client.get(page(sent, "/done")))
    assert not tasks(world)


def test_the_same_answers_sent_again_are_kept_once(world: World, sent: actions.Sent) -> None:
    client = Client()
    client.post(page(sent), CALM)
    again = client.post(page(sent), CALM | {"q1": "3"})
    assert again.headers["Location"] == page(sent, "/done")
    assert client.get(page(sent)).headers["Location"] == page(sent, "/done")
    (response,) = kept(world)
    assert response.answers["1"] == 1


def test_two_answers_at_once_are_one(world: World, sent: actions.Sent) -> None:
    answer(sent, {9: 0})
    with pytest.raises(Refused, match="answered already"):
        answer(sent, {9: 0})
    assert len(kept(world)) == 1


def answer(sent: actions.Sent, answers: dict[int, int | None]) -> None:
    found = queries.find_link(actions.hashed(sent.token))
    assert found is not None
    by = queries.author_of_link(*found, by=ground.author("cora"))
    access.enter(by)
    actions.answer_questionnaire(link=sent.link, answers=answers, language="en", by=by)


def test_a_refusal_is_told_in_words(sent: actions.Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_given: Any) -> None:
        raise Refused("These questions were answered already. Thank you.")

    monkeypatch.setattr(actions, "answer_questionnaire", refuse)
    told = Client().post(page(sent), CALM)
    assert told.status_code == 409
    assert "answered already" in text_of(told)


def test_a_link_expires_and_says_whom_to_call(
    world: World, sent: actions.Sent, clock: Clock
) -> None:
    clock.step(timedelta(days=8).total_seconds())
    client = Client()
    for told in (client.get(page(sent)), client.post(page(sent), CALM)):
        assert told.status_code == 410
        assert "555-0100" in text_of(told)
    with pytest.raises(Refused, match="expired"):
        answer(sent, {9: 0})
    assert not kept(world)


def test_an_unknown_token_is_not_found(sent: actions.Sent) -> None:
    client = Client()
    for after in ("/", "/done"):
        assert client.get(f"/me/q/{sent.token}x{after}").status_code == 404
    assert client.post(f"/me/q/{sent.token}x/safe", {"safe": "yes"}).status_code == 404
    assert sent.token not in str(sent.link.__dict__)


def test_thanks_come_after_the_answers(sent: actions.Sent) -> None:
    assert Client().get(page(sent, "/done")).headers["Location"] == page(sent)


def test_an_answer_that_is_not_on_the_form_is_asked_again(world: World, sent: actions.Sent) -> None:
    told = Client().post(page(sent), CALM | {"q1": "7"})
    assert told.status_code == 400
    assert "Choose one of the answers shown." in text_of(told)
    assert not kept(world)


def test_the_patients_language_until_they_choose_another(world: World) -> None:
    _enrolment, course = ground.open_person("Luc Roy", language="fr")
    link = actions.send_questionnaire(course=course, instrument_id="phq9", by=world.author("cora"))
    client = Client()
    assert 'lang="fr"' in client.get(page(link)).content.decode()
    client.cookies["django_language"] = "en"
    assert 'lang="en"' in client.get(page(link)).content.decode()


# -- danger ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ninth", [{"q9": "1"}, {"q9": "3"}, {"q9": ""}])
def test_a_thought_of_death_or_no_answer_opens_a_task_and_the_care_card(
    world: World, sent: actions.Sent, ninth: dict[str, str]
) -> None:
    client = Client()
    client.post(page(sent), CALM | ninth)
    card = client.get(page(sent, "/done"))
    assert "Are you safe right now?" in text_of(card)
    assert "tel:988" in card.content.decode()
    (task,) = tasks(world)
    assert (task.owner_role, task.source) == ("prescriber", "phq9.item9")
    wait = course_queries.protocol_of(sent.link.course).parameters["safety_task_min"].value
    assert f"contacts you within {wait} minutes" in text_of(card)
    assert (task.due_at - now()).total_seconds() / 60 == pytest.approx(int(wait), abs=1)
    client.post(page(sent), CALM | ninth)
    assert len(tasks(world)) == 1


def test_the_task_and_the_answers_are_one_transaction(
    world: World, sent: actions.Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_given: Any) -> None:
        raise RuntimeError("a test's")

    with monkeypatch.context() as broken:
        broken.setattr("clinic.outcomes.actions.open_task", fail)
        with pytest.raises(RuntimeError):
            Client().post(page(sent), CALM | {"q9": "2"})
    assert not kept(world)
    with world.acting("bob"):
        assert not Fact.objects.filter(name="phq9").exists()
    Client().post(page(sent), CALM | {"q9": "2"})  # the control: unhindered, both are there
    assert (len(kept(world)), len(tasks(world))) == (1, 1)


@pytest.mark.parametrize(("said", "more"), [("yes", 0), ("unsure", 1), ("no", 1)])
def test_who_is_not_safe_is_called_now_and_once(
    world: World, sent: actions.Sent, said: str, more: int
) -> None:
    client = Client()
    client.post(page(sent), CALM | {"q9": "1"})
    for _again in range(2):
        told = client.post(page(sent, "/safe"), {"safe": said})
        assert told.status_code == 200
        assert "tel:988" in told.content.decode()
    assert len(tasks(world)) == 1 + more
    with world.acting("alice"):
        assert Event.objects.filter(action="care_card.answer").count() == 2
    assert ("Please call now." in text_of(told)) is bool(more)


def test_no_answer_to_are_you_safe_still_shows_whom_to_call(
    world: World, sent: actions.Sent
) -> None:
    told = Client().post(page(sent, "/safe"), {"safe": ""})
    assert told.status_code == 400
    assert "9-8-8" in text_of(told)
    assert not tasks(world)


def test_the_team_reads_its_task_in_its_own_language(world: World) -> None:
    _enrolment, course = ground.open_person("Luc Roy", language="fr")
    link = actions.send_questionnaire(course=course, instrument_id="phq9", by=world.author("cora"))
    client = Client()
    client.post(page(link), CALM | {"q9": "1"})
    client.post(page(link, "/safe"), {"safe": "no"})
    now_, later = tasks(world)
    assert now_.text.endswith("answered: no. Call now.")
    assert later.text.startswith("Safety question of")


@pytest.mark.usefixtures("world")
def test_help_names_each_clinic_without_signing_in() -> None:
    told = Client().get("/me/help")
    assert re.search(r"9-8-8.*555-0100", text_of(told))
