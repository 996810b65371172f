"""`clinic demo`: two invented clinics with a live infusion, served on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from clinic.people.models import Site
from clinic.postgres_account import data_folder

CLINIC = Path(sys.executable).with_name("clinic")
PROCESSES = (("serve",), ("mllp",), ("watch",), ("simulate", "--demo"))


class Command(BaseCommand):
    """Migrate, seed once, print the sign-ins, then run the clinic's processes until Ctrl-C."""

    help = "Serve a demonstration: invented people, two sites, one live infusion."

    def handle(self, *args: Any, **options: Any) -> None:
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
        run_all()

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


def run_all() -> None:
    """Run the clinic's processes; when one ends or a signal comes, end them all."""
    children = [subprocess.Popen([CLINIC, *words]) for words in PROCESSES]

    def stop(_signal: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        while all(child.poll() is None for child in children):
            time.sleep(0.2)
        ended = next(child for child in children if child.poll() is not None)
        raise CommandError(f"{' '.join(map(str, ended.args))} ended; the others were stopped")  # type: ignore[arg-type]  # Popen.args is as loose as its argument
    except KeyboardInterrupt:
        pass
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(timeout=20)
