"""The prescriber's review: approve, ask, decline, override; and the Decision that is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from clinic.course import queries as course_queries
from clinic.course.models import Decision, Override, Task
from clinic.database import now
from clinic.intake import queries
from kap import cli
from kap.verdict import Verdict
from tests import world as ground
from tests.clock import Clock
from tests.pages import hidden, key, text_of
from tests.world import PASSWORD, World

REASON = "discussed with cardiology and with her"


def address(world: World) -> str:
    return reverse("intake:review", args=[world.course.pk])


def decide(world: World, kind: str, client: Client | None = None, **told: str) -> Any:
    alice = client or world.client("alice")
    page = alice.get(address(world))
    form = {
        "do": "decide",
        "key": key(),
        "kind": kind,
        "reason": "fits",
        "facts_hash": hidden(page, "facts_hash"),
    }
    return alice.post(address(world), {**form, **told})


def lift(world: World, rule: str, **told: str) -> Any:
    form = {
        "do": "lift",
        "key": key(),
        "rule_id": rule,
        "reason": REASON,
        "last_day": now().astimezone(world.site.tz).date().isoformat(),
    }
    return world.client("alice").post(address(world), {**form, **told})


def decisions(world: World) -> list[Decision]:
    with world.acting("alice"):
        return list(Decision.objects.filter(patient=world.patient).order_by("decided_at"))


def after(world: World) -> str:
    with world.acting("alice"):
        verdict, _chart = course_queries.verdict(world.course, "screening", now())
        return str(course_queries.answer_after(world.course, verdict, now()))


@pytest.fixture
def well(world: World) -> World:
    """Marie, of whom all that a screening asks is known, and nothing bars the way."""
    ground.known_well(world.course, consented=False)
    return world


# -- what the page shows ---------------------------------------------------------------------------


def test_the_review_shows_answer_reasons_sources_and_what_would_settle_it(world: World) -> None:
    ground.tell(world.course, psychosis_now=True)
    page = world.client("alice").get(address(world))
    told = text_of(page)
    assert "contraindicated" in told
    assert "CI-PSY-A" in told
    assert "What to ask" in told
    assert "settles" in told
    assert "protocol iv-ketamine 2026.2" in told
    assert "Kowalski" not in page.content.decode().split("</title>")[0]


def test_the_review_explains_what_would_change_the_answer_and_stores_nothing(well: World) -> None:
    ground.tell(well.course, psychosis_now=True)
    alice = well.client("alice")
    assert "What would change this answer?" in text_of(alice.get(address(well)))
    told = text_of(alice.get(address(well) + "?why"))
    assert "psychosis now: no (now yes) → " in told
    assert "CI-PSY-A: time alone does not lift it" in told
    assert decisions(well) == []
    french = text_of(alice.get(address(well) + "?why", headers={"accept-language": "fr"}))
    assert "Ce qui changerait cette réponse" in french
    assert "le temps seul ne la lève pas" in french


def test_the_review_names_the_question_and_the_day_to_ask_again(world: World) -> None:
    day = now().astimezone(world.site.tz).date()
    ground.tell(world.course, cv_event=True, cv_event_date=str(day - timedelta(days=30)))
    told = text_of(world.client("alice").get(address(world) + "?why"))
    assert "What to ask next" in told
    assert f"CI-MI: not before {day + timedelta(days=12)}" in told


# -- approve, ask, decline -------------------------------------------------------------------------


def test_an_eligible_person_is_approved_with_a_reason(well: World) -> None:
    done = decide(well, "accepted")
    (row,) = decisions(well)
    assert done["Location"] == reverse("intake:decision", args=[row.pk])
    assert (row.kind, row.answer, row.reason) == ("accepted", "eligible", "fits")
    page = text_of(well.client("alice").get(done["Location"]))
    assert "Accepted · screening" in page
    assert "fits" in page


@pytest.mark.parametrize("kind", ["asked", "declined"])
def test_any_answer_may_be_asked_about_or_declined(world: World, kind: str) -> None:
    assert decide(world, kind).status_code == 302
    assert [row.kind for row in decisions(world)] == [kind]


def test_what_may_not_be_accepted_offers_no_approval_and_takes_none(world: World) -> None:
    page = world.client("alice").get(address(world))
    assert 'value="accepted"' not in page.content.decode()
    assert "It cannot be approved as it stands" in text_of(page)
    refused = decide(world, "accepted")
    assert refused.status_code == 400
    assert not decisions(world)


def test_the_action_refuses_what_a_forged_form_accepts(world: World) -> None:
    from clinic.course.actions import Refused
    from clinic.intake import actions

    with world.acting("alice"):
        verdict, chart = course_queries.verdict(world.course, "screening", now())
        with pytest.raises(Refused, match="cannot be accepted"):
            actions.decide(
                course=world.course,
                kind="accepted",
                reason="x",
                verdict=verdict,
                chart=chart,
                by=world.author("alice"),
            )
        assert not Decision.objects.exists()


def test_a_decision_needs_a_reason(well: World) -> None:
    refused = decide(well, "accepted", reason="  ")
    assert refused.status_code == 400
    assert "Reason: This field is required." in text_of(refused)
    assert not decisions(well)


def test_asking_gives_each_role_its_questions(world: World) -> None:
    decide(world, "asked")
    with world.acting("alice"):
        tasks = {task.owner_role: task for task in Task.objects.filter(kind="ask")}
        verdict, _chart = course_queries.verdict(world.course, "screening", now())
        assert "nurse" in tasks
        asked = " ".join(task.text for task in tasks.values())
        for unknown in verdict.unknowns:
            assert unknown.question.get("en", unknown.fact.replace("_", " ")) in asked


def test_asking_when_nothing_is_unknown_still_gives_somebody_the_task(well: World) -> None:
    decide(well, "asked")
    with well.acting("alice"):
        (task,) = Task.objects.filter(kind="ask")
        assert "eligible" in task.text


def test_what_was_recorded_meanwhile_must_be_looked_at_first(well: World) -> None:
    alice = well.client("alice")
    old = hidden(alice.get(address(well)), "facts_hash")
    ground.tell(well.course, psychosis_now=True)
    refused = decide(well, "declined", alice, facts_hash=old)
    assert refused.status_code == 400
    assert "Something was recorded since you opened this page" in text_of(refused)
    assert not decisions(well)


def test_a_decision_sent_twice_is_stored_once(well: World) -> None:
    same = key()
    first, again = decide(well, "accepted", key=same), decide(well, "accepted", key=same)
    assert first["Location"] == again["Location"]
    assert len(decisions(well)) == 1


# -- the signature of the protocol -----------------------------------------------------------------


def test_an_unsigned_protocol_stores_no_decision_outside_demo_mode(
    well: World, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clinic.course import actions
    from clinic.course.actions import Refused

    monkeypatch.setattr(course_queries, "is_signed", lambda _course: False)
    alice = well.client("alice")
    assert "UNSIGNED" in text_of(alice.get(address(well)))  # a demonstration: stamped, but decided
    settings.MODE = "clinical"
    assert not course_queries.may_decide(well.course)
    monkeypatch.setattr("clinic.people.access.needs_second_factor", lambda _request: False)
    page = text_of(alice.get(address(well)))
    assert "the answer is shown, but no decision is stored" in page
    assert "Store the decision" not in page
    with well.acting("alice"):
        verdict, chart = course_queries.verdict(well.course, "screening", now())
        with pytest.raises(Refused, match="not signed"):
            actions.decide(
                course=well.course,
                stage="screening",
                kind="accepted",
                reason="fits",
                verdict=verdict,
                chart=chart,
                by=well.author("alice"),
            )
    assert not decisions(well)


def test_a_signed_protocol_decides_outside_demo_mode(well: World, settings: Any) -> None:
    settings.MODE = "clinical"
    assert course_queries.is_signed(well.course)
    assert course_queries.may_decide(well.course)


# -- overrides -------------------------------------------------------------------------------------


def test_nobody_overrides_what_is_absolute(well: World) -> None:
    ground.tell(well.course, psychosis_now=True)
    refused = lift(well, "CI-PSY-A", second_username="dee", second_password=PASSWORD)
    assert refused.status_code == 400
    assert "CI-PSY-A is not one of the available choices" in text_of(refused)
    assert not decisions(well)


@pytest.fixture
def relative(well: World) -> World:
    """Marie with symptoms of the bladder: a relative contraindication, level R."""
    ground.tell(well.course, bladder_symptoms=True)
    return well


def rule_of(world: World, level: str) -> str:
    """Return the rule of this level that bars Marie's way."""
    with world.acting("alice"):
        verdict, _chart = course_queries.verdict(world.course, "screening", now())
    return next(f.rule_id for f in verdict.findings if f.level == level)


