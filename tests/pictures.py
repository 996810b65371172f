"""`python -m tests.pictures`: pages that the nine steps of the tour only pass, in day and dim.

The same processes and browser as `tests.tour`; the pictures stand in docs/tour beside its own.
"""

from __future__ import annotations

from typing import Any

from tests import tour as nine
from tests.tour import Tour

WIDE = {"width": 1180, "height": 900}


def self_checks(tour: Tour) -> None:
    """Picture the public answer in both languages, of one who is asked to wait."""
    from clinic.portal.self_check import questions
    from tests.browser.people import PHONE

    for language, place in (("en", "en-CA"), ("fr", "fr-CA")):
        one = tour.stack.enter_context(_public(tour, place, PHONE))
        page = one.go("/self-check/toronto/")
        for kind in questions():
            if kind.type == "date":
                page.fill(f"[name={kind.name}]", nine.BORN)
            else:
                answer = "yes" if kind.direction == "down" or kind.name == "pregnant" else "no"
                page.locator(f"[name={kind.name}][value={answer}]").check(force=True)
        page.locator("main form button:not([name])").last.click()
        page.wait_for_selector("#call")
        tour.picture(page, f"self-check-not-now-{language}", whole=True)


def _public(tour: Tour, place: str, size: Any) -> Any:
    from tests.browser.people import person

    return person(tour.browser, tour.clinic, None, locale=place, viewport=size)


def ground(tour: Tour) -> None:
    """Open Marie's course, decide once, then let her chart change."""
    from clinic.course import actions as course_actions
    from tests import world

    with world.acting("alice"):
        _enrolment, tour.course = world.open_person(nine.NAME)
    with world.acting("bob"):
        world.known_well(tour.course, consented=False)
    with world.acting("alice"):
        world.accept(tour.course)
    tour.clock.step(9 * 24 * 3600)
    with world.acting("bob") as by:
        world.known_well(tour.course, consented=False)
        world.tell(tour.course, weight="71", bladder_symptoms=True)
        medicine = {"atc": "N06AX12", "name": "bupropion", "mg_per_day": "150", "prn": False}
        course_actions.review_list(
            of=tour.course, kind="medications", items=[medicine], complete=True, by=by
        )


def review(tour: Tour) -> None:
    """Picture the review: its answer, the evidence opened, what changed, what if; day and dim."""
    from kap.facts import vocabulary

    page = tour.go("alice", f"/intake/{tour.course.pk}/review", viewport=WIDE)
    tour.picture(page, "review-verdict-day")
    page.locator(".evidence > summary").first.click()
    page.evaluate("document.querySelector('.verdict').scrollIntoView()")
    _both(tour, page, "review-evidence")
    page.locator("section:has(> #changed) summary").click()
    page.evaluate("document.querySelector('#changed').scrollIntoView()")
    _both(tour, page, "review-difference")
    page.fill("[name=fact_1]", vocabulary()["bladder_symptoms"].ask["en"])
    page.fill("[name=value_1]", "no")
    page.get_by_role("button", name="Ask what if").click()
    page.locator(".what-if").wait_for()
    page.evaluate("document.querySelector('#what-if').scrollIntoView()")
    _both(tour, page, "review-what-if")


def protocol(tour: Tour) -> None:
    """Picture a protocol's first rules with their sources and marks."""
    page = tour.go("alice", "/protocols/iv-ketamine@2026.2/")
    _both(tour, page, "protocol")


def _both(tour: Tour, page: Any, name: str) -> None:
    for theme in ("day", "dim"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        page.wait_for_timeout(700)  # the fade
        tour.picture(page, f"{name}-{theme}")
    page.evaluate("document.documentElement.dataset.theme = 'day'")


def main() -> None:
    """Take every picture, then fail on what a console complained of."""
    nine.PICTURES.mkdir(parents=True, exist_ok=True)
    with nine.set_out() as tour:
        for step in (self_checks, ground, review, protocol):
            print(step.__doc__, flush=True)
            step(tour)
        if complaints := [line for one in tour.people.values() for line in one.complaints]:
            raise SystemExit("\n".join(complaints))


if __name__ == "__main__":
    main()
