"""What came over the wire, kept raw before anything is read into it."""

from __future__ import annotations

import uuid

from django.db import models

from clinic.guard import Recorded


class Message(Recorded):
    """One HL7 v2 message as received: bytes, digest, peer. Nothing here is a number on a screen."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site_id = models.CharField(max_length=40, blank=True)
    peer = models.CharField(max_length=60)
    sender = models.CharField(max_length=80, blank=True)
    control_id = models.CharField(max_length=80, blank=True)
    digest = models.CharField(max_length=64)
    raw = models.BinaryField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sender", "control_id", "digest"], name="interop_message_once"
            )
        ]


class Quarantine(Recorded):
    """A message, or one OBX of it, that was not understood: open until a person resolves it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site_id = models.CharField(max_length=40, blank=True)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="quarantined")
    segment = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=300)
    recorded_at = models.DateTimeField()


class Resolution(Recorded):
    """What a named person did about a quarantined message."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site_id = models.CharField(max_length=40, blank=True)
    quarantine = models.OneToOneField(
        Quarantine, on_delete=models.PROTECT, related_name="resolution"
    )
    author = models.CharField(max_length=80)
    note = models.CharField(max_length=300)
    recorded_at = models.DateTimeField()
