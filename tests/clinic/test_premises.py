"""No dose where the jurisdiction asks for approved premises and no approval is on file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import translation
from psycopg.errors import InsufficientPrivilege

from clinic.course.actions import Refused
from clinic.course.premises import asked_words, closed_words
from clinic.database import now
from clinic.dosing import actions as dosing
from clinic.dosing import queries as dosing_queries
from clinic.people import premises as people_premises
from clinic.people.models import PremisesApproval, Site
from clinic.people.premises import Premises, premises
from clinic.postgres import Server
from kap.jurisdiction import load_jurisdiction
from tests import world as ground
from tests.clinic.test_people_commands import TORONTO
from tests.conftest import clone_of
from tests.pages import text_of
from tests.world import DRAFT, World

DAY = date(2026, 11, 24)


@pytest.fixture
def unapproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The approval of Toronto, which the program cannot remove, is not found."""
    monkeypatch.setattr(people_premises, "_approval", lambda *_asked: None)


# -- what closes -----------------------------------------------------------------------------------


def test_approved_premises_close_nothing_and_are_named_on_the_gates(world: World) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    session = ground.plan_dose(world.course)
    ground.eligible_for_start(session)
    page = text_of(world.client("alice").get(reverse("dosing:order", args=[session.pk])))
    assert "✓ Premises: approval tests is on file [D; S:75; S:76]" in page
    assert ground.sign_order(session)


def test_nothing_is_planned_on_premises_that_are_not_approved(
    world: World, unapproved: None
) -> None:
    with pytest.raises(Refused, match=r"for IV is not on file\. O\. Reg\. 114/94.*site authorise"):
        ground.plan_dose(world.course)
    assert unapproved is None


def test_an_approval_that_ended_meanwhile_closes_the_order_and_the_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground.known_well(world.course)
    ground.accept(world.course)
    session = ground.plan_dose(world.course)
    ground.eligible_for_start(session)
    order = ground.sign_order(session)
    assert dosing_queries.start_gate(session, order, now()).premises_bar == ""
    monkeypatch.setattr(people_premises, "_approval", lambda *_asked: None)
    gate = dosing_queries.start_gate(session, order, now())
    assert (gate.is_open, "is not on file" in gate.premises_bar) == (False, True)
    with world.acting("alice") as by, pytest.raises(Refused, match="is not on file"):
        dosing.sign_order(session=session, draft=DRAFT, key=uuid4(), by=by)
    with world.acting("bob") as by, pytest.raises(Refused, match="is not on file"):
        dosing.authorise(
            session=session,
            order=order,
            second=world.staff("nina"),
            rate_ml_h=dosing_queries.plan_of(order).rate_ml_h,
            key=uuid4(),
            by=by,
        )
    page = world.client("alice").get(reverse("dosing:order", args=[session.pk]))
    assert "✕ Not on these premises The approval of these premises" in text_of(page)
    with translation.override("en"):  # a French page leaves its language behind
        french = world.client("bob").get(
            reverse("dosing:start", args=[session.pk]), headers={"accept-language": "fr"}
        )
    assert "Pas dans ces locaux" in text_of(french)


def test_the_way_home_asks_nothing_of_the_premises(world: World, unapproved: None) -> None:
    ground.known_well(world.course)
    session = _planned_before(world)
    assert dosing_queries.discharge_gate(session, now()).premises_bar == ""
    assert unapproved is None


def _planned_before(world: World) -> Any:
    from clinic.course.models import Session

    return Session.add(
        site=world.site,
        patient=world.patient,
        author="owner",
        author_role="nurse",
        recorded_at=now(),
        course=world.course,
        kind="dosing",
        planned_start=now() + timedelta(hours=1),
        planned_minutes=150,
        number=1,
    )


# -- what is asked ---------------------------------------------------------------------------------


def test_what_the_jurisdiction_says_nothing_about_is_closed(world: World) -> None:
    found = premises(world.site, "NASAL", DAY)
    assert (found.is_open, found.asked) == (False, None)
    assert "say nothing about premises for NASAL" in closed_words(found)


