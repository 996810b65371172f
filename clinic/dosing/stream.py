"""The live stream of one session: what a page is sent, in order, as its reader may see it.

Every fetch is one short transaction as the reader, whose sign-in, role and site are looked up anew.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import DatabaseError, InterfaceError, connection
from django.template.loader import render_to_string
from django.utils import translation

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import feed, queries
from clinic.dosing.kept import Kept
from clinic.dosing.live import CUFF, CUFF_VITALS, TILES, Live, watch_ms
from clinic.dosing.models import LogHead
from clinic.dosing.seen import LINE, VITAL, Seen
from clinic.dosing.threads import Threads
from clinic.dosing.together import Together
from clinic.people import access
from clinic.people.access import ClinicRequest
from clinic.people.models import Staff

BEAT_SECONDS = 2.0
PAUSE_SECONDS = 0.1  # busy sessions are fetched ten times a second, not once a reading

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


@dataclass(frozen=True)
class Asked:
    """One page that wants what is new, and whether its beat is due."""

    place: Place
    beat: bool

    @property
    def whose(self) -> tuple[str, str, str]:
        """The sign-in, the person and the language: pages of one are fetched together."""
        request = self.place.request
        return str(request.session.session_key), str(request.user.pk), self.place.language


Found = list[News] | Exception


def fetch(place: Place, *, beat: bool) -> list[News]:
    """Return what is new for one page, and move its place on. Raises Over."""
    [found] = fetch_all([Asked(place, beat)], Kept())
    if isinstance(found, Exception):
        raise found
    return found


def fetch_all(asked: Sequence[Asked], kept: Kept) -> list[Found]:
    """Return what is new for each page of one sign-in, or Over; move their places on.

    One transaction as the reader, who is looked up anew.
    """
    first = asked[0].place
    try:
        with translation.override(first.language), access.acting(reader_of(first.request)):
            return _fetched(asked, kept)
    except Over as over:
        return [over] * len(asked)
    except (DatabaseError, InterfaceError):
        connection.close()  # asked again at the next beat; the page's own clock says NO LINK
        return [[] for _ in asked]


def _fetched(asked: Sequence[Asked], kept: Kept) -> list[Found]:
    rows = Session.objects.select_related("course__protocol", "patient", "site")
    wanted = {one.place.session_id for one in asked}
    sessions = {row.pk: row for row in rows.filter(pk__in=wanted, kind=Session.Kind.DOSING)}
    seen, at = kept.seen(sessions), now()
    return [
        list(_news(one, Live(sessions[pk], at, seen[pk]), seen[pk])) if pk in sessions else Over()
        for one in asked
        for pk in [one.place.session_id]
    ]


def _news(asked: Asked, live: Live, seen: Seen) -> Iterable[News]:
    place = asked.place
    fresh = None if place.after is None else seen.came_since(place.after)
    place.after = seen.seq
    if fresh is None:
        yield News("snapshot", snapshot(place, live), place.after)
    elif fresh:
        yield from _each(place, live, fresh)
    if asked.beat:
        yield News("beat", beat_of(live))


def _each(place: Place, live: Live, fresh: Iterable[tuple[int, str, str]]) -> Iterable[News]:
    """One event a vital (its newest), the alarms once, the session once: the last has the id.

    The session is redrawn for a line of the log alone: a reading must not move a button in use.
    """
    seen = [name for _, what, name in fresh if what == VITAL]
    kinds = {name for _, what, name in fresh if what == LINE}
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


# -- rounds ---------------------------------------------------------------------------------------


class Pages:
    """The open pages of one event loop: fetched in rounds, those of one sign-in together."""

    def __init__(self) -> None:
        self._kept = Kept()
        self._rounds: Together[Asked, list[News]] = Together(self._round, PAUSE_SECONDS)

    async def news(self, place: Place, *, beat: bool) -> list[News]:
        """Return what is new for one page. Raises Over."""
        return await self._rounds.ask(Asked(place, beat))

    async def _round(self, asked: Sequence[Asked]) -> Sequence[Found]:
        whose: dict[tuple[str, str, str], list[int]] = {}
        for number, one in enumerate(asked):
            whose.setdefault(one.whose, []).append(number)
        groups = await asyncio.gather(
            *(
                threads.run(fetch_all, [asked[number] for number in numbers], self._kept)
                for numbers in whose.values()
            ),
            return_exceptions=True,
        )
        found: list[Found] = [[] for _ in asked]
        for numbers, group in zip(whose.values(), groups, strict=True):
            for place, number in enumerate(numbers):
                found[number] = _of_group(group, place)
        return found


def _of_group(group: list[Found] | BaseException, place: int) -> Found:
    """Return one page's part; what broke a sign-in's fetch ends its pages, and no others."""
    if isinstance(group, Exception):
        return group
    assert not isinstance(group, BaseException)  # a cancelled round is never read
    return group[place]


_pages: WeakKeyDictionary[asyncio.AbstractEventLoop, Pages] = WeakKeyDictionary()


def of_this_process() -> Pages:
    """Return the open pages of the running event loop: a server process has one."""
    return _pages.setdefault(asyncio.get_running_loop(), Pages())


def let_go() -> None:
    """Give back the connection that the opening request signed in with.

    Django would keep it until the answer ends, and a stream does not end.
    """
    connection.close()


async def events(place: Place) -> AsyncIterator[bytes]:
    """Yield the stream until the reader is gone, may not read on, or does not keep up."""
    await sync_to_async(let_go)()  # in the request's own thread
    pages = of_this_process()
    with feed.of_this_process().reading(place.session_id) as reader:
        try:
            for news in await pages.news(place, beat=True):
                yield news.wire()
            clock = asyncio.get_running_loop().time
            due = clock() + BEAT_SECONDS
            while not reader.is_dropped:
                woken = await reader.wait(max(0.0, due - clock()))
                beat = clock() >= due
                if beat:
                    due = clock() + BEAT_SECONDS
                if woken or beat:
                    for news in await pages.news(place, beat=beat):
                        yield news.wire()
        except Over:
            yield News("over", {}).wire()