CLEARED = {"clearance": "urology letter of 20 Nov", "second_username": "dee"}


def test_a_relative_finding_is_lifted_by_two_people_until_the_day_ends(
    relative: World, clock: Clock
) -> None:
    assert after(relative) != "eligible"
    done = lift(relative, rule_of(relative, "R"), **CLEARED, second_password=PASSWORD)
    assert done.status_code == 302
    (row,) = decisions(relative)
    with relative.acting("alice"):
        override = Override.objects.get(decision=row)
        assert row.kind == "overridden"
        assert override.second_person == relative.staff("dee")
        assert override.expires_at.astimezone(relative.site.tz).strftime("%H:%M") == "00:00"
        assert override.is_live(now())
        assert not override.is_live(override.expires_at)
    assert after(relative) == "eligible"
    page = text_of(relative.client("alice").get(address(relative)))
    assert "Overrides in force" in page  # and the computed answer stays visible beside it
    assert "defer" in page
    assert relative.course.pk not in waiting(relative)
    clock.step(26 * 3600)
    assert after(relative) != "eligible"


def waiting(world: World) -> set[Any]:
    with world.acting("alice"):
        return {case.course.pk for case in queries.cases(now(), "prescriber")}


def test_an_override_that_leaves_another_finding_keeps_the_case_in_sight(relative: World) -> None:
    ground.tell(relative.course, psychosis_now=True)
    lift(relative, rule_of(relative, "R"), **CLEARED, second_password=PASSWORD)
    assert relative.course.pk in waiting(relative)


