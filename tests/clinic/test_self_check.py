"""The public self-check: plain words, never «approved», and nothing stored without a yes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import reverse

from clinic.audit.models import Event
from clinic.course.models import Course, Referral
from clinic.portal import self_check
from tests import world as ground

pytestmark = pytest.mark.django_db

WELL = {
    "birth_date": "1988-05-17",
    "diagnosis_confirmed": "yes",
    "si_acute": "no",
    "aneurysm": "no",
    "intracranial_bleed": "no",
    "cv_event": "no",
    "hypertension": "no",
    "psychosis_now": "no",
    "mania_now": "no",
    "pregnant": "no",
    "ketamine_allergy": "no",
    "bladder_symptoms": "no",
}
CONTACT = {
    "name": "Rose Almeida",
    "email": "rose@example.org",
    "language": "fr",
    "message": "mornings",
    "agree": "on",
}
START = "/self-check/toronto/"
AGREE = "/self-check/toronto/agree"


@pytest.fixture
def rows() -> Iterator[None]:
    """Hold that the test wrote no row in any table."""
    before = row_counts()
    yield
    assert row_counts() == before


def row_counts() -> dict[str, int]:
    """Return how many rows each table holds, as far as the public may see; Toronto acting."""
    counts = {}
    with ground.acting("dee"), connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            cursor.execute(f"SELECT count(*) FROM {model._meta.db_table}")
            counts[model._meta.db_table] = cursor.fetchone()[0]
    return counts


def words(response: Any) -> str:
    """Return the text of a page, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def ask(client: Client, **answers: str) -> Any:
    return client.post(START, answers)


def test_the_front_page_says_what_it_is_and_leads_to_each_site(client: Client) -> None:
    page = client.get("/")
    told = words(page)
    assert "has not been shown to prevent suicide" in told
    assert "off-label" in told
    assert 'href="tel:988"' in page.content.decode()
    for site in ("toronto", "vancouver"):
        assert f'href="{reverse("self_check:start", args=[site])}"' in page.content.decode()
    assert reverse("account_login") in page.content.decode()


def test_the_front_page_sends_staff_to_today(client: Client, settings: Any) -> None:
    settings.MODE = "demo"
    client.force_login(
        ground.staff("bob").user, backend="django.contrib.auth.backends.ModelBackend"
    )
    assert client.get("/")["Location"] == "/today/"


def test_the_self_check_of_no_site_is_not_found(client: Client) -> None:
    assert client.get("/self-check/atlantis/").status_code == 404
    assert client.post("/self-check/atlantis/agree", WELL).status_code == 404


def test_each_question_is_asked_in_words_and_none_is_answered_beforehand(client: Client) -> None:
    page = client.get(START).content.decode()
    for kind in self_check.questions():
        assert f'name="{kind.name}"' in page
    assert "checked" not in page
    assert "98" in page  # 9-8-8 on every page of a patient


def test_the_questions_are_asked_in_french_too(client: Client) -> None:
    page = client.get(START, headers={"accept-language": "fr"})
    assert "Quelle est votre date de naissance?" in words(page)


@pytest.mark.parametrize(
    ("answers", "heading"),
    [
        (WELL, "Likely: it is worth talking to us"),
        ({}, "Talk to us"),  # nothing answered is nothing known, never «no»
        ({**WELL, "aneurysm": ""}, "Talk to us"),
        ({**WELL, "aneurysm": "not_known"}, "Talk to us"),
        ({**WELL, "birth_date": ""}, "Talk to us"),
        ({**WELL, "aneurysm": "yes"}, "Talk to us"),  # a risk that nobody has judged yet
        ({**WELL, "hypertension": "yes"}, "Talk to us"),
        ({**WELL, "diagnosis_confirmed": "no"}, "Talk to us"),
        ({**WELL, "intracranial_bleed": "yes"}, "Not now"),
        ({**WELL, "bladder_symptoms": "yes"}, "Not now"),
        ({**WELL, "pregnant": "yes"}, "Not now"),
        ({**WELL, "psychosis_now": "yes"}, "Not now"),
        ({**WELL, "birth_date": "2012-05-17"}, "Talk to us"),  # under age: another specialist
        ({**WELL, "si_acute": "yes"}, "Please talk to somebody now"),
        ({**WELL, "si_acute": "yes", "aneurysm": "yes"}, "Please talk to somebody now"),
        ({"si_acute": "yes"}, "Please talk to somebody now"),
    ],
)
@pytest.mark.usefixtures("rows")
def test_the_answer_is_in_plain_words_and_nothing_is_stored(
    client: Client, answers: dict[str, str], heading: str
) -> None:
    page = ask(client, **answers)
    assert page.status_code == 200
    assert f">{heading}</h1>" in page.content.decode()
    assert not re.search(r"approved|eligible|contraindicated", words(page), re.IGNORECASE)


