"""The dosing session: orders, the log, the device feed, and the few rows kept only to be locked."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from clinic.course.models import Course, Decision, Session
from clinic.guard import Recorded
from clinic.people.models import Patient, Site, SiteRow, Staff


class Order(SiteRow):
    """A signed order. Doses in whole micrograms, weights in grams, volumes in microlitres."""

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="orders")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="orders")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="replaced_by"
    )
    route = models.CharField(max_length=4, default="IV")
    mg_per_kg = models.DecimalField(max_digits=6, decimal_places=4)
    weight_g = models.PositiveIntegerField()
    minutes = models.PositiveSmallIntegerField()
    vial_ug_per_ml = models.PositiveIntegerField()
    asked_ug = models.PositiveIntegerField()
    dose_ug = models.PositiveIntegerField()
    draw_ul = models.PositiveIntegerField()
    final_ul = models.PositiveIntegerField()
    rate_ul_h = models.PositiveIntegerField()
    signed_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "patient"], name="dosing_order_patient_key"),
            models.CheckConstraint(
                condition=Q(dose_ug__lte=F("asked_ug"), dose_ug__gt=0),
                name="dosing_order_rounds_down",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("signed_at")), name="dosing_order_expires_later"
            ),
        ]


class StartAuthorization(SiteRow):
    """The start gate's answer, bound to patient, order, session and facts, for a few minutes."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="authorizations")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="+")
    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="+")
    protocol_name = models.CharField(max_length=60)
    protocol_digest = models.CharField(max_length=64)
    facts_hash = models.CharField(max_length=64)
    outcome = models.CharField(max_length=30)
    may_start = models.BooleanField()
    override_ids = models.JSONField(default=list)
    min_interval_h = models.PositiveSmallIntegerField()
    issuer = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    second_checker = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(may_start=True), name="dosing_auth_may_start"),
            models.CheckConstraint(
                condition=~Q(issuer=F("second_checker")), name="dosing_auth_two_people"
            ),
            models.UniqueConstraint(
                fields=["id", "patient", "order", "decided_at", "expires_at"],
                name="dosing_auth_key",
            ),
        ]


class Infusion(Recorded):
    """The administration's state and end, kept to be locked; equal to the log's fold.

    `ag_app` may update state and end columns only. One running per patient, one per order, whatever
    the site, by partial unique indexes (INV-04, INV-05).
    """

    class State(models.TextChoices):
        START_REQUESTED = "start_requested", _("start requested")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        POSSIBLY_RUNNING = "possibly_running", _("possibly running")
        STOPPED = "stopped", _("stopped")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    session = models.OneToOneField(Session, on_delete=models.PROTECT, related_name="infusion")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="infusions")
    authorization = models.OneToOneField(StartAuthorization, on_delete=models.PROTECT)
    auth_decided_at = models.DateTimeField()
    auth_expires_at = models.DateTimeField()
    state = models.CharField(max_length=20, choices=State.choices)
    started_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    delivered_ug = models.PositiveIntegerField(null=True)
    discharge_min = models.PositiveSmallIntegerField(null=True)  # the protocol's wait (INV-09)
    discharged_at = models.DateTimeField(null=True)
    left_at = models.DateTimeField(null=True)  # against advice: never a discharge

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient"],
                condition=~Q(state="stopped"),
                name="dosing_infusion_one_running",
            ),
            models.UniqueConstraint(fields=["order"], name="dosing_infusion_order_once"),
            models.CheckConstraint(
                condition=Q(started_at__gte=F("auth_decided_at"))
                & Q(started_at__lt=F("auth_expires_at")),
                name="dosing_infusion_authorised",
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | Q(stopped_at__gte=F("started_at")),
                name="dosing_infusion_ends_later",
            ),
            models.CheckConstraint(
                condition=Q(discharged_at__isnull=True) | Q(discharged_at__gte=F("stopped_at")),
                name="dosing_infusion_leaves_later",
            ),
        ]


class LogHead(Recorded):
    """The last sequence number of a session's log, kept to be locked: the id of the live stream."""

    session = models.OneToOneField(
        Session, primary_key=True, on_delete=models.PROTECT, related_name="head"
    )
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    seq = models.BigIntegerField(default=0)


class SessionEvent(SiteRow):
    """One line of the session's log. The id is made by the client, so that a replay is harmless."""

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="events")
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=30)
    observed_at = models.DateTimeField()
    data = models.JSONField(default=dict)
    corrects = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="corrections"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "seq"], name="dosing_event_seq")]


class Device(models.Model):
    """A monitor or pump that the site owns: its identity on the wire and its clock policy.

    `sender` is MSH-3 of its messages; `authority`, where it is told, who numbers the people that
    they name. One that is retired stays for what it said, and is heard no more.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    sender = models.CharField(max_length=80)
    name = models.CharField(max_length=80)
    room = models.CharField(max_length=20)
    authority = models.CharField(max_length=80, blank=True)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sender"],
                condition=Q(retired_at__isnull=True),
                name="dosing_device_sender_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Association(SiteRow):
    """A device bound to a patient's session by a person who checked two identifiers."""

    device = models.ForeignKey(Device, on_delete=models.PROTECT, related_name="associations")
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="associations")
    bound_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device"],
                condition=Q(released_at__isnull=True),
                name="dosing_device_one_bed",
            ),
            models.UniqueConstraint(
                fields=["session", "device"],
                condition=Q(released_at__isnull=True),
                name="dosing_bed_device_once",
            ),
        ]


class Observation(SiteRow):
    """One vital value with its own time, as converted; the original stays in the raw message."""

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="observations")
    seq = models.BigIntegerField()
    vital = models.CharField(max_length=30)
    value = models.DecimalField(max_digits=8, decimal_places=3)
    unit = models.CharField(max_length=10)
    observed_at = models.DateTimeField()
    received_at = models.DateTimeField()
    source = models.CharField(max_length=10)
    association = models.ForeignKey(
        Association, null=True, on_delete=models.PROTECT, related_name="+"
    )
    message_id = models.UUIDField(null=True)
    skew_ms = models.IntegerField(default=0)
    corrects = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["session", "vital", "observed_at"], name="dosing_obs_latest"),
            models.Index(fields=["session", "seq"], name="dosing_obs_seq"),
            models.Index(
                fields=["corrects"], condition=Q(corrects__isnull=False), name="dosing_obs_corrects"
            ),
        ]


class Alarm(Recorded):
    """The state of one signal's alarm in a session, kept to be locked; the log has its events."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="alarms")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    signal = models.CharField(max_length=30)
    state = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "signal"], name="dosing_alarm_once")
        ]


class Heartbeat(Recorded):
    """When `clinic watch` last looked: part of every beat of the live stream."""

    name = models.CharField(primary_key=True, max_length=20)
    at = models.DateTimeField()
