"""Instruments as answered, and the links by which a patient answers them without a password."""

from __future__ import annotations

from django.db import models

from clinic.course.models import Course
from clinic.people.models import SiteRow


class QuestionnaireLink(SiteRow):
    """A single-use, expiring way in. Only the hash of its token is kept."""

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="links")
    instrument = models.CharField(max_length=20)
    version = models.CharField(max_length=20)
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()


class Response(SiteRow):
    """An instrument filled in: raw answers, total, version, language, mode, time, flag."""

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="responses")
    link = models.OneToOneField(
        QuestionnaireLink, null=True, on_delete=models.PROTECT, related_name="response"
    )
    instrument = models.CharField(max_length=20)
    version = models.CharField(max_length=20)
    language = models.CharField(max_length=5)
    mode = models.CharField(max_length=10)
    answers = models.JSONField()
    total = models.PositiveSmallIntegerField(null=True)
    band = models.CharField(max_length=30, blank=True)
    prorated = models.BooleanField(default=False)
    answered_at = models.DateTimeField()