def test_the_counter_of_rows_sees_a_referral(client: Client) -> None:
    before = row_counts()
    client.post(AGREE, {**WELL, **CONTACT, "key": str(uuid4())})
    after = row_counts()
    assert after["course_referral"] == before["course_referral"] + 1
    assert after["audit_event"] == before["audit_event"] + 1


def test_not_now_says_because(client: Client) -> None:
    told = words(ask(client, **{**WELL, "pregnant": "yes"}))
    assert "Because" in told
    assert "regnan" in told


def test_in_an_emergency_the_care_card_comes_first_and_names_no_rule(client: Client) -> None:
    page = ask(client, **{**WELL, "si_acute": "yes"}).content.decode()
    card = page.index('class="care-card"')
    assert page.index('href="tel:988"', card) < page.index("Shall we call you?")
    assert "NOW-SI" not in page
    assert "<h2>Because" not in page  # a suicide tier is nobody's reading on a borrowed phone


def test_an_impossible_date_is_named_and_the_other_answers_are_kept(client: Client) -> None:
    page = ask(client, **{**WELL, "birth_date": "1988-15-40"})
    assert page.status_code == 400
    assert "There is a problem" in words(page)
    assert "1988-15-40" in page.content.decode()
    assert re.search(r'name="aneurysm" value="no"[^>]* checked', page.content.decode())


def referrals() -> list[Referral]:
    with ground.acting("cora"):
        return list(Referral.objects.all())


def test_who_agrees_is_kept_with_the_answers_and_the_language(client: Client) -> None:
    done = client.post(AGREE, {**WELL, "aneurysm": "", **CONTACT, "key": str(uuid4())})
    assert done["Location"] == "/self-check/toronto/thanks"
    (kept,) = referrals()
    assert (kept.name, kept.email, kept.language) == ("Rose Almeida", "rose@example.org", "fr")
    assert kept.chart["facts"]["pregnant"][0]["source"] == "self"
    assert "aneurysm" not in kept.chart["facts"]
    assert kept.answer == "need_more_information"
    with ground.acting("cora"):
        event = Event.objects.get(action="referral.make")
        assert (event.object_id, event.site_id) == (str(kept.pk), "toronto")
        assert not Course.objects.exists()
    assert "Thank you" in words(client.get(done["Location"]))


def test_the_same_form_sent_twice_is_one_referral(client: Client) -> None:
    form = {**WELL, **CONTACT, "key": str(uuid4())}
    assert client.post(AGREE, form).status_code == 302
    assert client.post(AGREE, form).status_code == 302
    assert len(referrals()) == 1
    client.post(AGREE, {**form, "key": str(uuid4())})
    assert len(referrals()) == 2


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ({"agree"}, "This field is required"),
        ({"name"}, "This field is required"),
        ({"email"}, "Give an e-mail address or a phone number."),
        ({"key"}, "This field is required"),
    ],
)
@pytest.mark.usefixtures("rows")
def test_without_agreement_name_and_a_way_to_reach_nothing_is_kept(
    client: Client, left_out: set[str], said: str
) -> None:
    form = {**WELL, **CONTACT, "key": str(uuid4())}
    page = client.post(AGREE, {name: told for name, told in form.items() if name not in left_out})
    assert page.status_code == 400
    assert said in words(page)
    if "name" not in left_out:
        assert 'value="Rose Almeida"' in page.content.decode()


@pytest.mark.usefixtures("rows")
def test_wrong_answers_on_the_way_to_agreeing_are_asked_again(client: Client) -> None:
    page = client.post(AGREE, {**WELL, **CONTACT, "aneurysm": "perhaps", "key": str(uuid4())})
    assert page.status_code == 400
