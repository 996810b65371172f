"""The prescriber's review in a browser: evidence by keyboard and on paper, what if, both themes."""

from __future__ import annotations

from typing import Any

import pytest

from kap.facts import vocabulary
from tests import world
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.people import Person
from tests.browser.test_pages import faults, in_each_theme


@pytest.fixture(scope="module")
def course(clinic: Any, browser: Any) -> Any:
    """Marie's course, in which one thing speaks against a dose."""
    assert clinic
    assert browser
    course = scene.arrives("Rita Moss")
    with world.acting("bob"):
        world.tell(course, bladder_symptoms=True)
    return course


def reviewed(at: Open, course: Any, **device: Any) -> Person:
    one = at("alice", **device)
    one.go(f"/intake/{course.pk}/review")
    return one


def test_the_evidence_opens_by_keyboard_and_axe_finds_nothing(at: Open, course: Any) -> None:
    one = reviewed(at, course, reduced_motion="reduce")
    evidence = one.page.locator(".evidence").first
    evidence.locator("summary").focus()
    one.page.keyboard.press("Enter")
    assert "Bob, nurse" in evidence.locator(".evidence-rows").inner_text()
    assert [fault for _theme in in_each_theme(one) for fault in faults(one)] == []


def test_the_evidence_is_on_paper_without_being_opened(at: Open, course: Any) -> None:
    page = reviewed(at, course).page
    rows = page.locator(".evidence-rows").first
    assert not rows.is_visible()
    page.emulate_media(media="print")
    assert rows.is_visible()


@pytest.mark.parametrize("script", [True, False])
def test_what_if_is_asked_with_and_without_script(at: Open, course: Any, script: bool) -> None:
    one = reviewed(at, course, java_script_enabled=script)
    page, address = one.page, one.page.url
    page.fill("[name=fact_1]", vocabulary()["bladder_symptoms"].ask["en"])
    page.fill("[name=value_1]", "no")
    page.get_by_role("button", name="Ask what if").click()
    page.locator(".what-if").wait_for()
    said = page.locator(".what-if").inner_text()
    assert "What if: nothing is stored" in said
    assert "R-CYST" in said
    assert "bladder" not in page.url
    page.goto(address)
    assert page.locator(".what-if").count() == 0
