"""Who saw and did what. Opaque ids, no foreign keys: the log outlives what it names."""

from __future__ import annotations

import uuid

from django.db import models

from clinic.guard import Recorded


class Event(Recorded):
    """One access or change, for one patient at most."""

    id = models.BigAutoField(primary_key=True)
    recorded_at = models.DateTimeField()
    site_id = models.CharField(max_length=40, blank=True)
    actor = models.CharField(max_length=80)
    role = models.CharField(max_length=40)
    purpose = models.CharField(max_length=40)
    action = models.CharField(max_length=80)
    patient_id = models.UUIDField(null=True)
    object_kind = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    outcome = models.CharField(max_length=20, default="success")
    request = models.UUIDField(default=uuid.uuid4)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["patient_id", "recorded_at"], name="audit_event_patient")]


class Seal(Recorded):
    """One link of a site's hash chain: SHA-256 of the link before and the event's JSON."""

    id = models.BigAutoField(primary_key=True)
    site_id = models.CharField(max_length=40, blank=True)
    seq = models.BigIntegerField()
    event = models.OneToOneField(Event, on_delete=models.PROTECT, related_name="seal")
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site_id", "seq"], name="audit_seal_seq")]


class Head(models.Model):
    """Where a site's chain ends, kept beside its links: it only grows, and only the sealer may."""

    site_id = models.CharField(primary_key=True, max_length=40, blank=True)
    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    recorded_at = models.DateTimeField()


class Walk(models.Model):
    """How far the watch has looked at a site's chain again, and what its last whole walk saw.

    Every link up to `whole_seq` was as sealed when it was looked at, at `whole_from` or later.
    """

    site_id = models.CharField(primary_key=True, max_length=40, blank=True)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)
    began_at = models.DateTimeField(null=True)
    whole_seq = models.BigIntegerField(default=0)
    whole_hash = models.CharField(max_length=64, blank=True)
    whole_from = models.DateTimeField(null=True)
    broken_seq = models.BigIntegerField(null=True)
    broken_why = models.CharField(max_length=200, blank=True)


class Receipt(Recorded):
    """The stored answer to a write, so that a replay of the same key is harmless (INV-16)."""

    id = models.BigAutoField(primary_key=True)
    principal = models.CharField(max_length=80)
    key = models.CharField(max_length=80)
    request_hash = models.CharField(max_length=64)
    result = models.JSONField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["principal", "key"], name="audit_receipt_once")
        ]
