"""`clinic watch`: each second see silence, say one is alive, seal the audit chain, walk on it.

Once a minute it asks again about the doses that are booked for tomorrow.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from clinic.audit import actions as audit
from clinic.course import actions as course_actions
from clinic.database import now
from clinic.dosing import actions, faults
from clinic.people import access

WATCH_LOCK = 7_401_003
SECOND, MINUTE = 1.0, 60.0
log = logging.getLogger(__name__)


def hold_watch() -> bool:
    """Return whether this process is the one that watches; the lock falls with its connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [WATCH_LOCK])
        return bool(cursor.fetchone()[0])


def look() -> int:
    """Watch once: every live session's alarms, the heartbeat, the seal; return the rows sealed."""
    with access.acting(access.worker("watch")) as by:
        actions.tick_alarms(by=by)
        actions.beat()
    with access.acting(access.worker("watch")):
        sealed = audit.seal()
    with access.acting(access.worker("watch")):
        audit.walk()
    return sealed


def ask_again() -> int:
    """Ask about the doses of tomorrow that were not asked about; return how many were."""
    return len(course_actions.ask_the_day_before(at=now()))


class Command(BaseCommand):
    """Watch until stopped; a restart of the database is waited out."""

    help = "See silence: tick the alarms, beat, and seal the audit chain each second."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Watch for ever; a second process waits until the first is gone."""
        holds, asked = False, -MINUTE
        while True:
            begun = time.monotonic()
            try:
                if not holds and (holds := hold_watch()):
                    self.stdout.write("watching")
                    self.stdout.flush()
                if holds:
                    look()
                    if begun - asked >= MINUTE:
                        ask_again()
                        asked = begun
            except (DatabaseError, InterfaceError) as error:
                log.error("watch: %s", faults.told(error))
                if faults.is_away(error):  # else the lock, and its connection, are still ours
                    connection.close()
                    holds = False
            time.sleep(max(0.0, SECOND - (time.monotonic() - begun)))
