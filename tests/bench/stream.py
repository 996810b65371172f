"""From a monitor's socket to the number on a page: HL7 over MLLP in, server-sent events out.

Each message says a heart rate that no other message of the run says (in thousandths a minute), so
that a page's number names the one message it comes from. A reading that a newer one overtook counts
until the newer one shows.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from clinic.interop.mllp import framed
from kap.observation import Observation
from kap.quantity import shown
from kap.wire.hl7_write import Simulator, write
from kap.wire.hl7v2 import PatientId
from tests.bench.beds import Bed
from tests.bench.ground import HOST, Failed
from tests.bench.spread import Spread

# A message says these three, as the demonstration's monitors do each second.
READ = {"spo2": (Decimal(97), "%"), "respiratory_rate": (Decimal(14), "/min")}
SHOWN, UNIT, LOWEST = "heart_rate", "/min", 60
VALUES = 35_000  # thousandths: from 60 to 95 no alarm speaks
OBSERVATIONS_A_MESSAGE = 1 + len(READ)
SETTLE_S = 5.0  # what was sent last may still come to a page
WATCHING = """
() => {
  window.seen = [];
  const value = document.querySelector('[data-vital="heart_rate"] .tile-value');
  new MutationObserver(() => window.seen.push(
    [Date.now(), value.textContent]
  )).observe(value, { childList: true, characterData: true, subtree: true });
}
"""


@dataclass
class Open:
    """One open page: what was sent to its session and not shown yet, and how long each took."""

    bed: Bed
    number: int = 0
    waiting: deque[tuple[float, str]] = field(default_factory=deque)
    taken_ms: list[float] = field(default_factory=list)

    def sends(self, at: float) -> Decimal:
        """Return the next heart rate, and note that it is sent at `at`. Raises Failed at the last.

        A number is never said twice, whatever the rates of the run.
        """
        self.number += 1
        if self.number >= VALUES:
            raise Failed(f"more than {VALUES - 1} messages to a page: numbers would come again")
        rate = LOWEST + Decimal(self.number) / 1000
        self.waiting.append((at, shown(rate)))
        return rate

    def shows(self, text: str, at: float) -> None:
        """Note that the page shows a number: it and what is older have arrived.

        A number that does not wait is of an earlier rate, or drawn again: it tells nothing.
        """
        if text not in [value for _sent, value in self.waiting]:
            return
        value = ""
        while value != text:
            sent, value = self.waiting.popleft()
            self.taken_ms.append(1000 * (at - sent))


@dataclass(frozen=True)
class Rate:
    """What one rate of observations came to."""

    asked_per_s: int
    sent_per_s: float
    ms: Spread
    in_chromium_ms: Spread | None
    lost: int


async def measure(
    beds: Sequence[Bed],
    cookies: dict[str, str],
    *,
    chromium: str,
    rates: Sequence[int],
    seconds: int,
) -> list[Rate]:
    """Return what each rate came to, with a page of each bed open: the first one in Chromium."""
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    pages = [Open(bed) for bed in beds]
    async with screen_of(pages[0], cookies, chromium) as screen, readers(pages[1:], cookie):
        return [await _at(rate, seconds, pages, screen) for rate in rates]


async def _at(rate: int, seconds: int, pages: Sequence[Open], screen: Any) -> Rate:
    for page in pages:
        page.waiting.clear()
        page.taken_ms.clear()
    await screen.evaluate("() => { window.seen.length = 0; }")
    began = time.perf_counter()
    sent = await _send(rate, seconds, pages)
    sent_per_s = OBSERVATIONS_A_MESSAGE * sent / max(time.perf_counter() - began, seconds)
    await asyncio.sleep(SETTLE_S)
    for at, text in await screen.evaluate("() => window.seen"):
        pages[0].shows(text, at / 1000)
    times = [ms for page in pages for ms in page.taken_ms]
    lost = sum(len(page.waiting) for page in pages)
    on_screen = Spread.of(pages[0].taken_ms) if pages[0].taken_ms else None
    return Rate(rate, sent_per_s, Spread.of(times), on_screen, lost)


# -- what monitors send ---------------------------------------------------------------------------


async def _send(rate: int, seconds: int, pages: Sequence[Open]) -> int:
    """Send from all monitors, evenly in time; return the number of messages acknowledged."""
    every = OBSERVATIONS_A_MESSAGE * len(pages) / rate
    start = asyncio.get_running_loop().time()
    return sum(
        await asyncio.gather(
            *(
                _monitor(page, start + every * place / len(pages), every, start + seconds)
                for place, page in enumerate(pages)
            )
        )
    )


async def _monitor(page: Open, due: float, every: float, end: float) -> int:
    """Send as one monitor does: the next message waits for the acknowledgement of the last."""
    clock = asyncio.get_running_loop().time
    reader, writer = await asyncio.open_connection(HOST, int(os.environ["MLLP_PORT"]))
    sent = 0
    try:
        while due < end and clock() < end:
            await asyncio.sleep(max(0.0, due - clock()))
            message = framed(_message(page))
            writer.write(message)
            reply = await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 30)
            if b"MSA|CA" not in reply and b"MSA|AA" not in reply:
                raise Failed(f"a monitor was answered {reply!r}")
            sent, due = sent + 1, due + every
    finally:
        writer.close()
    return sent


def _message(page: Open) -> bytes:
    at = datetime.now(UTC)
    values = {SHOWN: (page.sends(time.time()), UNIT)} | READ
    seen = [
        Observation(vital, value, unit, observed_at=at, received_at=at)
        for vital, (value, unit) in values.items()
    ]
    return write(
        seen,
        device=Simulator(name=page.bed.device, eui64=page.bed.eui64),
        control_id=f"{page.number}-{time.time_ns()}",
        sent_at=at,
        patient=PatientId(page.bed.mrn, "KAP", "MR"),
        processing_id="T",
    )


# -- what pages show ------------------------------------------------------------------------------


@asynccontextmanager
async def readers(pages: Sequence[Open], cookie: str) -> AsyncIterator[None]:
    """Hold a stream open for each page, and note what it would show."""
    ready = [asyncio.Event() for _ in pages]
    tasks = [
        asyncio.create_task(_read(page, cookie, event))
        for page, event in zip(pages, ready, strict=True)
    ]
    try:
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in ready)), 60)
        yield
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)


async def _read(page: Open, cookie: str, ready: asyncio.Event) -> None:
    reader, writer = await asyncio.open_connection(HOST, int(os.environ["PORT"]), limit=2**22)
    path = f"/sessions/{page.bed.session_id}/stream?after="
    host = f"{HOST}:{os.environ['PORT']}"
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"
        "Accept: text/event-stream\r\n\r\n".encode()
    )
    status = await reader.readline()
    if b" 200 " not in status:
        raise Failed(f"the stream answered {status!r}")
    name = b""
    try:
        while line := (await reader.readline()).strip():
            pass
        while line := await reader.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip()
                ready.set()
            elif line.startswith(b"data: ") and name == b"observation":
                news = json.loads(line[6:])
                if news["vital"] == SHOWN:
                    page.shows(news["text"], time.time())
    finally:
        writer.close()


@asynccontextmanager
async def screen_of(page: Open, cookies: dict[str, str], chromium: str) -> AsyncIterator[Any]:
    """Open the session in a real browser that notes when its heart rate changes."""
    from playwright.async_api import async_playwright

    from tests.browser.chromium import FLAGS

    address = f"http://{HOST}:{os.environ['PORT']}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        context = await browser.new_context()
        await context.add_cookies(
            [{"name": name, "value": value, "url": address} for name, value in cookies.items()]
        )
        tab = await context.new_page()
        await tab.goto(f"{address}/sessions/{page.bed.session_id}")
        await tab.evaluate(WATCHING)
        await asyncio.sleep(2)
        try:
            yield tab
        finally:
            await browser.close()
