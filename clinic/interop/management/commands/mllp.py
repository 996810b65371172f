"""`clinic mllp`: take HL7 v2 messages from monitors on the loopback address."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from clinic.dosing import faults
from clinic.dosing.threads import Threads
from clinic.interop import actions
from clinic.interop.mllp import Answers, Arrival, Listener
from clinic.people import access

HOST = "127.0.0.1"
log = logging.getLogger(__name__)
threads = Threads("mllp", count=1)  # one transaction at a time: what waits goes into the next


def take(arrived: Sequence[Arrival]) -> list[Answers]:
    """Store messages that arrived together in one transaction; None (no answer) where one failed.

    Where the transaction fails, each is taken by itself: no message costs its neighbours theirs.
    """
    try:
        return _stored(arrived)
    except Exception as error:  # told and not acknowledged: the sender sends it again
        if faults.is_away(error):
            log.error("messages were not stored and not acknowledged: %s", faults.told(error))
            connection.close()
            return [None] * len(arrived)
        if len(arrived) == 1 and not faults.is_passing(error):
            log.error("a message was not stored and not acknowledged: %s", faults.told(error))
            return [None]
    return [answers for one in arrived for answers in _alone(one)]


def _alone(arrival: Arrival) -> list[Answers]:
    try:
        return _stored([arrival])
    except Exception as error:  # the same; its neighbours are taken
        log.error("a message was not stored and not acknowledged: %s", faults.told(error))
        if faults.is_away(error):
            connection.close()
        return [None]


def _stored(arrived: Sequence[Arrival]) -> list[Answers]:
    with access.acting(access.worker("mllp")) as by:
        return list(actions.receive_all(arrived=arrived, by=by))


async def store(arrived: Sequence[Arrival]) -> Sequence[Answers]:
    """Take messages in a thread: the loop never waits for the database."""
    return await threads.run(take, arrived)


async def serve(port: int) -> asyncio.Server:
    """Return the listening server; port 0 lets the system choose."""
    return await Listener(store).start(HOST, port)


class Command(BaseCommand):
    """Listen until stopped."""

    help = "Take HL7 v2 messages (MLLP) on 127.0.0.1:MLLP_PORT."

    def add_arguments(self, parser: CommandParser) -> None:
        """Let the port be given, by option or MLLP_PORT."""
        parser.add_argument("--port", type=int, default=int(os.environ.get("MLLP_PORT", "2575")))

    def handle(self, *_args: Any, port: int, **_options: Any) -> None:
        """Serve for ever."""
        asyncio.run(self._run(port))

    async def _run(self, port: int) -> None:
        server = await serve(port)
        bound = server.sockets[0].getsockname()[1]
        self.stdout.write(f"listening for HL7 v2 on {HOST}:{bound}")
        self.stdout.flush()
        async with server:
            await server.serve_forever()
