"""A clinic of its own for a browser: real processes on a cloned test database, free ports.

`Clinic` runs `clinic serve` (and, when asked, `mllp`, `watch`, `simulate`) as a demonstration
would, over a database whose clock a test may step. Rows are written by the builders of
tests/world.py in the test's own process, which signs in to the same database.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clinic.postgres import Server

START_S = 30
CLINIC = (
    sys.executable,
    "-c",
    "import sys; from clinic.commands import main; sys.argv[0] = 'clinic'; main()",
)
Running = subprocess.Popen[bytes]


def free_port() -> int:
    """Return a port of this machine that nothing listens on now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@dataclass
class Clinic:
    """The processes of one clinic over one database; `stop` ends those it started."""

    server: Server
    database: str
    port: int = field(default_factory=free_port)
    mllp_port: int = field(default_factory=free_port)
    running: dict[str, Running] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where its pages are; `localhost`, which passkeys need."""
        return f"http://localhost:{self.port}"

    def _environment(self, role: str) -> dict[str, str]:
        return {
            **os.environ,
            "CLINIC_MODE": "demo",
            "PORT": str(self.port),
            "MLLP_PORT": str(self.mllp_port),
            "DATABASE_URL": self.server.url(role, self.database),
            "DATABASE_MIGRATE_URL": self.server.url("ag_migrate", self.database),
            "PUBLIC_ADDRESS": self.address,
        }

    def run(self, *words: str, role: str = "ag_app", env: dict[str, str] | None = None) -> Running:
        """Start one command of the clinic; its errors are shown as they come."""
        child = subprocess.Popen(
            (*CLINIC, *words),
            env={**self._environment(role), **(env or {})},
            stdout=subprocess.DEVNULL,
        )
        self.running[words[0]] = child
        return child

    def serve(self) -> None:
        """Serve the pages, and wait until they answer."""
        child = self.run("serve")
        wait_for(lambda: _answers(f"http://127.0.0.1:{self.port}/healthz"), child)

    def listen(self) -> None:
        """Take HL7 v2 messages, and wait until the port is open."""
        child = self.run("mllp", role="ag_worker")
        wait_for(lambda: _is_open(self.mllp_port), child)

    def watch(self) -> None:
        """Watch for silence."""
        self.run("watch", role="ag_worker")

    def end(self, name: str) -> None:
        """End one command as an administrator would, or kill it if it will not."""
        child = self.running.pop(name, None)
        if child is None:
            return
        child.send_signal(signal.SIGCONT)
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def freeze(self, name: str) -> None:
        """Stop a process where it stands: its sockets stay open and say nothing."""
        self.running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self.running[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End every process that is left."""
        for name in list(self.running):
            self.end(name)


def wait_for(is_so: Any, child: Running | None = None, seconds: float = START_S) -> None:
    """Wait until a question is answered with yes; raise when the process ends or time is up."""
    until = time.monotonic() + seconds
    while not is_so():
        if child is not None and child.poll() is not None:
            raise RuntimeError(f"the process ended with {child.returncode}")
        if time.monotonic() > until:
            raise TimeoutError(f"not so after {seconds} s")
        time.sleep(0.05)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError:
        return True  # it answers: a test database is not fit for a clinic, and says so
    except OSError:
        return False


def _is_open(port: int) -> bool:
    with socket.socket() as asked:
        asked.settimeout(0.5)
        return asked.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def clinic_on(server: Server, database: str) -> Iterator[Clinic]:
    """Serve a database whose world was installed; end every process after the block."""
    from django.conf import settings

    settings.MODE = "demo"
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    clinic = Clinic(server, database)
    try:
        clinic.serve()
        yield clinic
    finally:
        clinic.stop()
        settings.MODE = "clinical"
