"""Consent: versioned words, kept as signed, withdrawn at any time, never taken under a dose."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.urls import reverse

from clinic.course import actions, queries
from clinic.course.actions import Refused
from clinic.course.consents import wording
from clinic.course.models import Consent, Fact
from clinic.database import now
from clinic.dosing import queries as dosing_queries
from tests import world as ground
from tests.pages import key, text_of
from tests.world import World

SAID = {
    "teach_back_1": "an infusion, I may feel far away",
    "teach_back_2": "my brother drives, I do not",
    "teach_back_3": "I say stop",
}


def address(world: World) -> str:
    return reverse("intake:consent", args=[world.course.pk])


def sign(world: World, name: str = "tess", **told: str) -> Any:
    form = {"key": key(), "signer": "Marie Kowalski", "agree": "on", **SAID}
    return world.client(name).post(address(world), {**form, **told})


def withdraw(world: World, row: Consent, signer: str = "Marie Kowalski") -> Any:
    where = reverse("intake:withdraw_consent", args=[row.pk])
    return world.client("cora").post(where, {"signer": signer})


def consents(world: World) -> list[Consent]:
    with world.acting("alice"):
        return list(Consent.objects.filter(course=world.course).order_by("signed_at"))


def told_to_the_gate(world: World) -> list[Any]:
    with world.acting("alice"):
        rows = Fact.objects.filter(patient=world.patient, name="consent_active")
        assert {row.source for row in rows} <= {"record"}
        return [row.value for row in rows.order_by("observed_at")]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_words_name_what_consent_to_off_label_use_must_name(language: str) -> None:
    text = wording("treatment").text[language].lower()
    for word in {
        "en": (
            *("off-label", "alternatives", "ect", "rtms", "psychotherapy", "half", "misuse"),
            *("bladder", "liver", "drive", "cost", "touch", "withdraw"),
        ),
        "fr": (
            *("hors indication", "options", "ect", "smtr", "psychothérapie", "moitié", "mésusage"),
            *("vessie", "foie", "conduisez", "coûte", "toucher", "retirer"),
        ),
    }[language]:
        assert word in text, word
    assert len(wording("treatment").teach_back[language]) == 3


def test_words_that_nobody_reviewed_are_marked_a_draft(world: World) -> None:
    assert not wording("treatment").verified
    assert "No clinician or lawyer has reviewed this wording." in text_of(
        world.client("tess").get(address(world))
    )


def test_the_words_are_read_in_the_patients_language(world: World) -> None:
    _enrolment, course = ground.open_person("Luc Roy", language="fr")
    page = world.client("tess").get(reverse("intake:consent", args=[course.pk]))
    assert "hors indication" in text_of(page)
    assert 'lang="fr"' in page.content.decode()
    assert "Que faites-vous si vous changez d'avis?" in text_of(page)


def test_what_is_signed_is_kept_as_signed(world: World) -> None:
    assert sign(world).status_code == 302
    (row,) = consents(world)
    text = wording("treatment")
    assert (row.version, row.language, row.text) == (text.version, "en", text.text["en"])
    assert row.text_digest == hashlib.sha256(row.text.encode()).hexdigest()
    assert row.signer == "Marie Kowalski"
    assert text.teach_back["en"][0] in row.teach_back
    assert SAID["teach_back_3"] in row.teach_back
    assert told_to_the_gate(world) == [True]
    page = text_of(world.client("tess").get(address(world)))
    assert "✓ in force signed by Marie Kowalski" in page
    assert row.text_digest[:12] in page


@pytest.mark.parametrize("left_out", ["signer", "agree", "teach_back_1", "teach_back_3"])
def test_without_name_agreement_or_teach_back_nothing_is_signed(
    world: World, left_out: str
) -> None:
    page = sign(world, **{left_out: ""})
    assert page.status_code == 400
    assert "This field is required." in text_of(page)
    assert not consents(world)
    assert not told_to_the_gate(world)


def test_a_coordinator_shows_the_words_and_takes_no_signature(world: World) -> None:
    assert "Sign the consent" not in text_of(world.client("cora").get(address(world)))
    assert sign(world, "cora").status_code == 404
    assert not consents(world)


def test_a_consent_sent_twice_is_signed_once(world: World) -> None:
    same = key()
    assert sign(world, key=same).status_code == 302
    assert sign(world, key=same).status_code == 302
    assert len(consents(world)) == 1


def test_the_same_words_are_not_signed_again_while_they_stand(world: World) -> None:
    sign(world)
    assert "signed already and stands" in text_of(sign(world))
    assert len(consents(world)) == 1


def test_a_withdrawal_takes_effect_at_once_and_needs_no_reason(world: World) -> None:
    sign(world)
    (row,) = consents(world)
    assert withdraw(world, row).status_code == 302
    assert told_to_the_gate(world) == [True, False]
    with world.acting("alice"):
        assert queries.active_consent(world.course, "treatment") is None
        gone = Consent.objects.get(withdraws=row)
        assert gone.text_digest == row.text_digest
    assert "Sign the consent" in text_of(world.client("tess").get(address(world)))


def test_a_consent_withdrawn_twice_is_withdrawn_once(world: World) -> None:
    sign(world)
    (row,) = consents(world)
    assert withdraw(world, row).status_code == 302
    assert withdraw(world, row).status_code == 302
    assert len(consents(world)) == 2


def test_a_withdrawal_says_who(world: World) -> None:
    sign(world)
    (row,) = consents(world)
    assert withdraw(world, row, signer=" ").status_code == 302
    assert len(consents(world)) == 1


def test_a_withdrawal_cannot_be_withdrawn(world: World) -> None:
    sign(world)
    (row,) = consents(world)
    withdraw(world, row)
    assert withdraw(world, consents(world)[-1]).status_code == 404


def test_withdrawing_an_old_version_leaves_the_new_one_standing(world: World) -> None:
    with world.acting("alice"):
        old = actions.sign_consent(
            course=world.course,
            scope="treatment",
            version="2025.1",
            language="en",
            text="older words",
            signer="Marie",
            by=world.author("alice"),
        )
    sign(world)
    withdraw(world, old)
    assert told_to_the_gate(world)[-1] is True


def test_another_scope_says_nothing_to_the_gate(world: World) -> None:
    with world.acting("alice"):
        actions.sign_consent(
            course=world.course,
            scope="recording",
            version="1",
            language="en",
            text="words",
            signer="Marie",
            by=world.author("alice"),
        )
    assert not told_to_the_gate(world)


# -- the gate --------------------------------------------------------------------------------------


def test_without_a_consent_that_stands_no_dose_starts(world: World) -> None:
    ground.known_well(world.course, consented=False)
    ground.accept(world.course)
    session = ground.plan_dose(world.course)
    ground.eligible_for_start(session)
    order = ground.sign_order(session)

    def is_open() -> bool:
        with world.acting("alice"):
            return dosing_queries.start_gate(session, order, now()).is_open

    assert not is_open()
    sign(world)
    assert is_open()
    withdraw(world, consents(world)[0])
    assert not is_open()


def test_nobody_consents_between_the_start_of_a_dose_and_the_discharge(world: World) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    ground.start(ground.plan_dose(world.course))
    (row,) = consents(world)
    assert withdraw(world, row).status_code == 302  # withdrawing is always possible
    refused = sign(world)
    assert refused.status_code == 400
    assert "No consent is taken between the start of a dose and the discharge." in text_of(refused)
    with world.acting("alice"), pytest.raises(Refused):
        ground.sign_consent(world.course)
    assert len(consents(world)) == 2
