"""A questionnaire on a phone: one tap an answer, keys too, and a plain form without script."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from clinic.course.models import Course
from clinic.outcomes import actions as outcomes
from clinic.outcomes.models import Response
from tests import world
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.people import PHONE

ITEMS = 10  # nine that are counted, and how hard they made life
MOST_TAPS = 11


@pytest.fixture(scope="module")
def course(clinic: Any, browser: Any) -> Course:
    """A person who may be sent a questionnaire."""
    assert clinic
    assert browser
    return scene.arrives()


def path_of_link(course: Course) -> str:
    """Make a link and return its path."""
    with world.acting("cora") as by:
        sent = outcomes.send_questionnaire(course=course, instrument_id="phq9", by=by)
    return f"/me/q/{sent.token}/"


def last_total(course: Course) -> int | None:
    """Return the total of the newest answers."""
    with world.acting("alice"):
        return Response.objects.filter(course=course).latest("answered_at").total


def question(page: Page, number: int) -> Any:
    """Return one question's place on the page."""
    return page.locator(f"[data-question='{number}']")


def test_nine_answers_take_eleven_taps_at_most(at: Open, course: Course) -> None:
    page = at(viewport=PHONE, has_touch=True).go(path_of_link(course))
    taps = 0
    for number in range(1, ITEMS + 1):
        question(page, number).locator("label.choice").nth(number % 2).tap()
        question(page, number).wait_for(state="hidden")
        taps += 1
    page.locator("[data-send]").tap()
    taps += 1
    page.locator(".care-card").wait_for()  # item 9 was answered with 1
    assert taps <= MOST_TAPS
    assert last_total(course) == 5


def test_a_key_answers_and_backspace_goes_back(at: Open, course: Course) -> None:
    page = at().go(path_of_link(course))
    for key in ("0", "1", "2"):
        page.keyboard.press(key)
    page.keyboard.press("Backspace")
    page.keyboard.press("3")
    for _ in range(ITEMS - 3):
        page.keyboard.press("0")
    page.locator("[data-send]").click()
    page.wait_for_url("**/done")
    assert last_total(course) == 4


def test_without_script_the_form_is_one_page_and_works(at: Open, course: Course) -> None:
    page = at(java_script_enabled=False).go(path_of_link(course))
    for number in range(1, ITEMS + 1):
        place = question(page, number)
        assert place.is_visible()
        place.locator(f"[value='{1 if number < 9 else 0}']").check(force=True)
    page.locator("[data-send]").click()
    page.wait_for_url("**/done")
    assert last_total(course) == 8