def test_where_the_community_is_open_no_approval_is_asked() -> None:
    asked = load_jurisdiction("ca-bc").premises("IM", DAY)
    assert not asked.needs_approval
    assert Premises("IM", asked, None, "ca-bc").is_open
    iv = load_jurisdiction("ca-bc").premises("IV", DAY)
    assert not Premises("IV", iv, None, "ca-bc").is_open
    assert not load_jurisdiction("ca-bc").the("schedule", DAY).needs_approval


def test_what_is_not_verified_says_so() -> None:
    asked = load_jurisdiction("ca-on").on("event_report", DAY)[0]
    assert asked_words(Premises("IV", asked, None, "ca-on")).endswith("; S:75; S:76, not verified]")


# -- the command -----------------------------------------------------------------------------------

PAPER = ["authorise", "toronto", "--route", "IV", "--reference", "CPSO OHP 12"]


def open_on(day: date) -> bool:
    return premises(Site.objects.get(), "IV", day).is_open


@pytest.mark.usefixtures("empty")
def test_an_approval_is_recorded_once_holds_between_its_days_and_ends(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("site", *TORONTO)
    assert not open_on(DAY)
    days = ["--from", "2026-11-24", "--until", "2027-11-23"]
    call_command("site", *PAPER, *days)
    call_command("site", *PAPER, *days)
    assert PremisesApproval.objects.count() == 1
    said = capsys.readouterr().out
    assert "IV ohp_approved from 2026-11-24 until 2027-11-23: CPSO OHP 12" in said
    assert [open_on(DAY + timedelta(days=n)) for n in (-1, 0, 364, 365)] == [
        *(False, True, True, False)
    ]
    call_command("site", "withdraw", "toronto", "--route", "IV", "--reason", "moved")
    assert not open_on(DAY)
    assert "1 approval of IV ended" in capsys.readouterr().out
    call_command("site", *PAPER)
    assert open_on(now().date() + timedelta(days=1))


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["authorise", "nowhere", *PAPER[2:]], "no site 'nowhere'; there are: toronto"),
        ([*PAPER[:3], "NASAL", *PAPER[4:]], "ca-on says nothing about premises for 'NASAL'"),
        ([*PAPER[:5], " "], "reference: empty"),
        ([*PAPER, "--from", "2026-11-24", "--until", "2026-11-01"], "until 2026-11-01: before"),
        (["withdraw", "toronto", "--route", "IV", "--reason", "x"], "no approval of toronto"),
        (["withdraw", "toronto", "--route", "IV", "--reason", " "], "reason: empty"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_the_way_out(words: list[str], said: str) -> None:
    call_command("site", *TORONTO)
    with pytest.raises(CommandError, match=said):
        call_command("site", *words)
    assert not PremisesApproval.objects.exists()


@pytest.mark.usefixtures("empty")
def test_where_no_approval_is_asked_none_is_recorded() -> None:
    bc = ["ca-bc" if word == "ca-on" else word for word in TORONTO]
    call_command("site", *bc)
    with pytest.raises(CommandError, match="asks for no approval of premises for IM"):
        call_command("site", *PAPER[:3], "IM", *PAPER[4:])


@pytest.fixture
def app(server: Server, template_database: str, django_db_blocker: Any) -> Iterator[Any]:
    """A connection as the program's own role."""
    name = f"test_{uuid4().hex[:12]}"
    with (
        django_db_blocker.unblock(),
        clone_of(server, template_database, name),
        psycopg.connect(server.url("ag_app", name)) as connection,
    ):
        yield connection


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO people_premisesapproval SELECT * FROM people_premisesapproval",
        "UPDATE people_premisesapproval SET valid_until = NULL",
        "DELETE FROM people_premisesapproval",
    ],
)
def test_the_program_itself_approves_nothing(app: Any, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        app.execute(statement)
