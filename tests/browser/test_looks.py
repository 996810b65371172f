"""The hour in two hands, the phone, the paper: what must be seen, touched and stay in place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from clinic.dosing import actions as dosing
from tests import world
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.looks import box, is_wider, overlap, sheets, small
from tests.browser.people import PHONE, TABLET
from tests.browser.served import Clinic

UPRIGHT = {"width": 820, "height": 1180}
LAPTOP = {"width": 1366, "height": 768}
HANDS = (".button--stop", ".button--emergency", "[data-scores] .button--critical")
LANGUAGES = ("en", "fr")


@pytest.fixture(scope="module")
def marie(clinic: Clinic, browser: Any) -> scene.Marie:
    """A running infusion at which nothing is wrong yet."""
    assert clinic
    assert browser
    return scene.start(scene.planned(scene.arrives()))


def typed(marie: scene.Marie, systolic: int) -> None:
    """Store a set read off the monitor by hand."""
    values = {"systolic": systolic, "diastolic": 88, "heart_rate": 76, "spo2": 98}
    with world.acting("bob") as by:
        dosing.record_set(
            session=marie.dosing,
            values={name: Decimal(value) for name, value in values.items()},
            key=uuid4(),
            by=by,
        )


def hour(at: Open, marie: scene.Marie, size: dict[str, int], language: str = "en") -> Page:
    """Open the running hour and wait until its stream has spoken."""
    bob = at("bob", viewport=size, locale=f"{language}-CA", reduced_motion="reduce")
    page = bob.go(f"/sessions/{marie.dosing.pk}")
    page.wait_for_function("() => /\\d s$/.test(document.getElementById('link').textContent)")
    page.wait_for_timeout(500)
    return page


def places(page: Page) -> dict[str, dict[str, float]]:
    """Return where the buttons of the hand are."""
    return {name: box(page, name) for name in HANDS}


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_alarm_moves_no_button_and_covers_nothing(
    at: Open, marie: scene.Marie, language: str
) -> None:
    typed(marie, 124)
    page = hour(at, marie, TABLET, language)
    before = places(page)
    typed(marie, 172)
    page.locator("[data-alarm]").first.wait_for()
    page.wait_for_timeout(300)
    assert places(page) == before
    shown = [box(page, ".button--stop"), box(page, ".page-footer")]
    assert all(one["y"] + one["height"] <= TABLET["height"] for one in shown)
    assert not overlap(page, "#chart", ".state")
    assert not overlap(page, "#sound", "[data-alarm]")
    assert not overlap(page, ".tiles", "#chart")


def is_seen_whole(page: Page) -> bool:
    """Return whether the trend ends where its frame ends, or before."""
    page.wait_for_timeout(1000)
    frame, drawn = box(page, "#chart"), box(page, "#chart svg")
    return drawn["y"] + drawn["height"] <= frame["y"] + frame["height"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_trend_is_seen_beside_an_open_alarm(
    at: Open, marie: scene.Marie, language: str
) -> None:
    with world.acting("bob"):
        dosing.beat()  # else a line about the watch takes the trend's place
    typed(marie, 172)
    page = hour(at, marie, TABLET, language)
    page.locator("[data-alarm]").first.wait_for()
    assert is_seen_whole(page)


def test_a_trend_of_full_height_would_not_be_seen_whole(at: Open, marie: scene.Marie) -> None:
    typed(marie, 172)
    bob = at("bob")
    bob.page.route("**/chart?height=*", lambda route: route.continue_(
        url=route.request.url.split("?")[0]))  # fmt: skip
    page = bob.go(f"/sessions/{marie.dosing.pk}")
    page.locator("[data-alarm]").first.wait_for()
    assert not is_seen_whole(page)


def test_scores_are_said_to_be_done_without_a_reload(at: Open, marie: scene.Marie) -> None:
    page = hour(at, marie, TABLET)
    page.locator("[data-now] [name=moaas]").first.evaluate("one => one.closest('label').click()")
    page.locator("[data-scores] .button--critical").click()
    page.locator("[data-set]", has_text="✓ done").wait_for(timeout=6000)
    assert page.locator("[data-score=moaas] .score-done").is_visible()
    assert not page.locator("[data-score=nausea] .score-done").is_visible()


def test_without_its_own_sheet_the_hour_fails_that_check(at: Open, marie: scene.Marie) -> None:
    bob = at("bob")
    bob.page.route("**/dosing.css", lambda route: route.fulfill(body="", content_type="text/css"))
    page = bob.go(f"/sessions/{marie.dosing.pk}")
    stop = box(page, ".button--stop")
    assert stop["y"] + stop["height"] > TABLET["height"]


def test_a_button_too_low_for_a_finger_is_found(at: Open, marie: scene.Marie) -> None:
    page = hour(at, marie, TABLET)
    page.locator("#sound").evaluate("one => { one.style.minHeight = one.style.height = '20px' }")
    assert [line for line in small(page, 48) if "SOUND" in line]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", [TABLET, UPRIGHT, LAPTOP, PHONE], ids=lambda size: size["width"])
def test_the_hour_fits_every_screen_and_a_gloved_finger(
    at: Open, marie: scene.Marie, size: dict[str, int], language: str
) -> None:
    page = hour(at, marie, size, language)
    assert not is_wider(page)
    stop = box(page, ".button--stop")
    assert stop["height"] >= 96
    assert 0 <= stop["y"] <= size["height"] - stop["height"], "STOP is not on the screen"
    assert small(page, 48) == []


def test_the_scores_of_the_set_come_first(at: Open, marie: scene.Marie) -> None:
    page = hour(at, marie, TABLET)
    assert page.locator("[data-now] [name=moaas]").count() == 6
    assert not page.locator("[data-later] .score").first.is_visible()
    assert page.locator("[data-later] [name=nausea]").count() == 11


def test_the_focus_is_seen_and_escape_closes_the_menu(at: Open, marie: scene.Marie) -> None:
    page = hour(at, marie, TABLET)
    page.locator(".menu summary").focus()
    page.keyboard.press("Enter")
    link = page.locator(".menu .top-nav a").first
    link.focus()
    assert link.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Escape")
    assert not link.is_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_of_a_phone_is_read_without_pushing(
    at: Open, marie: scene.Marie, language: str
) -> None:
    device = {"viewport": PHONE, "locale": f"{language}-CA"}
    someone, bob = at(None, **device), at("bob", **device)
    dose, course = marie.dosing.pk, marie.course.pk
    found = []
    for person, path in (
        *((someone, path) for path in ("/self-check/toronto/", "/me/help", "/account/login/")),
        *((bob, path) for path in ("/today/", "/today/patients", f"/intake/{course}/")),
        *((bob, f"/sessions/{dose}/{part}") for part in ("start", "discharge")),
        (bob, "/sessions/board"),
    ):
        page = person.go(path)
        found += [f"{path} is too wide"] if is_wider(page) else []
        found += [f"{path}: {one}" for one in small(page, 44)]
    assert found == []


@pytest.fixture(scope="module")
def whole(clinic: Clinic, browser: Any) -> scene.Marie:
    """An hour with the nine sets that its schedule asks for."""
    assert clinic
    assert browser
    whole = scene.start(scene.planned(scene.arrives("Ana Costa")))
    for systolic in range(120, 138, 2):
        typed(whole, systolic)
    return whole


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_record_of_an_hour_prints_on_two_sheets(
    at: Open, whole: scene.Marie, language: str
) -> None:
    page = at("bob", locale=f"{language}-CA").go(f"/sessions/{whole.dosing.pk}/record")
    assert sheets(page) == 2


def test_a_record_in_letters_too_large_is_seen_to_need_more(at: Open, whole: scene.Marie) -> None:
    page = at("bob").go(f"/sessions/{whole.dosing.pk}/record")
    page.evaluate("() => { document.body.style.zoom = '1.8' }")
    assert sheets(page) > 2
