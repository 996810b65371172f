"""How long the server takes for each page of the demonstration, with one visitor at a time."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.ground import Failed, Visitor
from tests.bench.spread import Spread

if TYPE_CHECKING:
    from clinic.course.models import Course

SITE = "toronto"
WARM_UP = 3


@dataclass(frozen=True)
class Page:
    """A page by the name staff give it, who opens it (empty: anybody), and its address."""

    name: str
    who: str
    path: str


@dataclass(frozen=True)
class PageTime:
    """What one page took."""

    name: str
    ms: Spread


def measure(pages: Sequence[Page], requests: int) -> list[PageTime]:
    """Return the times of each page, from the request sent to the whole answer read."""
    visitors = {"": Visitor()}
    for who in sorted({page.who for page in pages} - {""}):
        visitors[who] = Visitor().sign_in(who)
    return [PageTime(page.name, _time(visitors[page.who], page, requests)) for page in pages]


def _time(visitor: Visitor, page: Page, requests: int) -> Spread:
    taken = []
    for number in range(WARM_UP + requests):
        began = time.perf_counter()
        status, _body = visitor.get(page.path)
        if status != http.client.OK:
            raise Failed(f"{page.name} ({page.path}) answered {status} to {page.who or 'anybody'}")
        if number >= WARM_UP:
            taken.append(1000 * (time.perf_counter() - began))
    return Spread.of(taken)


def main_pages() -> list[Page]:
    """Return every main page, at rows that the demonstration has. Needs Django as the owner."""
    from clinic.course.models import Course, Referral, Session
    from clinic.dosing.models import Infusion, Order

    here = {"site_id": SITE}
    running = Infusion.objects.filter(state=Infusion.State.RUNNING, **here).latest("started_at")
    left = Infusion.objects.filter(discharged_at__isnull=False, **here).latest("started_at")
    waiting = Course.objects.filter(decisions__isnull=True, **here).latest("recorded_at")
    ordered = Order.objects.filter(session__infusion__isnull=True, **here)
    planned = ordered.latest("signed_at").session if ordered else running.session
    referral = Referral.objects.filter(course__isnull=True, **here).first()
    prepared = Session.objects.filter(kind=Session.Kind.PREPARATION, **here).latest("recorded_at")
    course, hour = running.session.course_id, f"/sessions/{running.session_id}"
    pages = [
        Page("home", "", "/"),
        Page("sign in", "", "/account/login/"),
        Page("self-check", "", f"/self-check/{SITE}/"),
        Page("questionnaire", "", f"/me/q/{_questionnaire(waiting)}/"),
        Page("today", "nina", "/today/"),
        Page("patients", "nina", "/today/patients"),
        Page("referrals", "cora", "/intake/referrals/"),
        Page("worklist", "alice", "/intake/"),
        Page("screening", "alice", f"/intake/{waiting.pk}/"),
        Page("review", "alice", f"/intake/{waiting.pk}/review"),
        Page("course", "alice", f"/courses/{course}/"),
        Page("order", "alice", f"/sessions/{planned.pk}/order"),
        Page("start", "nina", f"/sessions/{planned.pk}/start"),
        Page("board", "nina", "/sessions/board"),
        Page("session", "nina", hour),
        Page("session trend", "nina", f"{hour}/chart"),
        Page("discharge", "nina", f"{hour}/discharge"),
        Page("session record", "nina", f"/sessions/{left.session_id}/record"),
        Page("note", "tess", f"/therapy/{prepared.pk}/"),
        Page("quarantine", "nina", "/devices/quarantine"),
        Page("audit log", "pri", "/today/audit"),
    ]
    if referral is not None:
        pages.insert(7, Page("referral", "cora", f"/intake/referrals/{referral.pk}/"))
    return pages


def _questionnaire(course: Course) -> str:
    """Write an open link to the depression questionnaire, and return its token."""
    from django.db import transaction

    from clinic.outcomes.actions import send_questionnaire
    from clinic.people import access

    with transaction.atomic():
        by = access.worker("bench")
        access.enter(by)
        sent = send_questionnaire(course=course, instrument_id="phq9", by=by)
    return sent.token
