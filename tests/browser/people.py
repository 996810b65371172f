"""A person at a browser: who is signed in, on which device, and what the console complained of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from tests.browser.chromium import FLAGS, chromium
from tests.browser.served import Clinic
from tests.browser.world import SIGNED_IN, session_cookie

TABLET = {"width": 1180, "height": 820}
PHONE = {"width": 390, "height": 844}


@dataclass
class Person:
    """One browser context with one page; `complaints` is what its console said is wrong."""

    clinic: Clinic
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        """Open an address of the clinic and return the page."""
        self.page.goto(self.clinic.address + path if path.startswith("/") else path)
        return self.page


@contextmanager
def launched(playwright: Playwright) -> Iterator[Browser]:
    """Run the machine's Chromium, quiet on the network."""
    browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def person(
    browser: Browser, clinic: Clinic, name: str | None = None, **device: Any
) -> Iterator[Person]:
    """Open a browser for one person (None: the public); close it after the block."""
    device.setdefault("viewport", TABLET)
    context = browser.new_context(locale=device.pop("locale", "en-CA"), **device)
    context.set_default_timeout(10_000)
    if name:
        cookie = {"name": SIGNED_IN, "value": session_cookie(name), "url": clinic.address}
        context.add_cookies([cookie])  # type: ignore[list-item]  # a TypedDict, made here
    one = Person(clinic, context, context.new_page())
    listen(one.page, one.complaints)
    try:
        yield one
    finally:
        context.close()


def listen(page: Page, complaints: list[str]) -> None:
    """Keep each error of the console (CSP violations are such) and each uncaught exception."""

    def heard(message: Any) -> None:
        if message.type == "error":
            complaints.append(f"{page.url}: {message.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