def test_after_an_override_the_answer_may_be_approved(relative: World) -> None:
    lift(relative, rule_of(relative, "R"), **CLEARED, second_password=PASSWORD)
    assert decide(relative, "accepted").status_code == 302
    assert [row.kind for row in decisions(relative)] == ["overridden", "accepted"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"second_username": ""}, "a second person must sign"),
        ({"second_password": "wrong"}, "name and password do not match"),
        ({"second_username": "alice"}, "must be another person"),
        ({"second_username": "bob"}, "does not hold the role this needs at this site"),
        ({"second_username": "charlie"}, "does not hold the role this needs at this site"),
        ({"reason": "because"}, "at least 20 characters"),
        ({"last_day": ""}, "This field is required."),
        ({"last_day": "2026-01-01"}, "2026-01-01 is over; give today or a later day"),
        ({"clearance": ""}, "needs the clearance document of urology"),
    ],
)
def test_an_override_that_lacks_something_is_refused_in_words(
    relative: World, wrong: dict[str, str], said: str
) -> None:
    told = {**CLEARED, "second_password": PASSWORD, **wrong}
    refused = lift(relative, rule_of(relative, "R"), **told)
    assert refused.status_code == 400
    assert said in text_of(refused)
    assert PASSWORD not in refused.content.decode()
    assert not decisions(relative)
    if "reason" not in wrong:
        assert REASON in refused.content.decode()


def test_a_precaution_is_lifted_by_the_prescriber_alone(well: World) -> None:
    ground.tell(well.course, audit_c=6)
    rule = rule_of(well, "P")
    assert lift(well, rule).status_code == 302
    with well.acting("alice"):
        override = Override.objects.get()
        assert (override.rule_id, override.level, override.second_person) == (rule, "P", None)


def test_an_override_sent_twice_is_stored_once(relative: World) -> None:
    told = {**CLEARED, "second_password": PASSWORD, "key": key()}
    rule = rule_of(relative, "R")
    assert lift(relative, rule, **told).status_code == 302
    assert lift(relative, rule, **told).status_code == 302
    assert len(decisions(relative)) == 1


# -- the file --------------------------------------------------------------------------------------


def test_the_decision_file_replays_to_the_same_answer(
    relative: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decide(relative, "declined")
    (row,) = decisions(relative)
    kept = relative.client("alice").get(reverse("intake:decision_file", args=[row.pk]))
    assert kept["Content-Type"] == "application/json"
    assert kept["Cache-Control"] == "no-store"
    assert "Kowalski" not in kept["Content-Disposition"]
    file = tmp_path / "decision.json"
    file.write_bytes(kept.content)
    assert cli.main(["replay", str(file)]) == 0
    assert "same" in capsys.readouterr().out
    stored = json.loads(kept.content)
    assert str(Verdict.from_json(stored["verdict"]).answer) == row.answer


def test_a_decision_file_that_was_changed_does_not_replay_to_the_same(
    relative: World, tmp_path: Path
) -> None:
    decide(relative, "declined")
    (row,) = decisions(relative)
    kept = relative.client("alice").get(reverse("intake:decision_file", args=[row.pk]))
    stored = json.loads(kept.content)
    stored["chart"]["facts"]["bladder_symptoms"][-1]["value"] = False
    file = tmp_path / "decision.json"
    file.write_text(json.dumps(stored))
    assert cli.main(["replay", str(file)]) != 0


def test_a_therapist_reads_the_decision_and_not_the_file(relative: World) -> None:
    decide(relative, "declined")
    (row,) = decisions(relative)
    tess = relative.client("tess")
    page = tess.get(reverse("intake:decision", args=[row.pk]))
    assert page.status_code == 200
    assert "Download for replay" not in text_of(page)
    assert tess.get(reverse("intake:decision_file", args=[row.pk])).status_code == 404


def test_a_decision_of_yesterday_is_shown_as_it_was_taken(well: World, clock: Clock) -> None:
    decide(well, "accepted")
    (row,) = decisions(well)
    clock.step(timedelta(days=40).total_seconds())
    page = text_of(well.client("alice").get(reverse("intake:decision", args=[row.pk])))
    assert "✓ eligible" in page
    assert after(well) == "need_more_information"
