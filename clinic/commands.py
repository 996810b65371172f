"""`clinic demo | serve | watch | mllp | migrate | site | staff | ...`: commands under one name."""

from __future__ import annotations

import os
import sys

from clinic import database
from clinic.postgres_roles import roles_sql

OWNERS = ("site", "staff", "device")  # what makes a clinic: run as the owner of the tables


def main() -> None:
    """Run one command of the clinic, with its embedded server held up meanwhile."""
    if sys.argv[1:2] == ["roles-sql"]:  # before there is a database to ask
        print(roles_sql(*sys.argv[2:3]), end="")
        return
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    if sys.argv[1:2] == ["demo"]:
        os.environ.setdefault("CLINIC_MODE", "demo")
    if sys.argv[1:2] in (["mllp"], ["watch"], ["audit"]):
        os.environ.setdefault("CLINIC_PROCESS", "worker")
    if sys.argv[1:2] and sys.argv[1] in OWNERS:
        os.environ["CLINIC_PROCESS"] = "owner"
    from django.core.management import execute_from_command_line

    with database.running_server():  # before the settings, which read its passwords
        execute_from_command_line(sys.argv)
