"""The live feed: one task a process listens to the database and wakes open session pages.

A notice carries a session's id and a sequence number, never a value: each reader fetches what is
new in a short transaction of its own, as itself. Each reader's queue is bounded; one that does not
read is let go, and its page comes back with the last id it saw. See docs/algorithms/live-feed.md.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection, connections
from psycopg import conninfo

from clinic.dosing import faults

CHANNEL = "afterglow_feed"
QUEUE_SIZE = 256
RETRY_SECONDS = 0.5

log = logging.getLogger(__name__)


def announce(session_id: uuid.UUID, seq: int) -> None:
    """Tell every process that the session's log has reached `seq`; delivered at commit."""
    announce_all({session_id: seq})


def announce_all(reached: Mapping[uuid.UUID, int]) -> None:
    """Tell every process how far the logs of these sessions have come; delivered at commit."""
    notices = [f"{session_id} {seq}" for session_id, seq in reached.items()]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, notice) FROM unnest(%s::text[]) AS notice", [CHANNEL, notices]
        )


@dataclass(eq=False)
class Reader:
    """One open page's place in the feed: sequence numbers it has not fetched yet."""

    session_id: uuid.UUID
    waiting: asyncio.Queue[int] = field(default_factory=lambda: asyncio.Queue(QUEUE_SIZE))
    is_dropped: bool = False

    def wake(self, seq: int) -> None:
        """Note that there is something new; a reader whose queue is full is let go."""
        try:
            self.waiting.put_nowait(seq)
        except asyncio.QueueFull:
            self.is_dropped = True

    async def wait(self, seconds: float) -> bool:
        """Return whether something came within `seconds`, and empty the queue."""
        try:
            await asyncio.wait_for(self.waiting.get(), seconds)
        except TimeoutError:
            return False
        while not self.waiting.empty():
            self.waiting.get_nowait()
        return True


class Feed:
    """The listening task of one event loop, and the readers it wakes."""

    def __init__(self) -> None:
        self._readers: dict[uuid.UUID, set[Reader]] = {}
        self._task: asyncio.Task[None] | None = None
        self.is_listening = asyncio.Event()

    @contextmanager
    def reading(self, session_id: uuid.UUID) -> Iterator[Reader]:
        """Hold a place in the feed; the first reader of a process starts the listening task."""
        reader = Reader(session_id)
        self._readers.setdefault(session_id, set()).add(reader)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen(), name=CHANNEL)
        try:
            yield reader
        finally:
            self._readers[session_id].discard(reader)
            if not self._readers[session_id]:
                del self._readers[session_id]

    async def _listen(self) -> None:
        """Listen for ever. What was announced while deaf is fetched by id once we hear again."""
        while True:
            try:
                await self._hear()
            except (psycopg.Error, OSError) as error:
                self.is_listening.clear()
                log.error("the live feed does not hear: %s", faults.told(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self) -> None:
        async with await psycopg.AsyncConnection.connect(where(), autocommit=True) as database:
            await database.execute(f"LISTEN {CHANNEL}")
            self.is_listening.set()
            for reader in [one for readers in self._readers.values() for one in readers]:
                reader.wake(0)
            async for notice in database.notifies():
                self._tell(notice.payload)
        raise psycopg.OperationalError("the connection that listens was closed")

    def _tell(self, payload: str) -> None:
        session, _, seq = payload.partition(" ")
        for reader in list(self._readers.get(uuid.UUID(session), ())):
            reader.wake(int(seq))


def where() -> str:
    """Return the connection string to reach the database that Django's `default` is at."""
    entry = connections.settings["default"]
    named = {
        "dbname": "NAME",
        "user": "USER",
        "password": "PASSWORD",
        "host": "HOST",
        "port": "PORT",
    }
    given = {key: str(entry[name]) for key, name in named.items() if entry.get(name)}
    # Django's own options (a pool) are no words of PostgreSQL's.
    words = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    options = {key: str(value) for key, value in entry.get("OPTIONS", {}).items() if key in words}
    return conninfo.make_conninfo(**options | given)


_feeds: WeakKeyDictionary[asyncio.AbstractEventLoop, Feed] = WeakKeyDictionary()


def of_this_process() -> Feed:
    """Return the feed of the running event loop: a server process has one."""
    return _feeds.setdefault(asyncio.get_running_loop(), Feed())
