"""The ground of the benchmark: a demonstration of its own, its processes, its sign-ins.

Everything is on the loopback address and in a folder of this run, which is removed at the end.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

HOST = "127.0.0.1"
CLINIC = Path(sys.executable).with_name("clinic")
PATIENCE_S = 60


class Failed(SystemExit):
    """The benchmark cannot go on: one line says why."""


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
    return port


@contextmanager
def folder() -> Iterator[Path]:
    """Point CLINIC_DATA at a new folder, as a demonstration; remove it at the end."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    root = os.geteuid() == 0
    data = Path("/var/lib/afterglow" if root else tempfile.gettempdir()) / name
    for unwanted in ("DATABASE_URL", "DATABASE_MIGRATE_URL", "CLINIC_PROCESS", "HASHED_STATIC"):
        os.environ.pop(unwanted, None)
    os.environ |= {
        "CLINIC_DATA": str(data),
        "CLINIC_MODE": "demo",
        "DJANGO_SETTINGS_MODULE": "clinic.settings",
        "PORT": str(free_port()),
        "MLLP_PORT": str(free_port()),
    }
    try:
        yield data
    finally:
        shutil.rmtree(data, ignore_errors=True)


def run(*words: str, role: str = "") -> None:
    """Run one command of the clinic to its end. Raises Failed."""
    environ = _own() | ({"CLINIC_PROCESS": role} if role else {})
    done = subprocess.run([CLINIC, *words], env=environ, stdout=subprocess.DEVNULL, timeout=900)
    if done.returncode:
        raise Failed(f"clinic {' '.join(words)} ended with {done.returncode}")


def _own() -> dict[str, str]:
    """The environment of a child: which process it is, it says itself."""
    return {name: value for name, value in os.environ.items() if name != "CLINIC_PROCESS"}


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Hold up one process of the clinic; end it by its own handle."""
    child = subprocess.Popen([CLINIC, *words], env=_own(), stdout=subprocess.DEVNULL)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def until_healthy(child: subprocess.Popen[bytes]) -> float:
    """Return the seconds from now until /healthz answers 200. Raises Failed."""
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE_S:
        if child.poll() is not None:
            raise Failed(f"clinic serve ended with {child.returncode}")
        with suppress(OSError):
            if Visitor().get("/healthz")[0] == http.client.OK:
                return time.perf_counter() - began
        time.sleep(0.02)
    raise Failed(f"/healthz was not 200 within {PATIENCE_S} s")


def until_open(port: int) -> None:
    """Return once somebody listens on the port. Raises Failed."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.1)
    raise Failed(f"nobody listens on port {port}")


def password_of(username: str) -> str:
    """Return the password that this demonstration's seeding made for a member of staff."""
    kept = Path(os.environ["CLINIC_DATA"]) / "demo_sign_ins.json"
    people = {one["username"]: one["password"] for one in json.loads(kept.read_text())}
    found: str = people[username]
    return found


class Visitor:
    """A browser without a screen: one kept connection, its cookies, one request at a time."""

    def __init__(self) -> None:
        self._wire = http.client.HTTPConnection(HOST, int(os.environ["PORT"]), timeout=30)
        self.cookies: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; a redirect is not followed."""
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        headers = {"Cookie": self.cookie, "Accept-Language": "en"}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form) if form else None
        try:
            answer = self._exchange(method, path, body, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._wire.close()  # the server lets an idle connection go
            answer = self._exchange(method, path, body, headers)
        page = answer.read().decode("utf-8", "replace")
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.split(";")[0]
        return answer.status, page

    def _exchange(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._wire.request(method, path, body, headers)
        return self._wire.getresponse()

    def sign_in(self, username: str) -> Visitor:
        """Sign in with the password alone, as a demonstration lets staff do. Raises Failed."""
        _status, page = self.get("/account/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        form = {"login": username, "password": password_of(username)}
        form["csrfmiddlewaretoken"] = token[1] if token else ""
        status, _page = self._ask("POST", "/account/login/", form)
        if status != http.client.FOUND or "sessionid" not in self.cookies:
            raise Failed(f"{username} could not sign in: {status}")
        return self
