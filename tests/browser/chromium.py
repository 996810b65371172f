"""Which Chromium the browser tests and the tour drive: the machine's, else one that is installed.

`python tests/browser/chromium.py` prints its path, installing one if there is none.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
MISSING = (
    "no Chromium: none on this machine, and neither apt-get (as root) nor `playwright install"
    " chromium` could bring one; install Chromium and run this again"
)

# The tests talk to this machine only: nothing in the background asks the network.
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    *(("--no-sandbox",) if os.geteuid() == 0 else ()),  # Chromium's sandbox refuses root
)


class NoChromium(SystemExit):
    """There is no Chromium and none could be installed: one line, and the run ends."""


def on_machine() -> str | None:
    """Return the path of a Chromium that somebody installed."""
    named = (shutil.which(name) for name in NAMES)
    mac = (path for path in MAC_APPLICATIONS if Path(path).exists())
    return next((path for path in (*named, *mac) if path), None)


def of_playwright() -> str | None:
    """Return the path of the Chromium that playwright installed."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def by_apt() -> str | None:
    """Install Debian's Chromium where root may, and return its path."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for order in (("update",), ("install", "-y", "chromium")):
            subprocess.run(("apt-get", "-q", *order), env=quiet, check=False, stdout=sys.stderr)
    return on_machine()


def by_playwright() -> str | None:
    """Let playwright download its Chromium, and return its path."""
    command = (sys.executable, "-m", "playwright", "install", "chromium")
    subprocess.run(command, check=False, stdout=sys.stderr)
    return of_playwright()


WAYS: tuple[Callable[[], str | None], ...] = (on_machine, of_playwright, by_apt, by_playwright)


def chromium(ways: tuple[Callable[[], str | None], ...] = WAYS) -> str:
    """Return the path of a Chromium; raise NoChromium, never skip."""
    for way in ways:
        if path := way():
            return path
    raise NoChromium(MISSING)


if __name__ == "__main__":
    print(chromium())
