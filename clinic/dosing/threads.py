"""A few threads that keep their database connection: what an event loop asks the database with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

P = ParamSpec("P")
R = TypeVar("R")


class Threads:
    """Runs database work off the loop: no connection for each reader, nor for each message.

    The threads start with the first work and keep their connections until `close`.
    """

    def __init__(self, name: str, count: int = 4) -> None:
        self._name, self._count = name, count
        self._pool: ThreadPoolExecutor | None = None

    async def run(self, act: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `act` returns, run in one of the threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
        work = sync_to_async(act, thread_sensitive=False, executor=self._pool)
        return await work(*args, **kwargs)

    def close(self) -> None:
        """Close every connection and end the threads; the next work starts new ones."""
        if self._pool is None:
            return
        together = threading.Barrier(self._count)
        for done in [self._pool.submit(_leave, together) for _ in range(self._count)]:
            done.result()
        self._pool.shutdown()
        self._pool = None


def _leave(together: threading.Barrier) -> None:
    """Close this thread's connection, and wait so that each thread gets to do so once."""
    connection.close()
    together.wait(10)
