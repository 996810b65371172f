"""A stepped clock for seeding: the demonstration's past is written at the times it tells of.

It replaces `afterglow_now()` inside one transaction of the owner and puts it back before that
transaction commits, so that no program ever runs on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import connection

from clinic.database import NOW_SOURCE


class SteppedClock:
    """The clock of one seeding transaction."""

    def set(self, at: datetime) -> None:
        """Make `afterglow_now()` answer `at`."""
        with connection.cursor() as cursor:
            cursor.execute("UPDATE seed_clock SET at = %s", [at])

    def step(self, **by: float) -> None:
        """Move the clock on, by the arguments of `timedelta`."""
        with connection.cursor() as cursor:
            seconds = timedelta(**by).total_seconds()
            cursor.execute("UPDATE seed_clock SET at = at + make_interval(secs => %s)", [seconds])


@contextmanager
def stepped(start: datetime) -> Iterator[SteppedClock]:
    """Run the surrounding transaction of the owner on a stepped clock that begins at `start`."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE seed_clock (at timestamptz NOT NULL)")
        cursor.execute("INSERT INTO seed_clock VALUES (%s)", [start])
        cursor.execute(
            "CREATE OR REPLACE FUNCTION afterglow_now() RETURNS timestamptz LANGUAGE sql VOLATILE"
            " AS 'SELECT at FROM seed_clock'"
        )
    yield SteppedClock()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION afterglow_now() RETURNS timestamptz LANGUAGE sql VOLATILE"
            f" AS '{NOW_SOURCE}'"
        )
        cursor.execute("DROP TABLE seed_clock")
