"""`clinic site` and `clinic staff`: an empty clinical installation gets its places and people."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client

from clinic.audit.models import Event
from clinic.people.management.commands import site as site_command
from clinic.people.models import Role, Room, Site, Staff
from tests.pages import text_of

TORONTO = [
    *("add", "toronto", "--name", "Harbour Clinic", "--zone", "America/Toronto"),
    *("--jurisdiction", "ca-on", "--phone", "+1 416 555 0100", "--address", "1 Quay, Toronto"),
    *("--room", "1", "--room", "2"),
]
ADA = ["add", "ada@clinic.ca", "--name", "Ada Berg", "--site", "toronto", "--role", "administrator"]
PASSWORD = "a first one, and long"


def changed(words: list[str], **told: str) -> list[str]:
    """Return a command line with some of its options said otherwise."""
    said = list(words)
    for option, value in told.items():
        said[said.index(f"--{option}") + 1] = value
    return said


@pytest.mark.usefixtures("empty")
def test_a_site_is_opened_with_its_rooms_and_the_same_again_changes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("site", *TORONTO)
    call_command("site", *TORONTO)
    assert "toronto: Harbour Clinic, America/Toronto, rooms: 1, 2" in capsys.readouterr().out
    assert [site.pk for site in Site.objects.all()] == ["toronto"]
    assert Room.objects.count() == 2
    written = Event.objects.order_by("id").values_list("action", "site_id", "actor")
    assert list(written) == [
        ("site.add", "toronto", "owner:command"),
        ("room.add", "toronto", "owner:command"),
        ("room.add", "toronto", "owner:command"),
    ]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"zone": "America/Tronto"}, "zone 'America/Tronto' is unknown"),
        ({"jurisdiction": "us-ny"}, "say ca-on or ca-bc"),
        ({"name": " "}, "name: empty"),
        ({"room": "x" * 21}, "as on its door"),
    ],
)
def test_a_site_that_cannot_be_is_refused_whole(told: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("site", *changed(TORONTO, **told))
    assert not Site.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.usefixtures("empty")
def test_a_code_names_one_site() -> None:
    call_command("site", *TORONTO)
    with pytest.raises(CommandError, match="is there already with another zone"):
        call_command("site", *changed(TORONTO, zone="America/Vancouver"))
    with pytest.raises(CommandError, match="code 'To ronto'"):
        call_command("site", "add", "To ronto", *TORONTO[2:])
    assert Site.objects.get().zone == "America/Toronto"


@pytest.mark.usefixtures("empty")
def test_a_database_behind_the_program_gets_no_site(monkeypatch: pytest.MonkeyPatch) -> None:
    def behind() -> None:
        raise CommandError("run `clinic migrate` first")

    monkeypatch.setattr(site_command, "check_schema", behind)
    with pytest.raises(CommandError, match="clinic migrate"):
        call_command("site", *TORONTO)


def link_in(told: str) -> str:
    found = re.search(r"http://[^/]+(/welcome/\S+)", told)
    assert found is not None, told
    return found[1]


@pytest.mark.usefixtures("empty")
def test_the_first_administrator_comes_by_a_link_and_works_behind_a_second_factor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("site", *TORONTO)
    call_command("staff", *ADA)
    told = capsys.readouterr().out
    assert "ada@clinic.ca: administrator at Harbour Clinic" in told
    browser, link = Client(), link_in(told)
    assert "Ada Berg" in text_of(browser.get(link))
    chosen = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert browser.post(link, chosen)["Location"] == "/account/login/"
    assert browser.get(link).status_code == 404
    assert browser.post(link, chosen).status_code == 404
    browser.post("/account/login/", {"login": "ada@clinic.ca", "password": PASSWORD})
    assert browser.get("/admin/staff/")["Location"] == "/account/mfa/"


@pytest.mark.usefixtures("empty")
def test_adding_the_same_person_again_adds_nothing_and_gives_a_link_until_it_is_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("site", *TORONTO)
    for _ in range(2):
        call_command("staff", *ADA)
        link_in(capsys.readouterr().out)
    assert (Staff.objects.count(), Role.ever.count()) == (1, 1)
    user = get_user_model().objects.get()
    user.set_password(PASSWORD)
    user.save()
    call_command("staff", *ADA)
    assert "There is a password already" in capsys.readouterr().out
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    call_command("staff", "link", "ada@clinic.ca", "--site", "toronto")
    assert link_in(capsys.readouterr().out)
    user.refresh_from_db()
    assert not user.has_usable_password()


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (changed(ADA, site="nowhere"), "there is no site 'nowhere'; there are: toronto"),
        (changed(ADA, role="boss"), "There is no role boss; there are coordinator"),
        (["add", "ada", *ADA[2:]], "ada is no e-mail address"),
        (changed(ADA, name=""), "The name is empty"),
        (["link", "who@clinic.ca", "--site", "toronto"], "nobody signs in as 'who@clinic.ca'"),
    ],
)
def test_staff_that_cannot_be_are_refused_with_the_way_out(words: list[str], said: str) -> None:
    call_command("site", *TORONTO)
    with pytest.raises(CommandError, match=said):
        call_command("staff", *words)
    assert not get_user_model().objects.exists()
