"""The order, the second check and the start: what opens them, and what can never happen."""

from __future__ import annotations

import pytest

from tests.clinic import hour


@pytest.fixture
def marie(clone_database: str) -> hour.Hour:
    """Marie at Toronto, in a database of this test alone."""
    from clinic.people import access

    hour.install()
    with access.acting(hour.author("petra")):
        yield hour.marie()


def test_a_day_goes_from_order_to_start(marie: hour.Hour) -> None:
    infusion = marie.start()
    assert infusion.state == "running"
