"""The review page: what if, the evidence of each reason, what changed since the last decision."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.urls import reverse
from django.utils import translation

from clinic.audit.models import Event
from clinic.course import actions as course_actions
from clinic.course import evidence
from clinic.course import queries as course_queries
from clinic.course.models import Decision
from clinic.database import now
from kap.chart import Allergy, Condition, Medication, Trial
from kap.facts import vocabulary
from tests import world as ground
from tests.clinic.test_intake_decision import CLEARED, address, decide, lift, rule_of
from tests.pages import text_of
from tests.world import PASSWORD, World

PSYCHOSIS = vocabulary()["psychosis_now"].ask["en"]
WEIGHT = vocabulary()["weight"].ask["en"] + " (kg)"


def what_if(world: World, name: str = "alice", french: bool = False, **told: str) -> Any:
    headers = {"accept-language": "fr"} if french else {}
    with translation.override("en"):  # a French page leaves its language behind
        return world.client(name).post(
            reverse("intake:what_if", args=[world.course.pk]), told, headers=headers
        )


def counted() -> dict[str, int]:
    """Return how many rows each table of the program holds."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege(%s, 'SELECT')", [table])
            if cursor.fetchone()[0]:
                cursor.execute(f'SELECT count(*) FROM "{table}"')
                found[table] = cursor.fetchone()[0]
    return found


@pytest.fixture
def well(world: World) -> World:
    """Marie, of whom all that a screening asks is known, and nothing bars the way."""
    ground.known_well(world.course, consented=False)
    return world


# -- what if ---------------------------------------------------------------------------------------


def test_a_supposed_answer_is_shown_beside_the_real_one_and_stamped(well: World) -> None:
    page = what_if(well, fact_1=PSYCHOSIS, value_1="yes")
    told = text_of(page)
    assert page.status_code == 200
    assert "What if: nothing is stored As it is ✓ eligible As it would be" in told
    assert "✕ contraindicated" in told
    assert "psychosis now: no → yes" in told
    assert "Rules that began to speak CI-PSY-A: " in told


def test_nothing_is_stored_but_that_the_page_was_seen(well: World) -> None:
    client = well.client("alice")
    with well.acting("alice"):
        before, seen = counted(), set(Event.objects.values_list("pk", flat=True))
    client.post(
        reverse("intake:what_if", args=[well.course.pk]),
        {"fact_1": PSYCHOSIS, "value_1": "yes", "fact_2": "weight", "value_2": "71 kg"},
    )
    with well.acting("alice"):
        after = counted()
        (event,) = Event.objects.exclude(pk__in=seen)
    assert event.action == "review.view"
    assert "psychosis" not in str(vars(event))
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {Event._meta.db_table}
    assert "course_fact" in before, "the count must see the rows that a mistake would write"


def test_three_facts_in_either_sign_language_and_with_their_unit(well: World) -> None:
    french = {
        "fact_1": vocabulary()["psychosis_now"].ask["fr"],
        "value_1": "oui",
        "fact_2": "weight",
        "value_2": "71,5 kg",
        "fact_3": "systolic",
        "value_3": "inconnu",
    }
    told = text_of(what_if(well, french=True, **french))
    assert "71,5 kg" in told
    assert "Telle quelle" in told
    assert "Règles qui se mettent à parler" in told


def test_what_is_on_file_already_differs_in_nothing(well: World) -> None:
    told = text_of(what_if(well, fact_1=PSYCHOSIS, value_1="no"))
    assert "nothing differs" in told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("weight", "900"), "«900» is no answer to «" + WEIGHT + "»: it is a number from "),
        (("weight", "1,234"), "«1,234» is no answer"),
        (("weight", ""), "«» is no answer"),
        (("weight", "68.123456"), "in steps of"),
        ((PSYCHOSIS, "perhaps"), "write yes, no or unknown"),
        (("birth_date", "May"), "write a date such as 2026-08-12"),
        (("indication", ""), "write the supposed answer"),
        (("favourite colour", "blue"), "«favourite colour» is no question of this stage"),
        (("", "blue"), "«» is no question of this stage"),
        (("", ""), "Choose a question of the list"),
    ],
)
def test_what_cannot_be_supposed_is_said_with_the_value_and_the_way_out(
    well: World, told: tuple[str, str], words: str
) -> None:
    page = what_if(well, fact_1=told[0], value_1=told[1])
    assert page.status_code == 400
    assert words in text_of(page)
    assert "As it would be" not in text_of(page)
    assert f'value="{told[1]}"' in page.content.decode() or not told[1]


def test_one_question_is_supposed_once(well: World) -> None:
    page = what_if(well, fact_1="weight", value_1="70", fact_2=WEIGHT, value_2="80")
    assert "suppose it once" in text_of(page)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [("birth_date", "1950-01-01", "1950-01-01"), ("indication", "PTSD", "PTSD")],
)
def test_dates_and_codes_are_supposed_too(well: World, name: str, value: str, shown: str) -> None:
    assert f"→ {shown}" in text_of(what_if(well, fact_1=name, value_1=value))


