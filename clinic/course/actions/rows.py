"""What every action of a phase does: refuse in words, hold a name, fill a row's columns."""

from __future__ import annotations

from typing import Any

from django.db import connection

from clinic.audit.author import Author
from clinic.database import now


class Refused(Exception):
    """An action said no, in words for the person at the screen: what, and the way out."""


def written(of: Any, by: Author) -> dict[str, Any]:
    """Return the columns every clinical row of `of` (a course, session or enrolment) carries."""
    return {
        "site_id": of.site_id,
        "patient_id": of.patient_id,
        "author": by.id,
        "author_role": by.role,
        "recorded_at": now(),
    }


def hold(name: str) -> None:
    """Hold a name until this transaction ends; a second one that asks for it waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
