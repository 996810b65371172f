"""The live stream of one session: what a page is sent, in order, as its reader may see it.

Every fetch is one short transaction as the reader, whose sign-in, role and site are looked up anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError, InterfaceError, connection
from django.http import Http404
from django.template.loader import render_to_string
from django.utils import translation

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import feed, queries
from clinic.dosing.live import CUFF, CUFF_VITALS, TILES, Live, watch_ms
from clinic.dosing.models import LogHead, Observation, SessionEvent
from clinic.dosing.threads import Threads
from clinic.people import access
from clinic.people.access import ClinicRequest
from clinic.people.models import Staff

BEAT_SECONDS = 2.0
PAUSE_SECONDS = 0.1  # a busy session is fetched ten times a second, not once a reading
BACKLOG = 200  # a reader further behind gets a snapshot

threads = Threads("feed")


class Over(Exception):
    """This reader may not read on: signed out, or the role is gone."""


@dataclass
class Place:
    """Where a reader stands in a session's sequence."""

    request: ClinicRequest
    session_id: UUID
    after: int | None
    language: str = field(default_factory=lambda: translation.get_language() or "en")


@dataclass(frozen=True)
class News:
    """One event of the stream."""

    name: str
    data: dict[str, Any]
    seq: int | None = None

    def wire(self) -> bytes:
        """Return the event as server-sent text."""
        number = f"id: {self.seq}\n" if self.seq is not None else ""
        return f"event: {self.name}\n{number}data: {json.dumps(self.data)}\n\n".encode()


def reader_of(request: ClinicRequest) -> Author:
    """Return the reader as of now. Raises Over when signed out or without the role."""
    engine = import_module(settings.SESSION_ENGINE)
    signed_in = engine.SessionStore(request.session.session_key).load()
    if signed_in.get(SESSION_KEY) != str(request.user.pk):
        raise Over
    staff = Staff.objects.filter(user__pk=str(request.user.pk), user__is_active=True).first()
    permit = access.policy()[("dosing:stream", "GET")]
    reader = access.staff_author(staff, permit.roles) if staff is not None else None
    if reader is None:
        raise Over
    return reader


def opened(place: Place) -> None:
    """Audit the opening; 404 for a session of another site."""
    with access.acting(place.request.by) as by:
        session = queries.session_of(place.session_id)
        audit.record(by=by, action="session.stream", about=session)


def fetch(place: Place, *, beat: bool) -> list[News]:
    """Return what is new for this reader, and move the place on. Raises Over."""
    try:
        with translation.override(place.language), access.acting(reader_of(place.request)):
            return list(_fetched(place, beat=beat))
    except Http404 as gone:
        raise Over from gone
    except (DatabaseError, InterfaceError):
        connection.close()  # asked again at the next beat; the page's own clock says NO LINK
        return []


def _fetched(place: Place, *, beat: bool) -> Iterable[News]:
    live = Live(queries.session_of(place.session_id), now())
    fresh = None if place.after is None else _since(live.session, place.after)
    if fresh is None or len(fresh) > BACKLOG:
        place.after = head_of(live.session)
        yield News("snapshot", snapshot(place, live), place.after)
    elif fresh:
        yield from _news(place, live, fresh)
    if beat:
        yield News("beat", beat_of(live))


def _since(session: Session, seq: int) -> list[SessionEvent | Observation]:
    events = SessionEvent.objects.filter(session=session, seq__gt=seq)[: BACKLOG + 1]
    seen = Observation.objects.filter(session=session, seq__gt=seq)[: BACKLOG + 1]
    return sorted([*events, *seen], key=lambda row: row.seq)


def _news(place: Place, live: Live, fresh: list[SessionEvent | Observation]) -> Iterable[News]:
    """One event a vital (its newest), the alarms once, the session once: the last has the id.

    The session is redrawn for a line of the log alone: a reading must not move a button in use.
    """
    place.after = fresh[-1].seq
    seen = [row.vital for row in fresh if isinstance(row, Observation)]
    kinds = {row.kind for row in fresh if isinstance(row, SessionEvent)}
    vitals = dict.fromkeys(CUFF if vital in CUFF_VITALS else vital for vital in seen)
    news = [News("observation", live.tile(vital).news()) for vital in vitals if vital in TILES]
    if any(kind.startswith("alarm") for kind in kinds):
        news.append(News("alarm", alarms_of(place, live)))
    if kinds:
        news.append(News("session", session_of(place, live)))
    yield from news[:-1]
    yield from (replace(last, seq=place.after) for last in news[-1:])


def head_of(session: Session) -> int:
    """Return the last number of the session's sequence."""
    return LogHead.objects.filter(session=session).values_list("seq", flat=True).first() or 0


def snapshot(place: Place, live: Live) -> dict[str, Any]:
    """Return everything a page shows."""
    return {
        "tiles": [tile.news() for tile in live.tiles],
        "alarms": alarms_of(place, live),
        "session": session_of(place, live),
        **beat_of(live),
    }


def beat_of(live: Live) -> dict[str, Any]:
    """Return the heartbeat: server time, the watch's age, what runs on by itself."""
    return {
        "server": int(live.at.timestamp() * 1000),
        "watch_ms": watch_ms(live.at),
        "given": live.given,
        "elapsed": live.elapsed,
    }


def alarms_of(place: Place, live: Live) -> dict[str, Any]:
    """Return the alarm rows as the page shows them."""
    page = {"live": live, "session": live.session}
    html = render_to_string("dosing/alarms.html", page, place.request)
    return {"html": html, "marks": live.alarms[0].marks if live.alarms else ""}


def session_of(place: Place, live: Live) -> dict[str, Any]:
    """Return the state of the session as the page shows it."""
    page = {"live": live, "session": live.session, "by": place.request.by}
    html = render_to_string("dosing/state.html", page, place.request)
    return {"html": html, "theme": live.theme, "phase": live.state.phase.value}


async def events(place: Place) -> AsyncIterator[bytes]:
    """Yield the stream until the reader is gone, may not read on, or does not keep up."""
    with feed.of_this_process().reading(place.session_id) as reader:
        try:
            for news in await threads.run(fetch, place, beat=True):
                yield news.wire()
            clock = asyncio.get_running_loop().time
            due = clock() + BEAT_SECONDS
            while not reader.is_dropped:
                woken = await reader.wait(max(0.0, due - clock()))
                beat = clock() >= due
                if beat:
                    due = clock() + BEAT_SECONDS
                if woken or beat:
                    for news in await threads.run(fetch, place, beat=beat):
                        yield news.wire()
                await asyncio.sleep(PAUSE_SECONDS)
        except Over:
            yield News("over", {}).wire()
