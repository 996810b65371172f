"""`clinic demo`: two invented clinics with a live infusion, served on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from clinic.dosing.models import Association, Infusion
from clinic.dosing.queries import mrn_of
from clinic.people import access
from clinic.people.models import Site
from clinic.postgres_account import data_folder

CLINIC = Path(sys.executable).with_name("clinic")
PROCESSES = (("serve",), ("mllp",), ("watch",))
# The first live session's monitor shows a pressure that rises; the others are calm.
SCENARIOS = ("hypertension", "normal")
MINUTES_IN = 17  # so far into its scenario a monitor begins


class Command(BaseCommand):
    """Migrate, seed once, print the sign-ins, then run the clinic's processes until Ctrl-C."""

    help = "Serve a demonstration: invented people, two sites, one live infusion."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run the demonstration."""
        if settings.MODE != "demo":
            raise CommandError("the demonstration needs CLINIC_MODE=demo and a database of its own")
        began = time.monotonic()
        call_command("migrate", verbosity=0)
        if not Site.objects.exists():
            self.stdout.write("Inventing two clinics ...")
            self.stdout.flush()
            subprocess.run(
                [CLINIC, "seed"], check=True, env={**os.environ, "CLINIC_PROCESS": "owner"}
            )
        call_command("collectstatic", interactive=False, verbosity=0)
        self._print_sign_ins(time.monotonic() - began)
        run_all(monitors())

    def _print_sign_ins(self, seconds: float) -> None:
        people = json.loads((data_folder() / "demo_sign_ins.json").read_text())
        self.stdout.write(
            f"\nAfterglow demonstration, ready in {seconds:.0f} s: http://127.0.0.1:{settings.PORT}\n"
            "Invented people. Do not use for care. Sign-ins of this database:\n"
        )
        for person in people:
            self.stdout.write("  {role:<18}{site:<11}{username:<12}{password}".format(**person))
        self.stdout.write("\nCtrl-C stops it.\n")
        self.stdout.flush()


def monitors() -> list[tuple[str, ...]]:
    """Return the command of a simulated monitor for each bound, running session."""
    with access.acting(access.worker("demo")):
        bound = (
            Association.objects.filter(
                released_at__isnull=True, session__infusion__state=Infusion.State.RUNNING
            )
            .select_related("device", "session")
            .order_by("device__room")
        )
        return [
            (
                "simulate",
                "--sender",
                row.device.sender,
                "--mrn",
                mrn_of(row.session),
                "--authority",
                row.device.authority,
                "--cuff",
                "60",
                "--seed",
                str(number),
                "--scenario",
                SCENARIOS[min(number, len(SCENARIOS) - 1)],
                "--skip",
                str(MINUTES_IN * 60),
                "--seconds",
                "7200",
            )
            for number, row in enumerate(bound)
        ]


def run_all(monitors: Sequence[tuple[str, ...]]) -> None:
    """Run the clinic's processes; when one ends or a signal comes, end them all.

    A monitor may end: its session is over.
    """
    children = [subprocess.Popen([CLINIC, *words]) for words in PROCESSES]
    simulated = [
        subprocess.Popen([CLINIC, *words], stdout=subprocess.DEVNULL) for words in monitors
    ]

    def stop(_signal: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
        ended = [words[0] for words, child in zip(PROCESSES, children, strict=True) if child.poll()]
        raise CommandError(f"clinic {' '.join(ended)} ended; the others were stopped")
    except KeyboardInterrupt:
        pass
    finally:
        for child in (*simulated, *children):
            child.terminate()
        for child in (*simulated, *children):
            child.wait(timeout=20)
