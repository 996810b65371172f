"""`clinic serve`: check what the program stands on, then serve it on this machine."""

from __future__ import annotations

import gc
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from clinic import database
from clinic.people import access
from clinic.people.models import Installation
from kap import protocol

HOST = "127.0.0.1"


class Command(BaseCommand):
    """Serve the clinic with uvicorn on the loopback address."""

    help = "Serve the clinic on http://127.0.0.1:PORT (PORT from the environment)."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Refuse to start on a policy, schema, mode or clinical server that does not hold."""
        access.check()
        check_schema()
        check_mode()
        for problem in check_ground():
            self.stderr.write(problem)
        self.stdout.write(f"Afterglow ({settings.MODE}) on http://{HOST}:{settings.PORT}")
        with database.pooled(connections["default"]):
            from clinic.asgi import application

            settle()
            uvicorn.run(
                application,
                host=HOST,
                port=settings.PORT,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=3,
            )


def settle() -> None:
    """Take what is loaded once out of the collector's sight: else some request pays for all."""
    for protocol_id, version in protocol.available():
        protocol.load(protocol_id, version)
    gc.collect()
    gc.freeze()


def check_schema() -> None:
    """Raise CommandError unless every migration has run."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise CommandError("the database is behind the program; run `clinic migrate` first")


def check_mode() -> None:
    """Raise CommandError where the database was created in another mode."""
    created = Installation.objects.values_list("mode", flat=True).first()
    if created != settings.MODE:
        raise CommandError(
            f"this database is of mode {created or 'none'}; CLINIC_MODE={settings.MODE} needs"
            " another database"
        )


def check_ground() -> list[str]:
    """Return what is wrong with the database or the zones; in clinical mode, refuse to start."""
    seen = database.checks(connection)
    said = [f"{check.name} is {check.value}, not {check.needed}" for check in seen if not check.ok]
    if settings.MODE == "clinical" and not database.may_serve(seen):
        raise CommandError("not for clinical use: " + "; ".join(said))
    return said
