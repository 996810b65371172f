"""The clinic's people and places. A patient is seen through an Enrolment at a site."""

from __future__ import annotations

import uuid
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from clinic.guard import Recorded


class Installation(Recorded):
    """One row: the mode this database was created in. It never changes."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    mode = models.CharField(max_length=10)
    recorded_at = models.DateTimeField()


class Site(models.Model):
    """A clinic's premises: the unit of isolation, of wall time and of jurisdiction."""

    code = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=120)
    zone = models.CharField(max_length=60)
    jurisdiction = models.CharField(max_length=20)
    phone = models.CharField(max_length=40)
    address = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name

    @property
    def tz(self) -> ZoneInfo:
        """The site's time zone, from the pinned data."""
        return ZoneInfo(self.zone)


class Staff(models.Model):
    """A person who works here; signs in as `user`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="staff"
    )
    name = models.CharField(max_length=120)
    licence_number = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return self.name

    @cached_property
    def held(self) -> tuple[Role, ...]:
        """Every role held when first asked, with its site."""
        return tuple(self.roles.select_related("site"))


class HeldRoles(models.Manager["Role"]):
    """The roles that are held now: an ended one gives nobody anything."""

    def get_queryset(self) -> models.QuerySet[Role]:
        """Return the roles without an end."""
        return super().get_queryset().filter(ended_at__isnull=True)


class Role(models.Model):
    """A role that a staff member holds at one site, and nowhere else. It ends; it is not deleted.

    `objects` and `staff.roles` are the roles held now, `ever` is every one.
    """

    class Name(models.TextChoices):
        COORDINATOR = "coordinator", _("coordinator")
        NURSE = "nurse", _("nurse")
        THERAPIST = "therapist", _("therapist")
        PRESCRIBER = "prescriber", _("prescriber")
        PHARMACIST = "pharmacist", _("pharmacist")
        MEDICAL_DIRECTOR = "medical_director", _("medical director")
        PRIVACY_OFFICER = "privacy_officer", _("privacy officer")
        ADMINISTRATOR = "administrator", _("administrator")

    staff = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="roles")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    role = models.CharField(max_length=20, choices=Name.choices)
    author = models.CharField(max_length=80, default="owner")
    recorded_at = models.DateTimeField()
    ended_by = models.CharField(max_length=80, blank=True)
    ended_at = models.DateTimeField(null=True)

    objects = HeldRoles()
    ever = models.Manager["Role"]()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["staff", "site", "role"],
                condition=models.Q(ended_at__isnull=True),
                name="people_role_held_once",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True, ended_by="")
                | (models.Q(ended_at__isnull=False) & ~models.Q(ended_by="")),
                name="people_role_end_has_its_author",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} · {self.site_id}"


class Patient(Recorded):
    """One row per human. Sex for dosing, pregnancy potential and the rest are Facts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    legal_name = models.CharField(max_length=200)
    preferred_name = models.CharField(max_length=120, blank=True)
    pronouns = models.CharField(max_length=40, blank=True)
    birth_date = models.DateField()
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    language = models.CharField(max_length=5, choices=settings.LANGUAGES)
    zone = models.CharField(max_length=60, blank=True)
    recorded_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.preferred_name or self.legal_name


class Enrolment(Recorded):
    """A patient at a site: the key of row-level security, and the chart number there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="enrolments")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    mrn = models.CharField(max_length=20)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "mrn"], name="people_enrolment_mrn"),
            models.UniqueConstraint(fields=["site", "patient"], name="people_enrolment_once"),
        ]


class Room(models.Model):
    """A room of a site, as its door says: where a session is planned and a monitor stands."""

    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="rooms")
    name = models.CharField(max_length=20)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "name"], name="people_room_once")]

    def __str__(self) -> str:
        return self.name


class PremisesApproval(Recorded):
    """That a site's premises may be used for a route, as its jurisdiction asks; or its withdrawal.

    Written by the owner of the database. `kind` is the value of the pack's row, as `ohp_approved`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="approvals")
    route = models.CharField(max_length=8)
    kind = models.CharField(max_length=40)
    reference = models.CharField(max_length=200)
    valid_from = models.DateField()
    valid_until = models.DateField(null=True)
    withdraws = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="withdrawn_by"
    )
    author = models.CharField(max_length=80)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(reference=""), name="people_premisesapproval_names_its_paper"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_until__isnull=True)
                | models.Q(valid_until__gte=models.F("valid_from")),
                name="people_premisesapproval_begins_first",
            ),
        ]


class SiteRow(Recorded):
    """A patient's row at a site, with its author and both times of the fact."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    author = models.CharField(max_length=80)
    author_role = models.CharField(max_length=40)
    recorded_at = models.DateTimeField()

    class Meta:
        abstract = True


class EnrolmentOffer(SiteRow):
    """A patient's agreement to be enrolled at another site too, with a code that opens it once."""

    to_site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    consent = models.TextField()
    code_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(consent=""), name="people_enrolmentoffer_consented"
            ),
            models.CheckConstraint(
                condition=~models.Q(site=models.F("to_site")),
                name="people_enrolmentoffer_elsewhere",
            ),
        ]