def test_the_overrides_in_force_are_laid_over_what_would_be(well: World) -> None:
    ground.tell(well.course, bladder_symptoms=True)
    assert lift(well, rule_of(well, "R"), **CLEARED, second_password=PASSWORD).status_code == 302
    told = text_of(what_if(well, fact_1="weight", value_1="71"))
    assert "As it would be, with the overrides in force" in told


def test_who_may_not_review_may_not_suppose_either(well: World) -> None:
    assert what_if(well, "bob", fact_1="weight", value_1="70").status_code == 404
    assert what_if(well, "charlie", fact_1="weight", value_1="70").status_code == 404


# -- the evidence ----------------------------------------------------------------------------------


def test_a_reason_shows_the_rows_it_turned_on_and_whose_hand_wrote_them(well: World) -> None:
    ground.tell(well.course, psychosis_now=True)
    told = text_of(well.client("alice").get(address(well)))
    assert "psychosis now: yes · " in told
    assert "recorded by staff recorded " in told
    assert "Bob, nurse" in told


def test_evidence_of_lists_tells_the_item_and_the_hand(well: World) -> None:
    with well.acting("bob") as by:
        course_actions.review_list(
            of=well.course,
            kind="conditions",
            items=[{"code": "F20.0", "name": "", "status": "active", "onset": "2014"}],
            by=by,
            complete=True,
        )
    told = text_of(well.client("alice").get(address(well)))
    assert "conditions: F20.0, active, since 2014 recorded " in told


def test_a_stored_decision_shows_the_evidence_of_its_own_day(well: World) -> None:
    ground.tell(well.course, psychosis_now=True)
    page = decide(well, "declined")
    ground.tell(well.course, psychosis_now=False)
    told = text_of(well.client("alice").get(page["Location"]))
    assert "psychosis now: yes · " in told
    assert "Bob, nurse" in told


def test_a_row_of_nobody_known_is_told_without_a_hand(well: World) -> None:
    with well.acting("alice"):
        verdict, chart = course_queries.verdict(well.course, "screening", now())
        stranger = evidence._signed({}, "link:1", "patient")
        assert stranger == "patient"
        assert evidence.evidence_of(verdict, type(chart)()) == {
            found.rule_id: () for found in verdict.findings
        }


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Condition("ICD-10", "F33.2", "refuted"), "F33.2, ruled out"),
        (Medication("", "herbs"), "herbs, without a code"),
        (Allergy("N01AX03", "intolerance"), "N01AX03, intolerance"),
        (Trial("N06AB06", weeks=None), "N06AB06"),
        (Medication("N05BA06", "lorazepam", None, True, "2020"), None),
    ],
)
def test_an_item_of_a_list_is_told_in_words(item: Any, words: str | None) -> None:
    wanted = words or "lorazepam, N05BA06, only when needed, since 2020"
    assert evidence.item_words(item) == wanted


# -- what changed ----------------------------------------------------------------------------------


def test_without_a_decision_the_page_says_so(well: World) -> None:
    page = text_of(well.client("alice").get(address(well)))
    assert "Changed since the last decision No earlier decision." in page


def test_the_page_says_what_changed_since_the_last_decision(well: World) -> None:
    decide(well, "asked")
    page = text_of(well.client("alice").get(address(well)))
    assert "Nothing." in page.split("Changed since the last decision")[1]
    ground.tell(well.course, psychosis_now=True, weight="71")
    with well.acting("bob") as by:
        course_actions.review_list(
            of=well.course,
            kind="medications",
            items=[{"atc": "N06AX12", "name": "bupropion", "mg_per_day": "150", "prn": False}],
            by=by,
            complete=False,
        )
    page = text_of(well.client("alice").get(address(well)))
    line = page.split("Changed since the last decision")[1]
    assert "CI-PSY-A speaks now" in line
    assert "Open the whole difference" in line
    assert "weight: 76.4 kg → 71 kg" in line
    assert "medications: + bupropion, N06AX12, 150 mg per day" in line
    assert "medications: no longer complete" in line


def test_the_last_decision_alone_is_compared_with(well: World) -> None:
    ground.tell(well.course, psychosis_now=True)
    decide(well, "declined")
    ground.tell(well.course, psychosis_now=False)
    with well.acting("alice"):
        assert Decision.objects.count() == 1
    line = text_of(well.client("alice").get(address(well))).split("since the last decision")[1]
    assert "CI-PSY-A speaks no more" in line
    decide(well, "asked")
    line = text_of(well.client("alice").get(address(well))).split("since the last decision")[1]
    assert "CI-PSY-A" not in line.split("Your decision")[0]
