"""The live feed: from a commit in one process to an open page in another, within a second."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.test import RequestFactory

from clinic.audit.models import Event
from clinic.database import now
from clinic.dosing import actions, feed, stream
from clinic.people import access
from clinic.people.models import Role
from kap.observation import Observation as Reading
from tests.clinic import hour


def read(session: Any, value: int) -> None:
    """Commit a reading, as another process would."""
    try:
        with access.acting(hour.author("alice")) as by:
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
    user = hour.staff(name).user
    kept = SessionStore()
    kept[SESSION_KEY] = str(user.pk)
    kept.save()
    request: Any = RequestFactory().get("/")
    request.user, request.session, request.by = user, kept, hour.author(name)
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

    with place_of("alice", running.session) as place:
        asyncio.run(scene(place))


def test_a_page_that_comes_back_hears_only_what_it_missed(running: hour.Hour) -> None:
    read(running.session, 70)
    with access.acting(hour.author("alice")):
        last = stream.head_of(running.session)
    read(running.session, 71)

    async def scene(place: stream.Place) -> list[tuple[str, Any]]:
        events = stream.events(place)
        found = await heard(events, "beat")
        await events.aclose()  # type: ignore[attr-defined]  # an async generator
        return found

    with place_of("alice", running.session, after=last) as place:
        found = asyncio.run(scene(place))
    assert [name for name, _ in found] == ["observation", "beat"]
    assert found[0][1]["text"] == "71"


def test_a_page_too_far_behind_gets_a_snapshot(
    running: hour.Hour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BACKLOG", 1)
    for value in (70, 71, 72):
        read(running.session, value)
    with place_of("alice", running.session, after=0) as place:
        names = [news.name for news in stream.fetch(place, beat=False)]
    assert names == ["snapshot"]


@pytest.mark.parametrize("how", ["signed out", "role lost"])
def test_signing_out_or_losing_the_role_ends_the_stream(running: hour.Hour, how: str) -> None:
    with place_of("alice", running.session) as place:
        assert stream.fetch(place, beat=True)
        if how == "signed out":
            place.request.session.flush()
        else:
            Role.objects.using("migrate").filter(staff=hour.staff("alice")).delete()
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
    with place_of("alice", running.session) as place:
        stream.opened(place)
        stream.fetch(place, beat=True)
    with access.acting(hour.author("alice")):
        assert Event.objects.filter(action="session.stream").count() == 1
