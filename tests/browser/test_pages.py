"""Every page in every theme and language: no finding of axe, no complaint of the console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from clinic.outcomes import actions as outcomes
from clinic.portal.self_check import questions
from tests import world
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.people import Person

LANGUAGES = ("en", "fr")
THEMES = ("day", "dim")


@pytest.fixture(scope="module")
def marie(clinic: Any, browser: Any) -> scene.Marie:
    """A person in the hour, with a monitor bound."""
    assert clinic
    assert browser
    course = scene.arrives()
    marie = scene.planned(course)
    scene.bind(marie)
    return scene.start(marie)


def link_of(course: Any) -> outcomes.Sent:
    """Make a link for a questionnaire."""
    with world.acting("cora") as by:
        return outcomes.send_questionnaire(course=course, instrument_id="phq9", by=by)


def places(marie: scene.Marie) -> Iterator[tuple[str, str | None, str]]:
    """Yield name, person and path of every page."""
    course, dose, talk = marie.course.pk, marie.dosing.pk, marie.integration.pk
    token = link_of(marie.course).token
    yield from (
        ("home", None, "/"),
        ("self-check", None, "/self-check/toronto/"),
        ("login", None, "/account/login/"),
        ("help", None, "/me/help"),
        ("questionnaire", None, f"/me/q/{token}/"),
        ("today", "bob", "/today/"),
        ("patients", "bob", "/today/patients"),
        ("worklist", "alice", "/intake/"),
        ("screening", "bob", f"/intake/{course}/"),
        ("review", "alice", f"/intake/{course}/review"),
        ("consent", "bob", f"/intake/{course}/consent"),
        ("order", "alice", f"/sessions/{dose}/order?mg_per_kg=0.5&minutes=40"),
        ("start", "bob", f"/sessions/{dose}/start"),
        ("session", "bob", f"/sessions/{dose}"),
        ("discharge", "bob", f"/sessions/{dose}/discharge"),
        ("record", "bob", f"/sessions/{dose}/record"),
        ("board", "bob", "/sessions/board"),
        ("course", "alice", f"/courses/{course}/"),
        ("note", "tess", f"/therapy/{talk}/"),
        ("audit", "pri", "/today/audit"),
        ("quarantine", "bob", "/devices/quarantine"),
        ("gallery", "ada", "/admin/ui"),
    )


def faults(person: Person) -> list[str]:
    """Return what axe finds wrong on the page that is open."""
    found = Axe().run(person.page).response["violations"]
    return [
        f"{person.page.url.split('/', 3)[3]}: {one['id']}: {node['target']}"
        for one in found
        for node in one["nodes"]
    ]


def themed(person: Person, theme: str) -> None:
    """Turn the page light or dim as its switch does; a fixed theme stays."""
    person.page.evaluate(
        "theme => { const page = document.documentElement;"
        " if (!page.hasAttribute('data-theme-fixed')) page.dataset.theme = theme }",
        theme,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_is_closed_to_a_person_with_a_disability(
    at: Open, marie: scene.Marie, language: str
) -> None:
    people: dict[str | None, Person] = {}
    found: list[str] = []
    for name, who, path in places(marie):
        if who not in people:
            people[who] = at(who, locale=f"{language}-CA", reduced_motion="reduce")
        page = people[who].go(path)
        spoken = "en" if name == "questionnaire" else language  # it speaks the patient's own
        assert page.locator("html").get_attribute("lang") == spoken, path
        for theme in THEMES:
            themed(people[who], theme)
            found += [f"{theme} {language} {line}" for line in faults(people[who])]
    assert sorted(set(found)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_of_the_self_check_and_the_care_page_are_open_to_all(
    at: Open, marie: scene.Marie, language: str
) -> None:
    person = at(locale=f"{language}-CA")
    page = person.go("/self-check/toronto/")
    for kind in questions():
        if kind.type == "bool":
            page.locator(f"[name={kind.name}][value=no]").check(force=True)
    page.locator("main form button").last.click()
    page.wait_for_selector("#call")
    found = faults(person)
    page = person.go(f"/me/q/{link_of(marie.course).token}/")
    page.locator("[name=q9][value='1']").evaluate("radio => { radio.checked = true }")
    page.locator("form[data-questions]").evaluate("form => form.submit()")
    page.wait_for_selector(".care-card")
    assert page.locator("a[href='tel:988']").count() > 0
    assert found + faults(person) == []


def test_axe_sees_a_fault_where_there_is_one(at: Open) -> None:
    person = at("bob")
    person.go("/today/")
    person.page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/x.svg\">')"
    )
    assert any("image-alt" in line for line in faults(person))
    person.complaints.clear()  # the picture is not there
