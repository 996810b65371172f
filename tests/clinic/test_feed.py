"""The live feed: from a commit in one process to an open page in another, within a second."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.handlers.asgi import ASGIHandler
from django.db import OperationalError, connection
from django.test import Client, RequestFactory, override_settings

from clinic import database
from clinic.audit.models import Event
from clinic.database import now
from clinic.dosing import actions, feed, kept, live, stream
from clinic.dosing import seen as seen_of
from clinic.dosing.actions.log import next_seq
from clinic.dosing.models import Observation, SessionEvent
from clinic.people import access
from clinic.people.models import Role
from kap.observation import Observation as Reading
from tests import world
from tests.clinic import hour


def read(session: Any, value: int) -> None:
    """Commit a reading, as another process would."""
    try:
        with access.acting(world.author("bob")) as by:
            at = now()
            seen = [Reading("heart_rate", Decimal(value), "/min", observed_at=at, received_at=at)]
            actions.record_observations(session=session, seen=seen, by=by)
    finally:
        connection.close()


# -- the listening task ---------------------------------------------------------------------------


def test_a_commit_elsewhere_wakes_a_reader_within_a_second(running: hour.Hour) -> None:
    async def scene() -> float:
        with feed.of_this_process().reading(running.session.pk) as reader:
            await asyncio.wait_for(feed.of_this_process().is_listening.wait(), 5)
            await reader.wait(0.1)  # what listening itself woke
            begun = time.monotonic()
            await asyncio.to_thread(read, running.session, 80)
            assert await reader.wait(5)
            return time.monotonic() - begun

    assert asyncio.run(scene()) < 1


def test_it_hears_too_in_a_process_whose_pages_share_a_pool(running: hour.Hour) -> None:
    """The pool is Django's, not PostgreSQL's: the connection that listens is none of it."""

    async def scene() -> bool:
        with feed.of_this_process().reading(running.session.pk) as reader:
            await asyncio.wait_for(feed.of_this_process().is_listening.wait(), 5)
            await reader.wait(0.1)
            await asyncio.to_thread(read, running.session, 80)
            return await reader.wait(5)

    with database.pooled(connection):
        assert asyncio.run(scene())


def test_a_reader_of_another_session_is_not_woken(running: hour.Hour) -> None:
    async def scene() -> bool:
        with feed.of_this_process().reading(uuid4()) as reader:
            await asyncio.wait_for(feed.of_this_process().is_listening.wait(), 5)
            await reader.wait(0.1)
            await asyncio.to_thread(read, running.session, 80)
            return await reader.wait(0.3)

    assert asyncio.run(scene()) is False


def test_after_a_lost_connection_it_listens_again_and_wakes_everybody(running: hour.Hour) -> None:
    async def scene() -> None:
        with feed.of_this_process().reading(running.session.pk) as reader:
            await asyncio.wait_for(feed.of_this_process().is_listening.wait(), 5)
            await reader.wait(0.1)
            await asyncio.to_thread(end_listeners)
            assert await reader.wait(5)  # woken by listening again
            await asyncio.to_thread(read, running.session, 81)
            assert await reader.wait(5)

    asyncio.run(scene())


def end_listeners() -> None:
    """Terminate the connections that listen, as a restart of the database would."""
    hour.owner_ends_listeners()


def test_a_reader_that_does_not_read_is_let_go() -> None:
    async def scene() -> bool:
        reader = feed.Reader(uuid4())
        for seq in range(feed.QUEUE_SIZE + 1):
            reader.wake(seq)
        return reader.is_dropped

    assert asyncio.run(scene())


# -- the stream -----------------------------------------------------------------------------------


@contextmanager
def place_of(name: str, session: Any, after: int | None = None) -> Iterator[stream.Place]:
    """A signed-in person's place in the stream."""
    user = world.staff(name).user
    kept = SessionStore()
    kept[SESSION_KEY] = str(user.pk)
    kept.save()
    request: Any = RequestFactory().get("/")
    request.user, request.session, request.by = user, kept, world.author(name)
    try:
        yield stream.Place(request, session.pk, after)
    finally:
        stream.threads.close()


