"""What the therapist writes. Process notes, with their own encryption, are a later capability."""

from __future__ import annotations

from django.db import models

from clinic.course.models import Course, Session
from clinic.people.models import SiteRow


class Note(SiteRow):
    """A signed note in the shared-summary class: its parts are those of `kap.therapy.note_parts`.

    An addendum is a new row that names the note it amends.
    """

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="notes")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="notes")
    modality = models.CharField(max_length=20)
    parts = models.JSONField()
    signed_at = models.DateTimeField()
    amends = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="addenda")
