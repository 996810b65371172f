"""A double click and a second press of an old page do what one press does: one row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page

from clinic.dosing.models import Infusion, Order
from clinic.outcomes import actions as outcomes
from clinic.outcomes.models import Response
from clinic.therapy.models import Note
from tests import world
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.people import Person


@pytest.fixture(scope="module")
def marie(clinic: Any, browser: Any) -> scene.Marie:
    """A person whose dose may be ordered and started now."""
    assert clinic
    assert browser
    return scene.planned(scene.arrives())


def pressed_twice(page: Page, button: str) -> list[int]:
    """Send the form of a button twice at once, past the page's own lock, as a poor line would.

    Return the status of each answer, after the redirects.
    """
    statuses: list[int] = page.locator(button).first.evaluate(
        """async button => {
            const body = () => {
                const data = new FormData(button.form);
                if (button.name) data.set(button.name, button.value);
                return { method: 'POST', body: data };
            };
            const twice = [1, 2].map(() => fetch(button.form.action, body()));
            return (await Promise.all(twice)).map(reply => reply.status);
        }"""
    )
    assert all(status < 500 for status in statuses), statuses
    return statuses


def is_told_once(person: Person, statuses: list[int]) -> None:
    """Take the refusal of the second press, where there is one, off the console's complaints.

    A browser repeats each refused answer on its console; all else it says stays there.
    """
    refused = [status for status in statuses if status != 200]
    assert len(refused) < len(statuses)
    for status in refused:
        said = f"the server responded with a status of {status} "
        person.complaints.remove(next(line for line in person.complaints if said in line))


def order_page(at: Open, marie: scene.Marie) -> Person:
    """Open the order with a dose filled in and its arithmetic shown."""
    alice = at("alice")
    page = alice.go(f"/sessions/{marie.dosing.pk}/order?mg_per_kg=0.5&minutes=40")
    page.fill("[name=vial_mg_per_ml]", "50")
    page.fill("[name=final_ml]", "50")
    page.locator("main form:has([name=final_ml]) button").first.click()
    page.wait_for_selector("button[name=sign]")
    return alice


def test_an_order_signed_twice_is_one_order_and_an_infusion_starts_once(
    at: Open, marie: scene.Marie
) -> None:
    pressed_twice(order_page(at, marie).page, "button[name=sign]")
    with world.acting("alice"):
        order = Order.objects.get(session=marie.dosing)
    bob = at("bob")
    page = bob.go(f"/sessions/{marie.dosing.pk}/start")
    page.fill("[name=second_username]", "nina")
    page.fill("[name=second_password]", world.PASSWORD)
    page.fill("[name=rate_ml_h]", str(Decimal(order.rate_ul_h) / 1000))
    page.get_by_role("button", name="Sign the second check").dblclick()
    start = "form:has([name=do][value=start]) button"
    page.wait_for_selector(start)
    is_told_once(bob, pressed_twice(page, start))
    with world.acting("bob"):
        assert Infusion.objects.filter(session=marie.dosing).count() == 1


def test_a_note_signed_twice_is_one_note(at: Open, marie: scene.Marie) -> None:
    page = at("tess").go(f"/therapy/{marie.integration.pk}/")
    for box in page.locator("form[data-once] textarea[required]").all():
        box.fill("She stayed with it.")
    page.get_by_role("button", name="Sign the note").dblclick()
    page.get_by_text("Add an addendum").first.wait_for()
    with world.acting("tess"):
        assert Note.objects.filter(session=marie.integration).count() == 1


def test_answers_sent_twice_are_one_response(at: Open, marie: scene.Marie) -> None:
    with world.acting("cora") as by:
        sent = outcomes.send_questionnaire(course=marie.course, instrument_id="phq9", by=by)
    someone = at()
    page = someone.go(f"/me/q/{sent.token}/")
    is_told_once(someone, pressed_twice(page, "[data-send]"))
    with world.acting("alice"):
        assert Response.objects.filter(course=marie.course).count() == 1
