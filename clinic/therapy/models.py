"""What the therapist writes. Process notes, with their own encryption, are a later capability."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from clinic.course.models import Course, Session
from clinic.people.models import SiteRow


class Note(SiteRow):
    """A signed note in the shared-summary class. An addendum is a new row that names it."""

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="notes")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="notes")
    modality = models.CharField(max_length=20)
    intention = models.TextField(blank=True)
    process = models.TextField()
    themes = models.TextField(blank=True)
    risk = models.TextField()
    touch = models.TextField(blank=True)
    plan = models.TextField()
    signed_at = models.DateTimeField()
    amends = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="addenda")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(process=""), name="therapy_note_says_something")
        ]
