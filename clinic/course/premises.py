"""Whether a course's route may be given at its site, in words for who is stopped by it."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.course.models import Course
from clinic.course.queries import moment
from clinic.people.premises import Premises, premises
from kap.spray import ROUTE as NASAL

# By which way the drug of a protocol is given.
ROUTES = {"iv-ketamine": "IV", "esketamine-spray": NASAL}


def premises_of(course: Course, at: datetime) -> Premises:
    """Return what the course's site needs for its route on the local day of `at`."""
    route = ROUTES[course.protocol.protocol_id]
    return premises(course.site, route, moment(at, course.site).local_date)


def asked_words(found: Premises) -> str:
    """Return what is asked of the premises, with its source and mark, in the page's language."""
    if found.asked is None:
        return _(
            "The rules on file for %(place)s say nothing about premises for %(route)s: ask the"
            " college; nothing is planned, ordered or started before"
        ) % {"place": found.jurisdiction, "route": found.route}
    text = found.asked.text[(get_language() or "en")[:2]]
    doubt = _(", not verified") if found.asked.unverified else ""
    return f"{text} [{found.asked.mark}; {found.asked.source}{doubt}]"


def closed_words(found: Premises) -> str:
    """Return why nothing may be given here and what to do; only of premises that are not open."""
    if found.asked is None:
        return asked_words(found)
    return _(
        "The approval of these premises for %(route)s is not on file. %(asked)s. Whoever runs the"
        " installation records it: clinic site authorise"
    ) % {"route": found.route, "asked": asked_words(found)}
