"""`clinic mllp`: take HL7 v2 messages from monitors on the loopback address."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError, connection

from clinic.dosing.threads import Threads
from clinic.interop import actions
from clinic.interop.mllp import Listener
from clinic.people import access

HOST = "127.0.0.1"
log = logging.getLogger(__name__)
threads = Threads("mllp")


def take(raw: bytes, peer: str) -> tuple[bytes, ...] | None:
    """Store one message in its own transaction; None (no acknowledgement) when that failed."""
    try:
        with access.acting(access.worker("mllp")) as by:
            return actions.receive(raw=raw, peer=peer, by=by)
    except (DatabaseError, InterfaceError) as error:
        log.error("a message was not stored and not acknowledged: %s", type(error).__name__)
        connection.close()
        return None


async def answer(raw: bytes, peer: str) -> tuple[bytes, ...] | None:
    """Take one message in a thread: the loop never waits for the database."""
    return await threads.run(take, raw, peer)


async def serve(port: int) -> asyncio.Server:
    """Return the listening server; port 0 lets the system choose."""
    return await Listener(answer).start(HOST, port)


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
