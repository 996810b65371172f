"""What the database itself promises: the SQL of row-level security, append-only tables and grants.

Migrations call these functions, so that every table says in one line what may happen to it.
A later change of a promise is a new function or a new migration, never an edit of what ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.db import migrations, models

APP_ROLES = "ag_app, ag_worker"


class BareWrite(RuntimeError):
    """A clinical row was saved or deleted outside an action."""


class Recorded(models.Model):
    """A row that is written once, by an action, and never changed.

    `add()` inserts; `save()` and `delete()` raise, and grants and a trigger refuse the same in SQL.
    """

    class Meta:
        abstract = True

    @classmethod
    def add(cls, *, using: str = "default", **values: Any) -> Self:
        """Insert one row and return it. Only `actions.py` modules call this (a test says so)."""
        row = cls(**values)
        models.Model.save(row, force_insert=True, using=using)
        return row

    @classmethod
    def add_all(cls, rows: Iterable[Mapping[str, Any]]) -> list[Self]:
        """Insert rows at once and return them, in the order given. Their keys are made here."""
        return list(cls._default_manager.bulk_create([cls(**row) for row in rows]))

    def save(self, *_args: Any, **_kwargs: Any) -> None:
        raise BareWrite(f"{type(self).__name__} is append-only; write it in an action with .add()")

    def delete(self, *_args: Any, **_kwargs: Any) -> tuple[int, dict[str, int]]:
        raise BareWrite(f"{type(self).__name__} is append-only; record a correction instead")


def append_only(*tables: str) -> list[str]:
    """Return SQL after which nobody but the owner's migrations can change or remove a row."""
    return [
        statement
        for table in tables
        for statement in (
            f"GRANT SELECT, INSERT ON {table} TO {APP_ROLES}",
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION afterglow_refuse_change()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION afterglow_refuse_change()",
        )
    ]


def lock_row(table: str, columns: Iterable[str]) -> list[str]:
    """Return SQL for a row kept only to be locked: insert, and update of the named columns."""
    return [
        f"GRANT SELECT, INSERT ON {table} TO {APP_ROLES}",
        f"GRANT UPDATE ({', '.join(columns)}) ON {table} TO {APP_ROLES}",
    ]


def read_only(*tables: str) -> list[str]:
    """Return SQL that lets the program read a table and nothing else."""
    return [f"GRANT SELECT ON {table} TO {APP_ROLES}" for table in tables]


def stamped(*tables: str) -> list[str]:
    """Return SQL that sets `recorded_at` from the server's clock, whatever the program sent."""
    return [
        f"CREATE TRIGGER {table}_stamp BEFORE INSERT ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION afterglow_stamp()"
        for table in tables
    ]


def per_site(*tables: str) -> list[str]:
    """Return SQL that shows and accepts only rows of the transaction's sites."""
    return [statement for table in tables for statement in policy(table, visible=OWN_SITE)]


OWN_SITE = "site_id = ANY ((SELECT afterglow_sites())::text[])"


def policy(table: str, *, visible: str, insertable: str | None = None) -> list[str]:
    """Return SQL that enables and forces row-level security with these two conditions."""
    check = insertable or visible
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY {table}_owner ON {table} TO ag_migrate USING (true) WITH CHECK (true)",
        f"CREATE POLICY {table}_backup ON {table} FOR SELECT TO ag_backup USING (true)",
        f"CREATE POLICY {table}_see ON {table} FOR SELECT TO {APP_ROLES} USING ({visible})",
        f"CREATE POLICY {table}_add ON {table} FOR INSERT TO {APP_ROLES} WITH CHECK ({check})",
        f"CREATE POLICY {table}_set ON {table} FOR UPDATE TO {APP_ROLES}"
        f" USING ({visible}) WITH CHECK ({check})",
    ]


def run(statements: Iterable[str]) -> migrations.RunSQL:
    """Return one migration operation that executes the statements."""
    return migrations.RunSQL([(statement, None) for statement in statements])
