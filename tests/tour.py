"""`make tour`: one person's whole path in Chromium, a picture of each of its nine steps.

It runs the real processes on a test database with a stepped clock, and writes `docs/tour/N-*.png`.
The bulk of the chart comes from the builders of the tests; each step's decisive act is a click.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "tour"
BIGGEST = 400_000  # bytes of one picture
NAME, BORN = "Marie Kowalski", "1988-05-17"
DAYS_BEFORE = 9
MINUTES_IN = 17  # into the hour when its picture is taken
ALARM_S = 90


def prepare() -> Any:
    """Set the environment of a test run up, and return its server, not started."""
    from tests.conftest import new_run

    os.environ["CLINIC_DATA"] = str(new_run())
    for name in ("DATABASE_URL", "DATABASE_MIGRATE_URL"):
        os.environ.pop(name, None)
    os.environ.update(
        SECRET_KEY="of the tour only",
        HASHED_STATIC="false",
        CLINIC_MODE="demo",
        DJANGO_SETTINGS_MODULE="clinic.settings",
        DJANGO_ALLOW_ASYNC_UNSAFE="true",  # playwright keeps a loop in this thread
    )
    from clinic.postgres import Server

    return Server(Path(os.environ["CLINIC_DATA"]))


@dataclass
class Tour:
    """The walk: browsers by person, what each page took, and the rows walked through."""

    clinic: Any
    browser: Any
    stack: ExitStack
    clock: Any
    people: dict[str, Any] = field(default_factory=dict)
    took: list[tuple[str, float]] = field(default_factory=list)
    course: Any = None
    session: Any = None
    talk: Any = None

    def at(self, name: str, **device: Any) -> Any:
        """Return this person at their own browser."""
        from tests.browser.people import person

        if name not in self.people:
            user = None if name == "public" else name
            one = self.stack.enter_context(person(self.browser, self.clinic, user, **device))
            self.people[name] = one
        return self.people[name]

    def go(self, name: str, path: str, **device: Any) -> Any:
        """Open a page as a person, and keep how long it took to load."""
        one = self.at(name, **device)
        began = time.perf_counter()
        page = one.go(path)
        self.took.append((path, time.perf_counter() - began))
        return page

    def picture(self, page: Any, name: str, *, whole: bool = False, tall: int = 0) -> None:
        """Save what is on the screen, the whole page, or its upper part; it must stay small."""
        target = PICTURES / f"{name}.png"
        more: dict[str, Any] = {"full_page": whole or bool(tall)}
        if tall:
            width = page.viewport_size["width"]
            more["clip"] = {"x": 0, "y": 0, "width": width, "height": tall}
        page.screenshot(path=target, animations="disabled", **more)
        if target.stat().st_size > BIGGEST:
            raise SystemExit(f"{target.name} is {target.stat().st_size} bytes, over {BIGGEST}")


# -- the nine steps -----------------------------------------------------------------------------


def self_check(tour: Tour) -> None:
    """1. A person asks; a coordinator opens a patient and a course."""
    from clinic.portal.self_check import questions
    from tests.browser.people import PHONE

    page = tour.go("public", "/self-check/toronto/", viewport=PHONE)
    for kind in questions():
        if kind.type == "date":
            page.fill(f"[name={kind.name}]", BORN)
        else:
            answer = "yes" if kind.direction == "down" else "no"
            page.locator(f"[name={kind.name}][value={answer}]").check(force=True)
    page.get_by_role("button", name="Show me").click()
    page.wait_for_selector("#call")
    tour.picture(page, "1-self-check")
    page.fill("[name=name]", NAME)
    page.fill("[name=phone]", "416-555-0199")
    page.check("[name=agree]")
    page.get_by_role("button", name="Yes, contact me").click()
    page.wait_for_url("**/thanks")
    open_course(tour)


def open_course(tour: Tour) -> None:
    """The coordinator finds the referral."""
    from clinic.course.models import Course
    from tests import world

    page = tour.go("cora", "/intake/referrals/")
    page.get_by_role("link", name="Open").first.click()
    page.fill("[name=birth_date]", BORN)
    page.select_option("[name=indication]", "TRD")
    page.get_by_role("button", name="Open patient and course").click()
    page.wait_for_url("**/courses/**")
    with world.acting("alice"):
        tour.course = Course.objects.select_related("patient", "site").get()


def review(tour: Tour) -> None:
    """2. Facts are recorded; the prescriber reads the answer and decides."""
    from tests import world

    tour.clock.step(24 * 3600)
    with world.acting("bob"):
        world.known_well(tour.course, consented=False)
    answer_before(tour)
    tour.go("bob", f"/intake/{tour.course.pk}/")
    page = tour.go("alice", f"/intake/{tour.course.pk}/review")
    tour.picture(page, "2-review")
    page.locator("[name=kind][value=accepted]").check(force=True)
    page.fill("[name=reason]", "Two adequate trials failed; no contraindication found.")
    page.get_by_role("button", name="Store the decision").click()
    page.wait_for_load_state()
    with world.acting("alice"):
        from clinic.course.models import Decision

        assert Decision.objects.filter(kind="accepted").exists(), "the decision was not stored"


def answer_before(tour: Tour) -> None:
    """A PHQ-9 before the first dose: the baseline."""
    answer_phq9(tour, [3, 3, 2, 2, 2, 2, 2, 2, 0])


def answer_phq9(tour: Tour, given: list[int]) -> None:
    """Send and answer a questionnaire by the actions, as a person at home would."""
    from clinic.audit.author import Author
    from clinic.outcomes import actions as outcomes
    from clinic.people import access
    from tests import world

    with world.acting("cora") as by:
        link, _token = outcomes.send_questionnaire(course=tour.course, instrument_id="phq9", by=by)
    with access.acting(Author(f"link:{link.pk}", "", "patient", ("toronto",))) as by:
        outcomes.answer_questionnaire(
            link=link, answers=dict(enumerate(given, start=1)), language="en", by=by
        )


def consent(tour: Tour) -> None:
    """3. The person signs, in their own words."""
    page = tour.go("bob", f"/intake/{tour.course.pk}/consent")
    for box in page.locator("[name^=teach_back_]").all():
        box.fill("I stay until I am clear, and somebody takes me home.")
    page.fill("[name=signer]", NAME)
    page.check("[name=agree]")
    page.get_by_role("button", name="Sign the consent").scroll_into_view_if_needed()
    tour.picture(page, "3-consent")
    page.get_by_role("button", name="Sign the consent").click()
    page.get_by_text("in force").first.wait_for()


def order(tour: Tour) -> None:
    """4. 0.5 mg/kg over 40 min: the sum is shown, computed twice, and signed."""
    from clinic.course import actions as course_actions
    from clinic.database import now
    from tests import world

    tour.clock.set(datetime.now(UTC) - timedelta(minutes=MINUTES_IN))
    with world.acting("alice") as by:
        tour.session = world.plan_dose(tour.course)
        tour.talk = course_actions.plan_session(
            course=tour.course,
            kind="integration",
            planned_start=now() + timedelta(days=1),
            planned_minutes=60,
            number=1,
            room="1",
            by=by,
        )
    with world.acting("bob"):
        world.known_well(tour.course, consented=False)  # asked again on the day
        world.eligible_for_start(tour.session)
    page = tour.go("alice", f"/sessions/{tour.session.pk}/order?mg_per_kg=0.5&minutes=40")
    page.fill("[name=vial_mg_per_ml]", "50")
    page.fill("[name=final_ml]", "50")
    page.get_by_role("button", name="Show the arithmetic").click()
    page.wait_for_load_state()
    tour.picture(page, "4-order", whole=True)
    page.locator("button[name=sign]").click()
    page.wait_for_load_state()


def start(tour: Tour) -> None:
    """5. The gate of the day, the monitor, and a second person at the pump."""
    from decimal import Decimal

    from clinic.dosing import queries
    from tests import world

    with world.acting("bob"):
        standing = queries.order_of(tour.session)
        mrn = queries.mrn_of(tour.session)
    assert standing is not None, "the order was not signed"
    page = tour.go("bob", f"/sessions/{tour.session.pk}/start")
    page.locator("[name=device]").first.check(force=True)
    page.fill("[name=mrn]", mrn)
    page.fill("[name=birth_date]", BORN)
    page.get_by_role("button", name="Bind the monitor").click()
    page.get_by_text("is bound to this session").first.wait_for()
    page = tour.go("bob", f"/sessions/{tour.session.pk}/start")
    page.fill("[name=second_username]", "nina")
    page.fill("[name=second_password]", world.PASSWORD)
    page.fill("[name=rate_ml_h]", str(Decimal(standing.rate_ul_h) / 1000))
    page.get_by_role("button", name="Sign the second check").click()
    page.get_by_role("button", name="Start ").wait_for()
    tour.picture(page, "5-start", whole=True)
    page.get_by_role("button", name="Start ").click()
    page.wait_for_url(f"**/sessions/{tour.session.pk}")


def hour(tour: Tour) -> None:
    """6. A monitor sends over a socket; a pressure rises; it is seen and acknowledged."""
    from clinic.dosing import queries
    from tests import world
    from tests.browser.world import SENDER

    calm_first_minutes(tour)
    tour.clock.set(datetime.now(UTC))
    with world.acting("bob"):
        mrn = queries.mrn_of(tour.session)
    tour.clinic.listen()
    tour.clinic.watch()
    tour.clinic.run(
        *("simulate", "--sender", SENDER, "--mrn", mrn, "--cuff", "15"),
        *("--scenario", "hypertension", "--skip", str(MINUTES_IN * 60)),
    )
    page = tour.go("bob", f"/sessions/{tour.session.pk}")
    page.locator("[data-alarm]:has-text('SYS')").first.wait_for(timeout=ALARM_S * 1000)
    page.locator("#live:not(.no-watch)").wait_for()
    time.sleep(6)  # the trend is drawn every five seconds
    tour.picture(page, "6-hour")
    page.get_by_role("button", name="ACK").first.click()
    page.locator("[data-alarm]:not(.is-sounding)").first.wait_for()
    pause_resume_stop(tour, page)


def calm_first_minutes(tour: Tour) -> None:
    """Write the sets of the first minutes, as a calm monitor would have."""
    from decimal import Decimal

    from clinic.dosing import actions as dosing
    from tests import world

    for systolic in (124, 128, 134, 140):
        tour.clock.step(MINUTES_IN * 60 / 5)
        with world.acting("bob") as by:
            values = {
                "systolic": systolic,
                "diastolic": systolic - 56,
                "heart_rate": 72,
                "spo2": 98,
                "respiratory_rate": 14,
            }
            dosing.record_set(
                session=tour.session,
                values={name: Decimal(value) for name, value in values.items()},
                key=uuid4(),
                by=by,
            )


def pause_resume_stop(tour: Tour, page: Any) -> None:
    """Pause and resume by a tap, stop by a hold of one second."""
    page.get_by_role("button", name="PAUSE", exact=True).click()
    page.get_by_role("button", name="RESUME").click()
    page.get_by_role("button", name="PAUSE", exact=True).wait_for()
    stop = page.get_by_role("button", name="STOP (hold")
    stop.hover()
    page.mouse.down()
    page.wait_for_timeout(1200)
    page.mouse.up()
    page.get_by_role("link", name="Discharge").wait_for()
    for name in ("simulate", "mllp", "watch"):
        tour.clinic.end(name)


def discharge(tour: Tour) -> None:
    """7. Every gate true, the minutes counted from the end; signed."""
    from decimal import Decimal

    from clinic.dosing import actions as dosing
    from tests import world

    for minutes in (45, 16):
        tour.clock.step(minutes * 60)
        with world.acting("bob") as by:
            dosing.record_set(
                session=tour.session,
                values={
                    "systolic": Decimal(121),
                    "diastolic": Decimal(78),
                    "heart_rate": Decimal(70),
                    "spo2": Decimal(98),
                    "respiratory_rate": Decimal(14),
                },
                key=uuid4(),
                by=by,
            )
    page = tour.go("bob", f"/sessions/{tour.session.pk}/discharge")
    account_for_the_vial(page)
    answer_the_way_home(page)
    page.get_by_role("button", name="Sign the discharge").wait_for()
    page.evaluate("scrollTo(0, 0)")
    tour.picture(page, "7-discharge")
    page.get_by_role("button", name="Sign the discharge").click()
    page.wait_for_url(lambda address: not address.endswith("/discharge"))


def account_for_the_vial(page: Any) -> None:
    """Two persons sign what was given and what was wasted."""
    from tests import world

    page.fill("[name=second_username]", "nina")
    page.fill("[name=second_password]", world.PASSWORD)
    page.get_by_role("button", name="Sign given and waste").click()
    page.wait_for_load_state()


def answer_the_way_home(page: Any) -> None:
    """Record what the gate still asks: well in every respect."""
    from kap import synth
    from kap.facts import vocabulary

    known = {**synth.recovered(), **synth.going_home()}
    card = page.locator("section[aria-labelledby=facts]")
    for name in {box.get_attribute("name") for box in card.locator("input[name]").all()}:
        kind = vocabulary().get(name)
        if kind is None:
            continue
        value = known.get(name, kind.direction == "down" if kind.type == "bool" else 0)
        if kind.type == "bool":
            answer = "yes" if value else "no"
            card.locator(f"[name={name}][value={answer}]").check(force=True)
        else:
            card.locator(f"[name={name}]").fill(str(value))
    card.get_by_role("button", name="Record").click()
    page.wait_for_load_state()


def questionnaire(tour: Tour) -> None:
    """8. The note is signed; the person answers by a link, and is met by care."""
    from tests.browser.people import PHONE

    tour.clock.step(25 * 3600)
    page = tour.go("tess", f"/therapy/{tour.talk.pk}/")
    for box in page.locator("form[data-once] textarea[required]").all():
        box.fill("Grief for her brother came; she stayed with it. No danger today.")
    page.get_by_role("button", name="Sign the note").click()
    page.get_by_text("Add an addendum").first.wait_for()
    page = tour.go("cora", f"/courses/{tour.course.pk}/")
    page.select_option("[name=instrument]", "phq9")
    page.get_by_role("button", name="Make a link for the patient").click()
    link = page.locator(".link-box a").get_attribute("href")
    page = tour.go("public", str(link), viewport=PHONE)
    for number, answer in enumerate((1, 1, 1, 1, 0, 1, 1, 0, 1, 1), start=1):
        tap(page, number, answer)
    page.get_by_role("button", name="Send my answers").click()
    page.get_by_text("Are you safe right now?").wait_for()
    tour.picture(page, "8-questionnaire")
    page.get_by_role("button", name="Yes", exact=True).click()
    page.wait_for_load_state()


def tap(page: Any, number: int, answer: int) -> None:
    """Choose one answer; the next question comes by itself."""
    place = page.locator(f"[data-question='{number}']")
    place.locator("label.choice").nth(answer).click()
    place.wait_for(state="hidden")


def course(tour: Tour) -> None:
    """9. Is it helping, what is next, and is a booster due?"""
    tour.clock.step(24 * 3600)
    page = tour.go("alice", f"/courses/{tour.course.pk}/")
    tour.picture(page, "9-course", tall=2700)


STEPS = (self_check, review, consent, order, start, hour, discharge, questionnaire, course)


# -- the walk -----------------------------------------------------------------------------------


@contextmanager
def set_out() -> Iterator[Tour]:
    """Make the database, the processes and the browser; end them all after the walk."""
    from playwright.sync_api import sync_playwright

    from tests import conftest

    with ExitStack() as stack:
        stack.callback(conftest.pytest_unconfigure)
        server = stack.enter_context(prepare())
        import django

        django.setup()
        from django.db import connection

        from tests.browser import people, world
        from tests.browser.served import clinic_on
        from tests.clock import Clock

        server.create_database(conftest.TEMPLATE)
        conftest.migrate_template(server)
        stack.enter_context(conftest.pointed_at(server, conftest.TEMPLATE))
        clock = Clock(connection)
        clock.set(datetime.now(UTC) - timedelta(days=DAYS_BEFORE))
        world.install()
        clinic = stack.enter_context(clinic_on(server, conftest.TEMPLATE))
        browser = stack.enter_context(people.launched(stack.enter_context(sync_playwright())))
        yield Tour(clinic, browser, stack, clock)


def main() -> None:
    """Walk the nine steps, then say how long each page took and what a console complained of."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with set_out() as tour:
        for number, step in enumerate(STEPS, start=1):
            print(f"{number}. {step.__doc__.split('. ', 1)[1]}", flush=True)  # type: ignore[union-attr]  # each step has one
            step(tour)
        for path, seconds in tour.took:
            print(f"{seconds * 1000:6.0f} ms  {path.split('/q/')[0]}")
        complaints = [line for one in tour.people.values() for line in one.complaints]
        if complaints:
            raise SystemExit("\n".join(complaints))


if __name__ == "__main__":
    main()
