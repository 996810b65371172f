"""`clinic demo | serve | watch | mllp | migrate | ...`: Django's commands under one name."""

from __future__ import annotations

import os
import sys

from clinic import database


def main() -> None:
    """Run one command of the clinic, with its embedded server held up meanwhile."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    if sys.argv[1:2] == ["demo"]:
        os.environ.setdefault("CLINIC_MODE", "demo")
    if sys.argv[1:2] in (["mllp"], ["watch"]):
        os.environ.setdefault("CLINIC_PROCESS", "worker")
    from django.core.management import execute_from_command_line

    with database.running_server():  # before the settings, which read its passwords
        execute_from_command_line(sys.argv)
