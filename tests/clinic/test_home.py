"""The front door: health, language, and an address that leads nowhere else."""

from __future__ import annotations

import pytest
from django.test import Client

from clinic import database
from clinic.database import Check
from clinic.people.views import _own_path

pytestmark = pytest.mark.django_db


def test_health_names_every_check_and_says_ok() -> None:
    answer = Client().get("/healthz")
    assert answer.status_code == 200
    assert {"fsync", "synchronous_commit", "full_page_writes", "role"} <= {
        check["name"] for check in answer.json()["checks"]
    }


def test_one_failed_check_makes_the_clinic_unwell(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = [Check("fsync", False, "off", "on")]
    monkeypatch.setattr(database, "checks", lambda _connection: failed)
    answer = Client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["ok"] is False


def test_a_warning_alone_leaves_the_clinic_well(monkeypatch: pytest.MonkeyPatch) -> None:
    warned = [Check("data_checksums", False, "off", "on", only_warns=True)]
    monkeypatch.setattr(database, "checks", lambda _connection: warned)
    assert Client().get("/healthz").status_code == 200


def test_a_language_is_remembered_and_the_reader_stays_on_the_page() -> None:
    answer = Client().post("/language", {"language": "fr", "next": "/me/help"})
    assert answer["Location"] == "/me/help"
    assert answer.cookies["django_language"].value == "fr"


def test_a_language_nobody_speaks_here_is_not_remembered() -> None:
    answer = Client().post("/language", {"language": "xx", "next": "/"})
    assert "django_language" not in answer.cookies


@pytest.mark.parametrize("address", ["https://example.org/", "//example.org/", "me/help", ""])
def test_an_address_outside_the_clinic_leads_to_the_front_door(address: str) -> None:
    assert _own_path(address) == "/"


def test_an_unknown_address_and_a_page_for_nobody_answer_alike() -> None:
    assert Client().get("/no-such-page").status_code == 404
    assert Client().get("/account/signup/").status_code == 404


def test_a_method_nobody_may_use_is_refused_by_name() -> None:
    answer = Client().get("/language")
    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
