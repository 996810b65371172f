"""Every page in every theme and language: no finding of axe, no complaint of the console."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from clinic.dosing import actions as dosing
from clinic.outcomes import actions as outcomes
from clinic.portal.self_check import questions
from tests import world
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.people import Person

LANGUAGES = ("en", "fr")
THEMES = ("day", "dim")
GALLERY = ("day", "dim", "board")


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
        ("booked", "bob", "/today/booked"),
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
        *((f"gallery {theme}", "ada", f"/admin/ui?theme={theme}") for theme in GALLERY),
    )


def faults(person: Person) -> list[str]:
    """Return what axe finds wrong on the page that is open."""
    found = Axe().run(person.page).response["violations"]
    return [
        f"{person.page.url.split('/', 3)[3]}: {one['id']}: {node['target']}"
        for one in found
        for node in one["nodes"]
    ]


def in_each_theme(person: Person) -> Iterator[str]:
    """Turn the page by its own switch, as a person does; one whose room decides stays as it is."""
    page = person.page
    yield str(page.locator("html").get_attribute("data-theme"))
    switch = page.locator("[data-theme-switch]")
    if page.locator("html[data-theme-fixed]").count() or not switch.count():
        return
    switch.click()
    page.wait_for_timeout(50)
    yield str(page.locator("html").get_attribute("data-theme"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_is_closed_to_a_person_with_a_disability(
    at: Open, marie: scene.Marie, language: str
) -> None:
    people: dict[str | None, Person] = {}
    found: list[str] = []
    seen: set[tuple[str, str]] = set()
    for name, who, path in places(marie):
        if who not in people:
            people[who] = at(who, locale=f"{language}-CA", reduced_motion="reduce")
        page = people[who].go(path)
        spoken = "en" if name == "questionnaire" else language  # it speaks the patient's own
        assert page.locator("html").get_attribute("lang") == spoken, path
        for theme in in_each_theme(people[who]):
            seen.add((name, theme))
            found += [f"{theme} {language} {line}" for line in faults(people[who])]
    assert sorted(set(found)) == []
    assert {theme for _, theme in seen} == {*THEMES, "board"}
    assert {theme for name, theme in seen if name == "today"} == set(THEMES)


@pytest.fixture(scope="module")
def ana(clinic: Any, browser: Any) -> scene.Marie:
    """A person before the dose: nothing is ordered yet."""
    assert clinic
    assert browser
    return scene.planned(scene.arrives("Ana Costa"))


def order_empty(page: Page) -> None:
    """Ask for the arithmetic of nothing, past the browser's own check."""
    page.locator("form:has([name=final_ml])").evaluate("form => { form.noValidate = true }")
    page.locator("main form:has([name=final_ml]) button").first.click()
    page.locator("[data-error-summary]").wait_for()


def order_shown(page: Page) -> None:
    """Ask for the arithmetic of a dose."""
    page.fill("[name=vial_mg_per_ml]", "50")
    page.fill("[name=final_ml]", "50")
    page.locator("main form:has([name=final_ml]) button").first.click()
    page.locator("button[name=sign]").wait_for()


def start_refused(page: Page) -> None:
    """Sign the second check with a wrong password."""
    page.fill("[name=second_username]", "nina")
    page.fill("[name=second_password]", "not this one")
    page.fill("[name=rate_ml_h]", "75")
    page.locator("form:has([name=second_password]) button").first.click()
    page.locator("[data-error-summary]").wait_for()


def again_empty(page: Page) -> None:
    """Record a further reading without one."""
    page.locator("form:has([name=do][value=again]) button").first.click()
    page.locator("[data-error-summary]").wait_for()


def as_it_is(page: Page) -> None:
    """Leave the page as it opened."""
    page.wait_for_load_state()


def told_what_is_wrong(person: Person) -> None:
    """Take the refused form off the console's complaints, one for one: the browser repeats it."""
    said = "the server responded with a status of 400 (Bad Request)"
    person.complaints.remove(next(line for line in person.complaints if said in line))


Done = tuple[str, str, Callable[[Page], None]]
ORDER: tuple[Done, ...] = (
    ("alice", "order?mg_per_kg=0.5&minutes=40", as_it_is),
    ("alice", "order", order_empty),
    ("alice", "order?mg_per_kg=0.5&minutes=40", order_shown),
)
START: tuple[Done, ...] = (
    ("bob", "start", as_it_is),
    ("bob", "start", start_refused),
    ("bob", "start", again_empty),
)
REFUSED = (order_empty, start_refused, again_empty)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_forms_before_a_start_and_their_mistakes_are_open_to_all(
    at: Open, ana: scene.Marie, language: str
) -> None:
    device = {"locale": f"{language}-CA", "reduced_motion": "reduce"}
    people = {name: at(name, **device) for name in ("alice", "bob")}
    found: list[str] = []
    for step in (ORDER, START):
        if step is START:
            ordered(ana)
        for who, part, do in step:
            page = people[who].go(f"/sessions/{ana.dosing.pk}/{part}")
            do(page)
            for theme in in_each_theme(people[who]):
                found += [f"{do.__name__} {theme} {line}" for line in faults(people[who])]
            if do in REFUSED:
                told_what_is_wrong(people[who])
                assert page.title().startswith("Problem" if language == "en" else "Problème")
    assert found == []


def ordered(ana: scene.Marie) -> None:
    """Sign the order once."""
    with world.acting("alice"):
        if not ana.dosing.orders.exists():
            world.sign_order(ana.dosing)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_open_alarm_is_open_to_all_in_the_room_and_on_the_wall(
    at: Open, marie: scene.Marie, language: str
) -> None:
    high = {"systolic": Decimal(172), "diastolic": Decimal(98)}
    with world.acting("bob") as by:
        dosing.record_set(session=marie.dosing, values=high, key=uuid4(), by=by)
    bob, found = at("bob", locale=f"{language}-CA", reduced_motion="reduce"), []
    page = bob.go(f"/sessions/{marie.dosing.pk}")
    alarm = page.locator("[data-alarm]:has-text('172')")
    alarm.wait_for()
    alarm.locator("summary").click()
    page.locator("[data-later] summary, .log summary, .menu summary").last.click()
    found += faults(bob)
    page.keyboard.press("Escape")
    page.locator(".log summary").click()
    found += faults(bob)
    page = bob.go("/sessions/board")
    page.locator("tr.alarm").first.wait_for()
    found += faults(bob)
    assert found == []


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
