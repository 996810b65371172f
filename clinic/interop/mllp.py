"""HL7 v2 over MLLP: frames on a socket. What they mean is decided by `actions.receive_all`.

A frame is VT, message, FS CR; nothing outside a frame is data. Too long, too slow or too many ends
the connection, never the listener. Rules: docs/algorithms/live-feed.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from clinic.dosing.together import Together

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
END = FS + CR

log = logging.getLogger(__name__)

# The acknowledgements to send, or None: not stored, so that the sender must send again.
Answers = tuple[bytes, ...] | None


@dataclass(frozen=True)
class Arrival:
    """One message as it came: its bytes, and who sent them."""

    raw: bytes
    peer: str


# What becomes of messages, in the order given.
Store = Callable[[Sequence[Arrival]], Awaitable[Sequence[Answers]]]


@dataclass(frozen=True)
class Caps:
    """What one peer may cost: bytes a frame, seconds to complete one, seconds idle, connections."""

    frame_bytes: int = 256 * 1024
    completion_s: float = 10
    idle_s: float = 300
    connections: int = 50


class TooLong(Exception):
    """A frame above the cap: the connection is closed, for its end cannot be trusted."""


class Frames:
    """Cut a stream of bytes into messages, whatever pieces they arrive in."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._kept = b""

    @property
    def is_open(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._kept)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that `data` completes. Raises TooLong."""
        self._kept += data
        done: list[bytes] = []
        while (start := self._kept.find(VT)) >= 0:
            end = self._kept.find(END, start)
            if end < 0:
                break
            done.append(self._checked(self._kept[start + 1 : end]))
            self._kept = self._kept[end + len(END) :]
        self._kept = self._checked(self._kept[start:]) if start >= 0 else b""
        return done

    def _checked(self, message: bytes) -> bytes:
        if len(message) > self._cap:
            raise TooLong(f"a frame of more than {self._cap} bytes")
        return message


def framed(message: bytes) -> bytes:
    """Return a message in its frame."""
    return VT + message + END


@dataclass
class Listener:
    """The server: each message is answered before the next of its connection is read."""

    store: Store
    caps: Caps = field(default_factory=Caps)
    open: int = 0

    def __post_init__(self) -> None:
        self._together: Together[Arrival, Answers] = Together(self._stored)

    async def _stored(self, arrived: Sequence[Arrival]) -> Sequence[Answers | Exception]:
        """Store what waits together; None (no acknowledgement) when that failed."""
        try:
            return await self.store(arrived)
        except Exception as error:  # no connection may end the listener of the others
            log.error("messages were not stored: %s", type(error).__name__)
            return [None] * len(arrived)

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen; port 0 lets the system choose."""
        return await asyncio.start_server(self._serve, host, port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = ":".join(map(str, writer.get_extra_info("peername")[:2]))
        if self.open >= self.caps.connections:
            log.warning("a connection above the limit of %d was refused", self.caps.connections)
            writer.close()
            return
        self.open += 1
        try:
            await self._converse(reader, writer, peer)
        except (TooLong, TimeoutError, ConnectionError) as error:
            log.warning("a device connection was closed: %s", error or type(error).__name__)
        finally:
            self.open -= 1
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str
    ) -> None:
        frames = Frames(self.caps.frame_bytes)
        begun: float | None = None
        clock = asyncio.get_running_loop().time
        while True:
            left = self.caps.idle_s if begun is None else begun + self.caps.completion_s - clock()
            data = await asyncio.wait_for(reader.read(65_536), max(left, 0))
            if not data:
                return
            for message in frames.feed(data):
                begun = None
                replies = await self._together.ask(Arrival(message, peer))
                if replies is None:
                    return
                for reply in replies:
                    writer.write(framed(reply))
                await writer.drain()
            if not frames.is_open:
                begun = None
            elif begun is None:
                begun = clock()
