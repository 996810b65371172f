"""Which version of its protocol a new course is judged by."""

from __future__ import annotations

from typing import Any

import pytest

from clinic.course.models import Course, Signature, Withdrawal
from clinic.database import now
from tests import world as ground
from tests.world import World

NEWEST, OLDER = "iv-ketamine@2026.2", "iv-ketamine@2026.1"


def withdraw(world: World, *versions: str) -> None:
    """Take Toronto's signature back on these versions; the other site keeps its own."""
    for version in versions:
        row = Signature.objects.get(site_id="toronto", protocol_id=version)
        with world.acting("dee"):
            Withdrawal.add(
                site_id="toronto",
                signature=row,
                director=world.staff("dee"),
                reason="tests",
                recorded_at=now(),
            )


def opened() -> Course:
    return ground.open_person("Noor Haddad")[1]


@pytest.mark.parametrize(
    ("mode", "withdrawn", "version"),
    [
        ("clinical", (), NEWEST),
        ("clinical", (NEWEST,), OLDER),
        ("clinical", (NEWEST, OLDER), NEWEST),  # nothing is decided before one is signed
        ("demo", (NEWEST,), NEWEST),
    ],
)
def test_a_course_opens_under_the_newest_version_signed_at_its_site(
    world: World, settings: Any, mode: str, withdrawn: tuple[str, ...], version: str
) -> None:
    settings.MODE = mode
    withdraw(world, *withdrawn)
    assert opened().protocol_id == version
