"""The access policy and the routes are one set, and each disagreement stops the program."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.http import HttpResponse
from django.urls import path

from clinic.people import access
from clinic.people.access import ANYONE, SIGNED_IN, PolicyError

PUBLIC = {
    "home",
    "healthz",
    "language",
    "account_login",
    "account_inactive",
    "people:welcome",
    "mfa_authenticate",
    "mfa_login_webauthn",
    "self_check:start",
    "self_check:agree",
    "self_check:thanks",
    "portal:help",
    "portal:questionnaire",
    "portal:safe",
    "portal:thanks",
}


def test_every_route_has_an_entry_and_every_entry_a_route() -> None:
    access.check()
    assert len(set(access.routes())) > 40


def test_a_route_without_an_entry_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    from clinic import urls

    more = [*urls.urlpatterns, path("back-door", lambda _request: HttpResponse(), name="back_door")]
    monkeypatch.setattr(access, "get_resolver", lambda: SimpleNamespace(url_patterns=more))
    with pytest.raises(PolicyError, match="route back_door has no entry"):
        access.check()


def test_an_entry_without_a_route_stops_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(access.POLICY.read_text() + '\n["intake:gone"]\nGET = { roles = ["nurse"] }\n')
    monkeypatch.setattr(access, "POLICY", file)
    monkeypatch.setattr(access, "policy", access.policy.__wrapped__)
    with pytest.raises(PolicyError, match="entry intake:gone has no route"):
        access.check()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('[home]\nGET = { roles = ["boss"] }', "unknown \\['boss'\\]"),
        ('[home]\nDELETE = { roles = ["nurse"] }', "unknown DELETE"),
    ],
)
def test_a_role_or_method_that_does_not_exist_stops_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: str, said: str
) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(entry)
    monkeypatch.setattr(access, "POLICY", file)
    with pytest.raises(PolicyError, match=said):
        access.policy.__wrapped__()


@pytest.mark.filterwarnings("ignore:No directory at")  # static files are collected when served
def test_the_web_program_does_not_start_on_a_policy_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise PolicyError("a test's")

    program = Path(access.__file__).parents[1] / "asgi.py"
    assert "application" in runpy.run_path(str(program))
    monkeypatch.setattr(access, "check", fail)
    with pytest.raises(PolicyError, match="a test's"):
        runpy.run_path(str(program))


def test_what_the_public_may_open_is_listed_here() -> None:
    opened = {view for (view, _method), permit in access.policy().items() if ANYONE in permit.roles}
    assert opened == PUBLIC


def test_administrator_and_devices_hold_no_clinical_reading() -> None:
    clinical = ("intake:", "dosing:", "outcomes:", "therapy:")
    for (view, method), permit in access.policy().items():
        if view.startswith(clinical):
            assert not {"administrator", "device", "privacy_officer", SIGNED_IN} & set(
                permit.roles
            ), (view, method)


def test_every_page_about_a_patient_must_be_audited() -> None:
    about_patients = ("intake:", "dosing:", "outcomes:", "therapy:", "today:", "devices:")
    for (view, method), permit in access.policy().items():
        if view.startswith(about_patients):
            assert permit.audited, (view, method)
