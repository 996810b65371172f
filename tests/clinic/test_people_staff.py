"""The administrator's pages: who works here, in which roles, from when until when."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.urls import reverse

from clinic.audit.models import Event
from clinic.people import actions
from clinic.people.actions import Refused
from clinic.people.models import Role, Site, Staff
from tests.pages import text_of
from tests.world import STAFF, World

PASSWORD = "a first one, and long"
NEW = {"mail": "Noor@clinic.ca", "name": "Noor Haddad", "licence_number": "12", "roles": ["nurse"]}


def page(name: str, person: str = "bob") -> str:
    if name in ("person", "link"):
        staff_id = Staff.objects.get(user__username=person).pk
        return reverse(f"people:{name}", kwargs={"site": "toronto", "staff_id": staff_id})
    return (
        reverse("people:staff") if name == "staff" else reverse("people:invite", args=["toronto"])
    )


def address_in(response: Any) -> str:
    return urlsplit(str(response.context["address"])).path


def roles_of(username: str) -> set[str]:
    return set(Role.objects.filter(staff__user__username=username).values_list("role", flat=True))


@pytest.mark.parametrize("who", [name for name in STAFF if name != "ada"])
def test_only_an_administrator_sees_the_staff_pages(world: World, who: str) -> None:
    client = world.client(who)
    for name in ("staff", "invite", "person"):
        assert client.get(page(name)).status_code == 404, name
    assert client.post(page("person"), {"do": "roles", "roles": ["nurse"]}).status_code == 404
    assert client.post(page("link")).status_code == 404
    assert world.client("ada").get(page("person")).status_code == 200


def test_the_list_is_of_the_own_site_and_is_audited(world: World) -> None:
    told = text_of(world.client("ada").get(page("staff")))
    assert "Bob" in told
    assert "Charlie" not in told
    assert Event.objects.filter(action="staff.list").exists()
    there = reverse("people:invite", args=["vancouver"])
    assert world.client("ada").get(there).status_code == 404
    charlie = reverse(
        "people:person", kwargs={"site": "toronto", "staff_id": world.staff("charlie").pk}
    )
    assert world.client("ada").get(charlie).status_code == 404


def test_a_new_colleague_chooses_a_password_by_the_link_and_works(world: World) -> None:
    made = world.client("ada").post(page("invite"), NEW)
    link, browser = address_in(made), Client()
    short = browser.post(link, {"new_password1": "short", "new_password2": "short"})
    assert short.status_code == 400
    kept = browser.post(link, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert kept["Location"] == "/account/login/"
    assert "This link is spent" in text_of(browser.get(link))
    browser.post("/account/login/", {"login": "noor@clinic.ca", "password": PASSWORD})
    assert browser.get(reverse("intake:worklist")).status_code == 200
    written = set(Event.objects.values_list("action", flat=True))
    assert {"staff.add", "role.give", "staff.first_password"} <= written


def test_the_form_sent_twice_makes_one_person(world: World) -> None:
    ada = world.client("ada")
    for _ in range(2):
        assert ada.post(page("invite"), NEW).status_code == 200
    assert Staff.objects.filter(user__username="noor@clinic.ca").count() == 1
    assert Role.ever.filter(staff__user__username="noor@clinic.ca").count() == 1


def test_a_form_with_a_problem_keeps_what_was_typed(world: World) -> None:
    shown = world.client("ada").post(page("invite"), NEW | {"mail": "noor"})
    assert shown.status_code == 400
    assert "Noor Haddad" in shown.content.decode()
    blank = world.client("ada").post(page("invite"), NEW | {"name": "Ada", "mail": "ada"})
    assert blank.status_code == 400


def test_a_link_that_is_forged_too_old_or_of_nobody_opens_nothing(
    world: World, settings: Any
) -> None:
    link = address_in(world.client("ada").post(page("invite"), NEW))
    browser = Client()
    assert browser.get(link).status_code == 200
    assert browser.get(link[:-2] + "x/").status_code == 404
    nobody = reverse("people:welcome", kwargs={"staff_id": world.course.pk, "token": "x"})
    assert browser.get(nobody).status_code == 404
    bobs = reverse("people:welcome", kwargs={"staff_id": world.staff("bob").pk, "token": "x"})
    assert browser.get(bobs).status_code == 404
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert browser.get(link).status_code == 404


def test_a_role_that_ends_opens_nothing_from_the_next_request_on(world: World) -> None:
    bob, ada = world.client("bob"), world.client("ada")
    assert bob.get(reverse("intake:worklist")).status_code == 200
    saved = ada.post(page("person"), {"do": "roles", "roles": ["therapist", "coordinator"]})
    assert saved.status_code == 302
    assert roles_of("bob") == {"therapist", "coordinator"}
    ended = ada.post(page("person"), {"do": "roles"})
    assert ended.status_code == 302
    assert bob.get(reverse("intake:worklist")).status_code == 404
    assert "none any more" in text_of(ada.get(page("staff")))
    shown = text_of(ada.get(page("person")))
    assert "until" in shown
    given = ada.post(page("person"), {"do": "roles", "roles": ["nurse"]})
    assert given.status_code == 302
    assert bob.get(reverse("intake:worklist")).status_code == 200
    assert Role.ever.filter(staff=world.staff("bob"), role="nurse").count() == 2


def test_nobody_gives_themselves_a_role_or_a_link(world: World) -> None:
    ada = world.client("ada")
    sent = ada.post(page("person", "ada"), {"do": "roles", "roles": ["prescriber"]})
    assert sent.status_code == 400
    assert "ask another administrator" in text_of(sent)
    assert roles_of("ada") == {"administrator"}
    assert ada.post(page("link", "ada")).status_code == 302
    assert world.staff("ada").user.has_usable_password()
    about = {"do": "person", "name": "Dr. Ada", "licence_number": "1"}
    assert ada.post(page("person", "ada"), about).status_code == 400
    mine = NEW | {"mail": "ada", "roles": ["prescriber"]}
    assert ada.post(page("invite"), mine).status_code == 400


def test_a_lost_password_is_taken_away_and_signs_the_person_out(world: World) -> None:
    bob = world.client("bob")
    made = world.client("ada").post(page("link"))
    assert address_in(made).startswith("/welcome/")
    assert not world.staff("bob").user.has_usable_password()
    assert bob.get(reverse("today:today"))["Location"].startswith("/account/login/")


def test_a_name_and_a_licence_number_are_put_right(world: World) -> None:
    about = {"do": "person", "name": "Robert", "licence_number": "RN 7"}
    assert world.client("ada").post(page("person"), about).status_code == 302
    row = world.staff("bob")
    assert (row.name, row.licence_number) == ("Robert", "RN 7")
    assert Event.objects.filter(action="staff.correct").exists()


def test_who_works_here_no_more_is_no_longer_this_administrators(world: World) -> None:
    toronto, bob = Site.objects.get(pk="toronto"), world.staff("bob")
    with world.acting("ada") as by:
        actions.set_roles(staff=bob, site=toronto, roles=[], by=by)
        with pytest.raises(Refused, match="holds no role at Toronto any more"):
            actions.forget_password(staff=bob, site=toronto, by=by)
    assert bob.user.has_usable_password()


def test_somebody_of_another_site_keeps_name_and_password(world: World) -> None:
    user = world.staff("charlie").user
    user.username = "charlie@clinic.ca"
    user.save()
    made = world.client("ada").post(page("invite"), NEW | {"mail": "charlie@clinic.ca"})
    assert made.context["address"] == ""
    assert "the roles hold from now on" in text_of(made)
    assert roles_of("charlie@clinic.ca") == {"nurse", "prescriber"}
    assert Staff.objects.get(user=user).name == "Charlie"


# -- what the database itself keeps ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE people_role SET ended_at = NULL, ended_by = '' WHERE ended_by <> ''", "never"),
        ("UPDATE people_role SET site_id = 'vancouver'", "permission denied"),
        ("DELETE FROM people_role", "permission denied"),
        ("UPDATE people_staff SET user_id = 1", "permission denied"),
        (
            "INSERT INTO people_role (staff_id, site_id, role, author, recorded_at, ended_by)"
            " SELECT staff_id, 'vancouver', 'nurse', 'x', now(), '' FROM people_role LIMIT 1",
            "row-level security",
        ),
        (
            "UPDATE people_role SET ended_at = now(), ended_by = 'x' WHERE site_id = 'vancouver'",
            "row-level security",
        ),
    ],
)
def test_a_role_ends_once_and_only_at_the_own_site(world: World, statement: str, said: str) -> None:
    toronto = Site.objects.get(pk="toronto")
    with world.acting("ada") as by:
        actions.set_roles(staff=world.staff("bob"), site=toronto, roles=["therapist"], by=by)
        with (
            pytest.raises(ProgrammingError, match=said),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_the_end_of_a_role_has_the_servers_time(world: World) -> None:
    with world.acting("ada"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE people_role SET ended_at = '2001-01-01', ended_by = 'x' WHERE role = 'nurse'"
            " AND site_id = 'toronto' RETURNING ended_at > '2002-01-01'"
        )
        assert {row[0] for row in cursor.fetchall()} == {True}
