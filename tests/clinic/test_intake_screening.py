"""Recording what is known: units, times at the site, sources, lists, and what stays unknown."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from clinic.course import actions
from clinic.course import queries as course_queries
from clinic.course.actions import Refused
from clinic.course.models import Fact, ListReview, Medication
from clinic.database import now
from clinic.intake import queries
from clinic.intake.groups import TITLES, groups
from kap.facts import vocabulary
from tests import world as ground
from tests.pages import hidden, key, text_of
from tests.world import World


def screening(world: World, name: str = "bob", fact: str = "") -> Any:
    address = reverse("intake:screening", args=[world.course.pk])
    return world.client(name).get(address + (f"?fact={fact}" if fact else ""))


def record(world: World, name: str = "bob", fact: str = "", **told: str) -> Any:
    address = reverse("intake:record_facts", args=[world.course.pk])
    form = {"key": key(), "teller": "staff", **told}
    return world.client(name).post(address + (f"?fact={fact}" if fact else ""), form)


def facts(world: World, name: str) -> list[Fact]:
    with world.acting("bob"):
        return list(Fact.objects.filter(patient=world.patient, name=name).order_by("observed_at"))


def review(world: World, kind: str, *rows: dict[str, str], **told: str) -> Any:
    form = {"form-TOTAL_FORMS": str(len(rows)), "form-INITIAL_FORMS": "0", "key": key()}
    for place, row in enumerate(rows):
        form |= {f"form-{place}-{name}": value for name, value in row.items()}
    address = reverse("intake:review_list", args=[world.course.pk, kind])
    return world.client("bob").post(address, {**form, "complete": "yes", **told})


def reviews(world: World) -> int:
    with world.acting("bob"):
        return ListReview.objects.count()


# -- facts -----------------------------------------------------------------------------------------


def test_every_fact_of_the_vocabulary_stands_in_one_group() -> None:
    listed = [name for names in groups().values() for name in names]
    assert sorted(listed) == sorted(
        name for name, kind in vocabulary().items() if kind.type != "list"
    )
    assert set(TITLES) == set(groups())


def test_the_page_asks_in_groups_with_unit_and_zone_and_nothing_is_filled_in(world: World) -> None:
    page = screening(world)
    told = text_of(page)
    for title in ("Suicide screen", "Vital signs", "Substances", "Mind"):
        assert title in told
    assert "(kg)" in told
    assert "Times are those of the site (America/Toronto)." in told
    assert "checked" not in page.content.decode()
    assert "Marie" not in page.content.decode().split("</title>")[0]


def test_what_is_recorded_keeps_unit_source_and_instant(world: World) -> None:
    yesterday = (now() - timedelta(days=1)).date().isoformat()
    done = record(world, weight="68.5", taken_on=yesterday, taken_at="09:30", teller="self")
    assert done.status_code == 302
    (weight,) = facts(world, "weight")
    assert (weight.value, weight.unit, weight.source) == ("68.5", "kg", "self")
    local = weight.observed_at.astimezone(world.site.tz)
    assert (local.date().isoformat(), local.strftime("%H:%M")) == (yesterday, "09:30")
    assert weight.author == world.author("bob").id


def test_what_is_recorded_is_shown_with_its_age_and_how_long_it_is_valid(world: World) -> None:
    ground.tell(world.course, minutes_ago=90, weight="68.5", sex_male=False, pregnant=None)
    told = text_of(screening(world))
    assert "68.5 kg" in told
    assert "1 hour, 30 minutes ago" in told
    assert "7 days" in told  # a weight
    assert "? not known" in told


def test_a_fact_too_old_is_shown_as_such_and_asked_again(world: World, clock: Any) -> None:
    ground.tell(world.course, weight="68.5")
    assert "too old" not in text_of(screening(world))
    clock.step(9 * 24 * 3600)
    page = screening(world)
    assert "68.5 kg ? too old" in text_of(page)
    assert 'name="weight"' in page.content.decode()


def test_an_open_question_stays_unknown_and_is_never_no(world: World) -> None:
    record(world, weight="68.5", aneurysm="", pregnant="not_known")
    assert not facts(world, "aneurysm")
    (pregnant,) = facts(world, "pregnant")
    assert (pregnant.value, pregnant.reason) == (None, "not_known")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"weight": "6850"}, "Ensure this value is less than or equal to 400."),
        ({"weight": "-3"}, "Ensure this value is greater than or equal to 20."),
        ({"weight": "68,500"}, "68,500 can be read in two ways; write it with a point"),
        ({"weight": "68.55"}, "no more than 1 decimal place"),
        ({"weight": "150 lb"}, "Enter a number."),
        ({"aneurysm": "perhaps"}, "perhaps is not one of the available choices"),
        ({}, "Nothing was answered"),
        ({"weight": "68", "taken_on": "2999-01-01", "taken_at": "09:00"}, "is still to come"),
        ({"weight": "68", "taken_at": "9 o'clock"}, "Enter a valid time."),
        ({"weight": "68", "teller": "a friend"}, "a friend is not one of the available choices"),
    ],
)
def test_what_cannot_be_true_is_named_kept_and_not_recorded(
    world: World, told: dict[str, str], said: str
) -> None:
    page = record(world, heart_rate="70" if told else "", **told)
    assert page.status_code == 400
    assert said in text_of(page)
    if told:
        assert 'value="70"' in page.content.decode()
    assert not facts(world, "heart_rate")
    assert not facts(world, "weight")


def test_a_comma_that_can_only_be_a_decimal_sign_is_read(world: World) -> None:
    record(world, weight="68,5")
    assert facts(world, "weight")[0].value == "68.5"


def test_what_the_core_refuses_is_said_in_its_words_and_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_told: Any) -> None:
        raise Refused("weight: too much at once; weigh again")

    monkeypatch.setattr(actions, "record_facts", refuse)
    page = record(world, weight="68")
    assert page.status_code == 400
    assert "weigh again" in text_of(page)
    assert 'value="68"' in page.content.decode()
    monkeypatch.setattr(actions, "review_list", refuse)
    page = review(world, "medications", SERTRALINE)
    assert page.status_code == 400
    assert "weigh again" in text_of(page)
    assert 'value="sertraline"' in page.content.decode()


def test_the_same_form_sent_twice_is_recorded_once(world: World) -> None:
    form = {"key": key(), "teller": "staff", "systolic": "122", "diastolic": "78"}
    assert record(world, **form).status_code == 302
    assert record(world, **form).status_code == 302
    assert len(facts(world, "systolic")) == 1
    record(world, **{**form, "key": key()})
    assert len(facts(world, "systolic")) == 2  # another form is another reading


def test_other_answers_under_a_used_key_are_refused_in_words(world: World) -> None:
    form = {"key": key(), "teller": "staff", "weight": "68"}
    record(world, **form)
    client = world.client("bob")
    address = reverse("intake:record_facts", args=[world.course.pk])
    page = client.post(address, {**form, "weight": "86"}, follow=True)
    assert "sent before with other answers" in text_of(page)
    assert [fact.value for fact in facts(world, "weight")] == ["68"]


def test_a_therapist_is_asked_only_what_a_person_can_tell(world: World) -> None:
    page = screening(world, "tess").content.decode()
    assert 'name="seizure_ever"' in page
    assert 'name="alt_uln"' not in page
    record(world, "tess", alt_uln="0.5")
    assert not facts(world, "alt_uln")


def test_what_the_clinic_computes_is_asked_of_nobody(world: World) -> None:
    assert (
        'name="consent_active"' not in screening(world, "alice", "consent_active").content.decode()
    )


def test_nobody_is_asked_for_what_no_fact_is_called(world: World) -> None:
    assert screening(world, fact="shoe_size").status_code == 200


def test_who_may_not_read_a_fact_is_not_shown_it(world: World) -> None:
    ground.known_well(world.course)
    with world.acting("alice"):
        at = now()
        whole = course_queries.verdict(world.course, "screening", at)[0]
        seen = [
            {row.name for row in queries.known_facts(world.course, at, whole, whole.seen_by(role))}
            for role in ("nurse", "coordinator")
        ]
    assert "si_plan" in seen[0]
    assert "si_plan" not in seen[1]
    assert "weight" in seen[1]


# -- lists -----------------------------------------------------------------------------------------

SERTRALINE = {"name": "sertraline", "atc": "n06ab06", "mg_per_day": "150", "prn": "no"}


def test_a_list_reviewed_as_complete_makes_what_is_not_on_it_a_no(world: World) -> None:
    assert review(world, "medications", SERTRALINE, {}).status_code == 302
    with world.acting("bob"):
        (row,) = Medication.objects.all()
        assert (row.atc, row.mg_per_day, row.prn) == ("N06AB06", Decimal(150), False)
        verdict, chart = course_queries.verdict(world.course, "screening", now())
        assert chart.medications is not None
        assert chart.medications.complete
        assert not [u for u in verdict.unknowns if u.fact == "medications"]


def test_a_list_not_complete_leaves_the_rest_unknown(world: World) -> None:
    review(world, "medications", SERTRALINE, complete="no")
    with world.acting("bob"):
        verdict, _chart = course_queries.verdict(world.course, "screening", now())
        assert [u for u in verdict.unknowns if u.fact == "medications"]
    assert "? not complete" in text_of(screening(world))


def test_a_list_gone_through_again_starts_from_the_rows_known(world: World) -> None:
    review(world, "medications", SERTRALINE)
    address = reverse("intake:review_list", args=[world.course.pk, "medications"])
    page = world.client("bob").get(address).content.decode()
    assert 'value="sertraline"' in page
    assert 'value="150.000"' in page
    assert 'value="no" selected' in page


@pytest.mark.parametrize(
    ("kind", "row", "said"),
    [
        ("conditions", {"code": "F33.2"}, "Fill this in, or empty the whole row."),
        ("conditions", {"code": "depression", "status": "active"}, "Write an ICD-10 code"),
        ("conditions", {"code": "F33", "status": "active", "onset": "May"}, "Write 2014, 2014-05"),
        ("medications", {"atc": "N06AB06"}, "Fill this in, or empty the whole row."),
        ("medications", {"name": "x", "atc": "sertraline"}, "Write a full ATC code"),
        ("medications", {"name": "x", "mg_per_day": "1,500"}, "can be read in two ways"),
        ("allergies", {"name": "penicillin"}, "Fill this in, or empty the whole row."),
        ("antidepressant_trials", {"weeks": "8"}, "Fill this in, or empty the whole row."),
        ("antidepressant_trials", {"name": "x", "weeks": "-1"}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_row_is_named_and_the_list_is_not_stored(
    world: World, kind: str, row: dict[str, str], said: str
) -> None:
    page = review(world, kind, row)
    assert page.status_code == 400
    assert said in text_of(page)
    assert reviews(world) == 0


def test_whether_a_list_is_complete_must_be_said(world: World) -> None:
    page = review(world, "allergies", complete="")
    assert page.status_code == 400
    assert reviews(world) == 0


@pytest.mark.parametrize(
    "kind", ["conditions", "medications", "allergies", "antidepressant_trials"]
)
def test_a_list_with_nothing_on_it_may_be_complete(world: World, kind: str) -> None:
    assert review(world, kind).status_code == 302
    assert reviews(world) == 1
    assert "✓ complete" in text_of(screening(world))


def test_there_is_no_list_of_another_kind(world: World) -> None:
    address = reverse("intake:review_list", args=[world.course.pk, "shoes"])
    assert world.client("bob").get(address).status_code == 404


def test_a_review_sent_twice_is_stored_once(world: World) -> None:
    same = key()
    for _ in range(2):
        assert review(world, "allergies", key=same).status_code == 302
    assert reviews(world) == 1


def test_a_page_carries_a_new_key_each_time(world: World) -> None:
    assert hidden(screening(world), "key") != hidden(screening(world), "key")