async def heard(
    events: AsyncIterator[bytes], until: str, seconds: float = 5
) -> list[tuple[str, Any]]:
    """Read events until one of this name has come."""
    found: list[tuple[str, Any]] = []
    async with asyncio.timeout(seconds):
        async for text in events:
            lines = dict(line.split(": ", 1) for line in text.decode().strip().splitlines())
            found.append((lines["event"], json.loads(lines["data"]) | {"id": lines.get("id")}))
            if lines["event"] == until:
                break
    return found


def test_a_page_opens_with_a_snapshot_and_hears_a_reading_within_a_second(
    running: hour.Hour,
) -> None:
    async def scene(place: stream.Place) -> None:
        events = stream.events(place)
        [(name, first), *_] = await heard(events, "beat")
        assert name == "snapshot"
        assert first["session"]["phase"] == "running"
        assert first["tiles"][0]["age_ms"] is None
        await asyncio.wait_for(feed.of_this_process().is_listening.wait(), 5)
        begun = time.monotonic()
        await asyncio.to_thread(read, running.session, 88)
        news = await heard(events, "observation")
        assert time.monotonic() - begun < 1
        [seen] = [data for name, data in news if name == "observation"]
        assert (seen["vital"], seen["text"]) == ("heart_rate", "88")
        assert seen["age_ms"] < 1000
        assert news[-1][1]["id"] is not None
        await events.aclose()  # type: ignore[attr-defined]  # an async generator

    with place_of("bob", running.session) as place:
        asyncio.run(scene(place))


def test_a_page_that_comes_back_hears_only_what_it_missed(running: hour.Hour) -> None:
    read(running.session, 70)
    with access.acting(world.author("bob")):
        last = stream.head_of(running.session)
    read(running.session, 71)

    async def scene(place: stream.Place) -> list[tuple[str, Any]]:
        events = stream.events(place)
        found = await heard(events, "beat")
        await events.aclose()  # type: ignore[attr-defined]  # an async generator
        return found

    with place_of("bob", running.session, after=last) as place:
        found = asyncio.run(scene(place))
    assert [name for name, _ in found] == ["observation", "beat"]
    assert found[0][1]["text"] == "71"


def test_a_page_too_far_behind_gets_a_snapshot(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "BACKLOG", 1)
    for value in (70, 71, 72):
        read(running.session, value)
    with place_of("bob", running.session, after=0) as place:
        names = [news.name for news in stream.fetch(place, beat=False)]
    assert names == ["snapshot"]


def raise_alarm(session: Any) -> None:
    """Commit a reading and the alarm it raises: two numbers, one commit."""
    try:
        with access.acting(world.author("bob")) as by:
            at = now()
            seen = [Reading("spo2", Decimal(60), "%", observed_at=at, received_at=at)]
            actions.record_observations(session=session, seen=seen, by=by)
            actions.say(session=session, id=uuid4(), text="alarm", by=by)
    finally:
        connection.close()


