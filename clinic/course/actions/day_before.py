"""The day before a booked dose: each is asked once, whenever the watch looks and however often."""

from __future__ import annotations

from datetime import datetime

from clinic.course import booked
from clinic.course.actions.asking import Occasion, ask_again
from clinic.course.models import Asking
from clinic.people import access
from clinic.people.models import Site

# A sweep goes on at the next one: silence at a bedside is looked for in the same process.
ASKED_AT_ONCE = 5


def ask_the_day_before(*, at: datetime) -> list[Asking]:
    """Ask stage `day-before` about doses booked for tomorrow by the site's wall; return the rows.

    Each in its own transaction, which sees the rows of that site alone: what another site knows
    about a person decides nothing here. Two sweeps at once write one row.
    """
    written: list[Asking] = []
    for site in Site.objects.order_by("code"):
        with access.acting(access.worker_at("watch", site)):
            waiting = booked.not_asked_for_tomorrow(site, at)
        for session in waiting:
            if len(written) == ASKED_AT_ONCE:
                return written
            with access.acting(access.worker_at("watch", site)) as by:
                found = ask_again(
                    course=session.course,
                    session=session,
                    stage="day-before",
                    occasion=Occasion.DAY_BEFORE,
                    by=by,
                )
            written += [found] if found is not None else []
    return written
