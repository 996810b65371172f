"""`clinic simulate`: a monitor that does not exist sends a scenario over a real socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.interop.mllp import Frames, framed
from kap.observation import Observation
from kap.trace import Sample, device_trace, scenarios
from kap.wire.hl7_text import split
from kap.wire.hl7_write import Simulator, write
from kap.wire.hl7v2 import PatientId

HOST = "127.0.0.1"
PATIENCE_S = 15
ACCEPTED = ("AA", "CA")
REPLY_CAP = 65_536


class Monitor:
    """One connection to the listener: a message is sent again until it is acknowledged."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self.sent = self.accepted = self.refused = 0

    def send(self, message: bytes) -> str:
        """Send one message and return the code of its acknowledgement; reconnect where needed."""
        give_up = time.monotonic() + PATIENCE_S
        while True:
            try:
                code = self._exchange(message)
                break
            except OSError as error:
                self.close()
                if time.monotonic() > give_up:
                    raise CommandError(
                        f"nothing answers on {HOST}:{self._port}: {error}"
                    ) from error
                time.sleep(0.2)
        self.sent += 1
        self.accepted += code in ACCEPTED
        self.refused += code not in ACCEPTED
        return code

    def _exchange(self, message: bytes) -> str:
        if self._socket is None:
            self._socket = socket.create_connection((HOST, self._port), timeout=PATIENCE_S)
        self._socket.sendall(framed(message))
        frames, replies = Frames(REPLY_CAP), list[bytes]()
        while not replies:
            data = self._socket.recv(REPLY_CAP)
            if not data:
                raise ConnectionResetError("closed without an acknowledgement")
            replies = frames.feed(data)
        return next(one.text(1) for one in split(replies[0]) if one.name == "MSA")

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def seconds_of(samples: Iterator[Sample]) -> Iterator[tuple[datetime, list[Sample]]]:
    """Yield the samples of each second together: one message each."""
    for at, found in groupby(samples, key=lambda sample: sample.at):
        yield at, list(found)


class Command(BaseCommand):
    """Send a scenario, a message a second, waiting for each acknowledgement."""

    help = "Send an invented monitor's trace as HL7 v2 over MLLP."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the scenario, the monitor, the person, and how fast time passes."""
        parser.add_argument("--scenario", choices=scenarios(), default="hypertension")
        parser.add_argument("--sender", required=True, help="MSH-3: name^identity^EUI-64")
        parser.add_argument("--mrn", required=True, help="the chart number (PID-3)")
        parser.add_argument("--authority", default="", help="who assigned the chart number")
        parser.add_argument("--port", type=int, default=int(os.environ.get("MLLP_PORT", "2575")))
        parser.add_argument("--seconds", type=int, default=3600)
        parser.add_argument("--skip", type=int, default=0, help="begin so far into the scenario")
        parser.add_argument("--cuff", type=int, default=300, help="seconds between cuff readings")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--rate", type=float, default=1.0, help="messages a second")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Send until the trace ends; print the counts."""
        monitor = Monitor(options["port"])
        start = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=options["skip"])
        trace = device_trace(
            options["seed"],
            options["scenario"],
            start,
            options["skip"] + options["seconds"],
            cuff_seconds=options["cuff"],
        )
        try:
            for number, (at, samples) in enumerate(seconds_of(trace)):
                if at >= start + timedelta(seconds=options["skip"]):
                    self._wait(at, options["rate"])
                    monitor.send(self._message(options, number, at, samples))
        finally:
            monitor.close()
            self.stdout.write(
                f"sent {monitor.sent}, accepted {monitor.accepted}, refused {monitor.refused}"
            )

    @staticmethod
    def _wait(at: datetime, rate: float) -> None:
        """Wait until the second has come, in real time (divided by the rate)."""
        if rate == 1.0:
            time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
        else:
            time.sleep(1 / rate)

    @staticmethod
    def _message(
        options: dict[str, Any], number: int, at: datetime, samples: list[Sample]
    ) -> bytes:
        control = f"{options['seed']}-{int(at.timestamp())}-{number}"
        name, eui64, _kind = options["sender"].split("^")
        seen = [
            Observation(one.code, one.value, one.unit, observed_at=at, received_at=at)
            for one in samples
        ]
        return write(
            seen,
            device=Simulator(name=name, eui64=eui64),
            control_id=control,
            sent_at=at,
            patient=PatientId(options["mrn"], options["authority"], "MR"),
            processing_id="T",
        )