@pytest.mark.parametrize("between", ["readings and lines", "head and readings"])
def test_no_line_is_missed_that_is_committed_while_a_page_fetches(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    """The head is read first: what is committed after it belongs to the next fetch, whole."""
    model = SessionEvent if between == "readings and lines" else Observation
    raw, done = model.objects.raw, threading.Event()

    def meanwhile(*given: Any) -> Any:
        if not done.is_set():
            done.set()
            other = threading.Thread(target=raise_alarm, args=[running.session])
            other.start()
            other.join()
        return raw(*given)

    with place_of("bob", running.session) as place:
        stream.fetch(place, beat=False)
        read(running.session, 80)
        monkeypatch.setattr(model.objects, "raw", meanwhile)
        heard = [news.name for news in stream.fetch(place, beat=False)]
        assert done.is_set()
        heard += [news.name for news in stream.fetch(place, beat=False)]
    assert heard.count("session") == 1


def test_what_is_kept_of_a_session_is_what_its_rows_say(running: hour.Hour) -> None:
    """Kept between fetches, an older reading, a pressure and another vital among them."""

    def say(vital: str, value: int, unit: str, seconds_ago: int) -> None:
        with access.acting(world.author("bob")) as by:
            at = now() - timedelta(seconds=seconds_ago)
            seen = [Reading(vital, Decimal(value), unit, observed_at=at, received_at=at)]
            actions.record_observations(session=running.session, seen=seen, by=by)

    known = kept.Kept()
    told = [
        ("heart_rate", 80, "/min", 900),
        ("heart_rate", 84, "/min", 5),
        ("heart_rate", 70, "/min", 30),
        ("systolic", 121, "mm[Hg]", 20),
        ("spo2", 97, "%", 1),
    ]
    for one in told:
        say(*one)
        with access.acting(world.author("bob")):
            seen = known.seen({running.session.pk: running.session})[running.session.pk]
            fast = live.Live(running.session, now(), seen)
            slow = live.Live(running.session, fast.at)
            assert fast.latest == slow.latest
            assert [tile.news() for tile in fast.tiles] == [tile.news() for tile in slow.tiles]
    assert seen.latest["heart_rate"].value == 84
    assert seen.came_since(seen.seq - 2) == [
        (seen.seq - 1, "vital", "systolic"),
        (seen.seq, "vital", "spo2"),
    ]


def test_a_corrected_reading_leaves_what_is_kept(running: hour.Hour) -> None:
    read(running.session, 80)
    read(running.session, 190)
    known = kept.Kept()
    with access.acting(world.author("bob")):
        here = {running.session.pk: running.session}
        assert known.seen(here)[running.session.pk].latest["heart_rate"].value == 190
        wrong = Observation.objects.get(value=190)
        values = {
            name: getattr(wrong, name)
            for name in ("session", "site_id", "patient_id", "author", "author_role", "unit")
        }
        Observation.add(
            **values,
            recorded_at=now(),
            seq=next_seq(running.session),
            vital="spo2",
            value=96,
            observed_at=now(),
            received_at=now(),
            source="staff",
            corrects=wrong,
        )
        seen = known.seen(here)[running.session.pk]
        assert seen.latest["heart_rate"].value == 80
        assert seen.ranges(now())["heart_rate"] == (80, 80)


def test_what_came_is_kept_as_long_as_a_page_may_be_behind(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = seen_of.Seen(0)
    one.take(300, [], [(number, "said") for number in range(1, 301)])
    assert one.came_since(99) is None
    assert [number for number, _, _ in one.came_since(298) or []] == [299, 300]
    assert one.came_since(301) is None  # a number of another database's
    monkeypatch.setattr(kept, "MOST", 0)
    known = kept.Kept()
    with access.acting(world.author("bob")):
        known.seen({running.session.pk: running.session})
        assert known.seen({}) == {}
    assert known._seen == {}


def test_pages_of_one_sign_in_are_fetched_in_one_transaction(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    fetch_all = stream.fetch_all

    def counted(asked: Any, known: Any) -> Any:
        looked.append(len(asked))
        return fetch_all(asked, known)

    monkeypatch.setattr(stream, "fetch_all", counted)

    async def scene(bob: stream.Place, nina: stream.Place) -> list[Any]:
        pages = stream.of_this_process()
        again = stream.Place(bob.request, bob.session_id, None)
        asked = [pages.news(place, beat=False) for place in (bob, nina, again)]
        return await asyncio.gather(*asked)

    with place_of("bob", running.session) as bob, place_of("nina", running.session) as nina:
        found = asyncio.run(scene(bob, nina))
    assert sorted(looked) == [1, 2]
    assert [[news.name for news in one] for one in found] == [["snapshot"]] * 3


def test_a_database_that_is_away_ends_no_page(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_request: Any) -> Any:
        raise OperationalError

    with place_of("bob", running.session) as place:
        with monkeypatch.context() as patch:
            patch.setattr(stream, "reader_of", away)
            assert stream.fetch(place, beat=True) == []
        assert [news.name for news in stream.fetch(place, beat=True)] == ["snapshot", "beat"]


def test_what_breaks_one_readers_fetch_ends_no_other_readers_page(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader_of = stream.reader_of

    def breaks(request: Any) -> Any:
        if request.by.name == world.author("nina").name:
            raise RuntimeError
        return reader_of(request)

    monkeypatch.setattr(stream, "reader_of", breaks)

    async def scene(*places: stream.Place) -> list[Any]:
        pages = stream.of_this_process()
        asked = [pages.news(place, beat=False) for place in places]
        return await asyncio.gather(*asked, return_exceptions=True)

    with place_of("bob", running.session) as bob, place_of("nina", running.session) as nina:
        [good, broken] = asyncio.run(scene(bob, nina))
    assert [news.name for news in good] == ["snapshot"]
    assert isinstance(broken, RuntimeError)


@pytest.mark.parametrize("how", ["signed out", "role lost"])
def test_signing_out_or_losing_the_role_ends_the_stream(running: hour.Hour, how: str) -> None:
    with place_of("bob", running.session) as place:
        assert stream.fetch(place, beat=True)
        if how == "signed out":
            place.request.session.flush()
        else:
            Role.objects.using("migrate").filter(staff=world.staff("bob")).delete()
        with pytest.raises(stream.Over):
            stream.fetch(place, beat=True)


def test_another_site_cannot_open_the_stream(running: hour.Hour) -> None:
    from django.http import Http404

    with place_of("charlie", running.session) as place:
        with pytest.raises(Http404):
            stream.opened(place)
        with pytest.raises(stream.Over):
            stream.fetch(place, beat=True)


def test_opening_is_audited_once(running: hour.Hour) -> None:
    with place_of("bob", running.session) as place:
        stream.opened(place)
        stream.fetch(place, beat=True)
    with access.acting(world.author("bob")):
        assert Event.objects.filter(action="session.stream").count() == 1


# -- what an open page costs ----------------------------------------------------------------------

OPEN = 12  # more than the feed's threads, its listener and the test itself


def connections_while_open(session: Any, name: str) -> int:
    """Return how many connections the database has while `OPEN` pages of a session are open."""
    client = Client()
    client.force_login(world.staff(name).user, backend="django.contrib.auth.backends.ModelBackend")
    path = f"/sessions/{session.pk}/stream"
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()),
        ],
    }

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            )
            found: int = cursor.fetchone()[0]
        connection.close()
        return found

    async def scene() -> int:
        pages = [ApplicationCommunicator(ASGIHandler(), dict(scope)) for _ in range(OPEN)]
        for page in pages:
            await page.send_input({"type": "http.request", "body": b"", "more_body": False})
        for page in pages:
            assert (await page.receive_output(10))["status"] == 200
            assert b"snapshot" in (await page.receive_output(10))["body"]
        found = await asyncio.to_thread(count)
        for page in pages:
            await page.send_input({"type": "http.disconnect"})
            await page.wait(10)
        return found

    try:
        with override_settings(MODE="demo"):
            return asyncio.run(scene())
    finally:
        stream.threads.close()


def test_open_pages_hold_no_connection_of_their_own(running: hour.Hour) -> None:
    assert connections_while_open(running.session, "bob") < OPEN


def test_without_letting_go_each_open_page_holds_one(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: what starved the pages of a server with sixteen connections."""
    monkeypatch.setattr(stream, "let_go", lambda: None)
    assert connections_while_open(running.session, "bob") > OPEN
