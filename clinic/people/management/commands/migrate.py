"""`clinic migrate`: bring the schema up to date as its owner, then let the program in."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Migrate
from django.db import connections
from django.utils.module_loading import import_string

# Tables of the frameworks hold no patient's data; the program reads and writes them as they wish.
FRAMEWORKS = ("auth", "contenttypes", "sessions", "account", "mfa", "axes")
OWNER = "migrate"


class Command(Migrate):
    """Django's migrate on the owner's connection."""

    help = "Bring the database up to date (as its owner) and grant what the program needs."

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate, grant, and write down the mode this database was created in."""
        options["database"] = OWNER
        super().handle(*args, **options)
        with connections[OWNER].cursor() as cursor:
            for statement in grants():
                cursor.execute(statement)
            cursor.execute(
                "INSERT INTO people_installation (id, mode, recorded_at)"
                " VALUES (1, %s, afterglow_now()) ON CONFLICT DO NOTHING",
                [settings.MODE],
            )
            cursor.execute("SELECT mode FROM people_installation")
            mode = cursor.fetchone()[0]
        if mode != settings.MODE:
            raise CommandError(
                f"this database was created in {mode} mode and stays so;"
                f" CLINIC_MODE={settings.MODE} needs another database"
            )
        for name in settings.AFTER_MIGRATE:
            import_string(name)(using=OWNER)


def grants() -> list[str]:
    """Return the grants on the frameworks' tables."""
    tables = [
        model._meta.db_table
        for label in FRAMEWORKS
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
    ]
    return [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ag_app, ag_worker" for table in tables
    ] + [
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ag_app, ag_worker",
        "GRANT SELECT ON django_migrations TO ag_app, ag_worker",
    ]
