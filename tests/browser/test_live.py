"""The hour's page: what the monitor sends is seen within a second; what is old is never shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page

from clinic.interop.management.commands.simulate import Monitor
from kap.observation import Observation
from kap.wire.hl7_write import Simulator, write
from kap.wire.hl7v2 import PatientId
from tests.browser import world as scene
from tests.browser.conftest import Open
from tests.browser.served import Clinic

SECOND_MS = 1000
NO_LINK_MS = 10_000
UNITS = {"heart_rate": "/min", "spo2": "%", "systolic": "mm[Hg]", "diastolic": "mm[Hg]"}


@pytest.fixture(scope="module")
def marie(clinic: Clinic, browser: Any) -> scene.Marie:
    """A running infusion whose monitor is bound; the listener and the watch run."""
    assert browser
    marie = scene.planned(scene.arrives())
    scene.bind(marie)
    scene.start(marie)
    clinic.listen()
    clinic.watch()
    return marie


@pytest.fixture
def send(clinic: Clinic, marie: scene.Marie) -> Iterator[Callable[..., str]]:
    """Send one message with these vitals over MLLP; the reply's code comes back."""
    monitor = Monitor(clinic.mllp_port)

    def sent(**values: int) -> str:
        at = datetime.now(UTC)
        seen = [
            Observation(name, Decimal(value), UNITS[name], observed_at=at, received_at=at)
            for name, value in values.items()
        ]
        message = write(
            seen,
            device=Simulator(name="BEDMON", eui64=scene.EUI64),
            control_id=str(time.monotonic_ns()),
            sent_at=at,
            patient=PatientId(marie.mrn, "", "MR"),
            processing_id="T",
        )
        return monitor.send(message)

    yield sent
    monitor.close()


def tile(page: Page, vital: str) -> Any:
    """Return the place of a vital's number."""
    return page.locator(f"[data-vital='{vital}'] .tile-value")


def shows(page: Page, vital: str, text: str, within_ms: int) -> None:
    """Wait until a number is shown; raise when it is not in time."""
    page.wait_for_function(
        "([vital, text]) => document.querySelector(`[data-vital='${vital}'] .tile-value`)"
        ".textContent === text",
        arg=[vital, text],
        timeout=within_ms,
    )


def live(page: Page) -> None:
    """Wait until the stream has spoken."""
    page.wait_for_function("() => /^live/i.test(document.getElementById('link').textContent)")
    page.wait_for_timeout(500)


def is_never_old(page: Page, vital: str) -> bool:
    """Go an hour ahead by the page's own clock; return whether the number is gone."""
    page.clock.fast_forward("01:00:00")
    page.wait_for_timeout(600)
    return not any(sign.isdigit() for sign in tile(page, vital).inner_text())


def test_a_value_is_on_the_page_within_a_second(
    at: Open, marie: scene.Marie, send: Callable[..., str]
) -> None:
    page = at("bob").go(f"/sessions/{marie.dosing.pk}")
    live(page)
    assert send(heart_rate=71, spo2=98) == "CA"
    shows(page, "heart_rate", "71", SECOND_MS)
    send(heart_rate=83)
    shows(page, "heart_rate", "83", SECOND_MS)


def test_a_high_pressure_is_seen_and_acknowledged(
    at: Open, marie: scene.Marie, send: Callable[..., str]
) -> None:
    page = at("bob").go(f"/sessions/{marie.dosing.pk}")
    live(page)
    for _ in range(3):
        send(systolic=196, diastolic=112, heart_rate=88, spo2=97)
        page.wait_for_timeout(300)
    alarm = page.locator("[data-alarm]:has-text('SYS')").first
    alarm.wait_for(timeout=5 * SECOND_MS)
    assert "is-sounding" in str(alarm.get_attribute("class"))
    alarm.locator("button:has-text('ACK')").click()
    page.locator("[data-alarm]:has-text('SYS'):not(.is-sounding)").first.wait_for()


def test_when_the_feed_stops_no_old_number_is_shown(
    at: Open, marie: scene.Marie, send: Callable[..., str]
) -> None:
    bob = at("bob")
    bob.page.clock.install()
    page = bob.go(f"/sessions/{marie.dosing.pk}")
    page.clock.resume()
    send(heart_rate=74)
    shows(page, "heart_rate", "74", 5 * SECOND_MS)
    assert is_never_old(page, "heart_rate")


def test_a_page_whose_clock_is_broken_fails_that_check(
    at: Open, marie: scene.Marie, send: Callable[..., str]
) -> None:
    bob = at("bob")
    with without_ageing(bob.page):
        bob.page.clock.install()
        page = bob.go(f"/sessions/{marie.dosing.pk}")
        page.clock.resume()
        send(heart_rate=76)
        shows(page, "heart_rate", "76", 5 * SECOND_MS)
        assert not is_never_old(page, "heart_rate")


@contextmanager
def without_ageing(page: Page) -> Iterator[None]:
    """Serve the page's script with the time that has passed always none."""

    def broken(route: Any) -> None:
        reply = route.fetch()
        whole = reply.text()
        line = "const since = ([ticks, wall]) =>"
        assert line in whole
        route.fulfill(response=reply, body=whole.replace(line, f"{line} 0 *"))

    page.route("**/ui/live.js", broken)
    yield
    page.unroute("**/ui/live.js")


def test_a_frozen_server_is_said_within_ten_seconds(
    at: Open, marie: scene.Marie, clinic: Clinic, send: Callable[..., str]
) -> None:
    bob = at("bob")
    page = bob.go(f"/sessions/{marie.dosing.pk}")
    live(page)
    send(heart_rate=72)
    shows(page, "heart_rate", "72", 5 * SECOND_MS)
    clinic.freeze("serve")
    try:
        page.locator("#live.no-link").wait_for(timeout=NO_LINK_MS)
        assert not any(sign.isdigit() for sign in tile(page, "heart_rate").inner_text())
        assert "NO LINK" in page.locator("#link").inner_text()
    finally:
        clinic.thaw("serve")
    page.locator("#live:not(.no-link)").wait_for()
