"""One clinic and one Chromium for each file of tests; both end with it.

Playwright's sync interface keeps an event loop in this thread: it ends with the file too, so that
other tests of the same worker meet none, and meanwhile Django may be asked from beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, sync_playwright

from clinic.postgres import Server
from tests.conftest import clone_of

if TYPE_CHECKING:
    from tests.browser.people import Person
    from tests.browser.served import Clinic

Open = Callable[..., "Person"]


@pytest.fixture(scope="module")
def clinic(server: Server, template_database: str, django_db_blocker: Any) -> Iterator[Clinic]:
    """A served clone with the world's sites and staff, of this file alone."""
    from tests.browser import world
    from tests.browser.served import clinic_on

    name = f"test_{uuid4().hex[:12]}"
    with django_db_blocker.unblock(), clone_of(server, template_database, name):
        world.install()
        with clinic_on(server, name) as serving:
            yield serving


@pytest.fixture(scope="module")
def browser(clinic: Clinic) -> Iterator[Browser]:
    """The machine's Chromium."""
    from django.db import connections

    from tests.browser.people import launched

    assert clinic
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with launched(playwright) as running:
            yield running
        connections.close_all()  # those made beside the loop are kept apart from the others


@pytest.fixture
def at(browser: Browser, clinic: Clinic) -> Iterator[Open]:
    """Open a browser for a person by name (none: the public); no console may complain."""
    from tests.browser.people import person

    opened: list[Person] = []
    with ExitStack() as stack:

        def open_one(name: str | None = None, **device: Any) -> Person:
            one = stack.enter_context(person(browser, clinic, name, **device))
            opened.append(one)
            return one

        yield open_one
    assert [line for one in opened for line in one.complaints] == []
