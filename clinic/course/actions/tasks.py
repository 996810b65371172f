"""Giving a role something to do, and what was done about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions.rows import Refused, written
from clinic.course.models import Course, Task, TaskEntry


@transaction.atomic
def open_task(
    *,
    of: Any,
    kind: str,
    text: str,
    owner_role: str,
    due_at: datetime,
    by: Author,
    course: Course | None = None,
    source: str = "",
) -> Task:
    """Give a role something to do by a time."""
    task = Task.add(
        **written(of, by),
        course=course,
        kind=kind,
        text=text,
        owner_role=owner_role,
        due_at=due_at,
        source=source,
    )
    audit.record(by=by, action="task.open", about=task, kind=kind)
    return task


@transaction.atomic
def close_task(*, task: Task, disposition: str, note: str, by: Author) -> TaskEntry:
    """Record what was done about a task; it is closed once."""
    if hasattr(task, "entry"):
        raise Refused(
            _("This task was closed at %(at)s by another person.")
            % {"at": task.entry.recorded_at.isoformat(timespec="minutes")}
        )
    entry = TaskEntry.add(**written(task, by), task=task, disposition=disposition, note=note)
    audit.record(by=by, action="task.close", about=task, disposition=disposition)
    return entry
