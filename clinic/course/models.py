"""What every phase of a course shares. A change is a new row that names the old one."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from clinic.guard import Recorded
from clinic.people.models import Site, SiteRow, Staff


class ProtocolVersion(Recorded):
    """A protocol file as this installation knows it: immutable, named `id@version`."""

    name = models.CharField(primary_key=True, max_length=60)
    protocol_id = models.CharField(max_length=40)
    version = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "digest"], name="course_protocolversion_bytes")
        ]


class Proposal(Recorded):
    """A member of staff asks the site's medical director to sign a protocol version."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    proposer = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="course_proposal_says_why"),
            models.UniqueConstraint(
                fields=["id", "site", "protocol", "digest", "proposer"],
                name="course_proposal_as_signed",
            ),
        ]


class Signature(Recorded):
    """A medical director's signature on a protocol version at a site. Files carry no signer."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="signature")
    proposer = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    director = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    licence_number = models.CharField(max_length=40)
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(proposer=models.F("director")), name="course_signature_two_people"
            )
        ]


class Withdrawal(Recorded):
    """A medical director takes a signature back: from now on nothing starts under it here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="withdrawal")
    director = models.ForeignKey(Staff, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="course_withdrawal_says_why")
        ]


class Referral(Recorded):
    """Somebody who answered the self-check and agreed to be contacted. Not yet a patient."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    language = models.CharField(max_length=5)
    message = models.TextField(blank=True, max_length=2000)
    chart = models.JSONField()
    answer = models.CharField(max_length=30)
    protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    agreed_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(email="", phone=""), name="course_referral_reachable"
            )
        ]


class Course(SiteRow):
    """One patient's treatment from consent to last booster, judged by one pinned protocol."""

    referral = models.OneToOneField(
        Referral, null=True, on_delete=models.PROTECT, related_name="course"
    )
    protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    indication = models.CharField(max_length=20)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "patient"], name="course_course_patient_key")
        ]


class ProtocolMove(SiteRow):
    """A course's move to another version of its protocol; the database then pins the course to it.

    Decisions keep the version they were taken under.
    """

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="moves")
    from_protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    to_protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="course_protocolmove_says_why"),
            models.CheckConstraint(
                condition=~Q(from_protocol=models.F("to_protocol")),
                name="course_protocolmove_moves",
            ),
        ]


class Session(SiteRow):
    """A planned encounter: preparation, dosing or integration. A move is a new row."""

    class Kind(models.TextChoices):
        PREPARATION = "preparation", _("preparation")
        DOSING = "dosing", _("dosing")
        INTEGRATION = "integration", _("integration")

    class Setting(models.TextChoices):
        ONE_TO_ONE = "one-to-one", _("one-to-one")
        PAIR = "pair", _("pair")
        GROUP = "group", _("group")

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="sessions")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    setting = models.CharField(max_length=20, choices=Setting.choices, default=Setting.ONE_TO_ONE)
    number = models.PositiveSmallIntegerField()
    planned_start = models.DateTimeField()
    planned_minutes = models.PositiveSmallIntegerField()
    room = models.CharField(max_length=20, blank=True)
    replaces = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="replaced_by"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "patient"], name="course_session_patient_key")
        ]


class Consent(SiteRow):
    """A signed consent, or its withdrawal; the words signed are kept as signed."""

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="consents")
    scope = models.CharField(max_length=30)
    version = models.CharField(max_length=20)
    language = models.CharField(max_length=5)
    text = models.TextField()
    text_digest = models.CharField(max_length=64)
    teach_back = models.TextField(blank=True)
    signer = models.CharField(max_length=200)
    signed_at = models.DateTimeField()
    withdraws = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="withdrawn_by"
    )


class Task(SiteRow):
    """Something a role must do by a time. It is closed by a TaskEntry with a disposition."""

    course = models.ForeignKey(Course, null=True, on_delete=models.PROTECT, related_name="tasks")
    kind = models.CharField(max_length=40)
    text = models.TextField()
    owner_role = models.CharField(max_length=20)
    due_at = models.DateTimeField()
    source = models.CharField(max_length=80, blank=True)


class TaskEntry(SiteRow):
    """What was done about a task."""

    task = models.OneToOneField(Task, on_delete=models.PROTECT, related_name="entry")
    disposition = models.CharField(max_length=30)
    note = models.TextField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(note=""), name="course_taskentry_says_why")
        ]


class Fact(SiteRow):
    """One thing known about a patient, when it was so, and who says it."""

    name = models.CharField(max_length=60)
    value = models.JSONField(null=True)
    unit = models.CharField(max_length=20, blank=True)
    observed_at = models.DateTimeField()
    source = models.CharField(max_length=10)
    reason = models.CharField(max_length=20, blank=True)
    session = models.ForeignKey(Session, null=True, on_delete=models.PROTECT, related_name="+")
    corrects = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="corrected_by"
    )

    class Meta:
        indexes = [
            models.Index(fields=["patient", "name", "observed_at"], name="course_fact_name"),
            # Few rows correct another: what stands is found without a look at each of the rest.
            models.Index(
                fields=["corrects"],
                condition=Q(corrects__isnull=False),
                name="course_fact_corrects",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(value__isnull=False, reason="")
                | (Q(value__isnull=True) & ~Q(reason="")),
                name="course_fact_value_or_reason",
            )
        ]


class ListReview(SiteRow):
    """A list as somebody went through it: complete or not. Its rows are the items below."""

    class Kind(models.TextChoices):
        CONDITIONS = "conditions", _("conditions")
        MEDICATIONS = "medications", _("medications")
        ALLERGIES = "allergies", _("allergies")
        TRIALS = "antidepressant_trials", _("antidepressant trials")

    kind = models.CharField(max_length=30, choices=Kind.choices)
    reviewed_at = models.DateTimeField()
    complete = models.BooleanField()


class ListItem(SiteRow):
    """What the items of a reviewed list share."""

    review = models.ForeignKey(ListReview, on_delete=models.PROTECT, related_name="%(class)s_items")

    class Meta:
        abstract = True


class Condition(ListItem):
    """A diagnosis, coded, with its status."""

    system = models.CharField(max_length=20, default="ICD-10")
    code = models.CharField(max_length=20, blank=True)
    name = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10)
    onset = models.CharField(max_length=10, blank=True)


class Medication(ListItem):
    """A medicine as it is taken. Uncoded (no ATC) leaves what it may touch unknown."""

    atc = models.CharField(max_length=7, blank=True)
    name = models.CharField(max_length=120)
    mg_per_day = models.DecimalField(null=True, max_digits=10, decimal_places=3)
    prn = models.BooleanField(null=True)
    since = models.CharField(max_length=10, blank=True)
    last_taken = models.DateTimeField(null=True)


class Allergy(ListItem):
    """A substance and how it harmed: allergy or intolerance."""

    code = models.CharField(max_length=20, blank=True)
    name = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=20)


class Trial(ListItem):
    """One antidepressant as it was tried."""

    atc = models.CharField(max_length=7, blank=True)
    name = models.CharField(max_length=120, blank=True)
    mg_per_day = models.DecimalField(null=True, max_digits=10, decimal_places=3)
    weeks = models.PositiveSmallIntegerField(null=True)
    adherent = models.BooleanField(null=True)
    stopped_for_intolerance = models.BooleanField(null=True)
    current_episode = models.BooleanField(null=True)
    judged = models.BooleanField(null=True)


class Decision(SiteRow):
    """A Verdict that a person accepted, overrode, sent back or declined, with all it read."""

    class Kind(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        OVERRIDDEN = "overridden", _("overridden")
        ASKED = "asked", _("asked")
        DECLINED = "declined", _("declined")

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="decisions")
    session = models.ForeignKey(Session, null=True, on_delete=models.PROTECT, related_name="+")
    protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    stage = models.CharField(max_length=20)
    answer = models.CharField(max_length=30)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    reason = models.TextField()
    verdict = models.JSONField()
    chart = models.JSONField()
    facts_hash = models.CharField(max_length=64)
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="course_decision_says_why"),
            models.UniqueConstraint(fields=["id", "patient"], name="course_decision_patient_key"),
        ]


class Asking(SiteRow):
    """A stage asked (again) about a course: the answer, and which rules began or ceased to speak.

    `session` is the booked one it was asked for, or none. `before` is the asking it is held
    against: the last of the same session and stage, else the last of the course.
    """

    class Occasion(models.TextChoices):
        REFERRAL = "referral", _("referral")
        BOOKING = "booking", _("booking")
        DAY_BEFORE = "day_before", _("the day before")
        CHAIR = "chair", _("at the chair")
        FACT_CHANGE = "fact_change", _("a fact changed")

    course = models.ForeignKey(Course, on_delete=models.PROTECT, related_name="askings")
    session = models.ForeignKey(
        Session, null=True, on_delete=models.PROTECT, related_name="askings"
    )
    place = models.PositiveIntegerField()
    stage = models.CharField(max_length=20)
    occasion = models.CharField(max_length=12, choices=Occasion.choices)
    asked_at = models.DateTimeField()
    protocol = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    answer = models.CharField(max_length=30)
    facts_hash = models.CharField(max_length=64)
    speaking = models.JSONField()
    began = models.JSONField()
    ceased = models.JSONField()
    before = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["course", "place"], name="course_asking_in_order"),
            models.UniqueConstraint(fields=["id", "course"], name="course_asking_course_key"),
            models.UniqueConstraint(
                fields=["session", "stage", "occasion"],
                condition=Q(occasion__in=("booking", "day_before")),
                name="course_asking_once_booked",
            ),
        ]

    def is_of(self, session: Session | None, stage: str) -> bool:
        """Return whether it was asked about this session, at this stage."""
        return (self.session_id, self.stage) == (session.pk if session else None, stage)

    @property
    def is_first(self) -> bool:
        """Whether this session had not been asked about at this stage."""
        return self.before is None or not self.before.is_of(self.session, self.stage)


class Override(SiteRow):
    """One finding lifted for a while: R by two people, P by one, A by nobody (INV-03)."""

    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="overrides")
    rule_id = models.CharField(max_length=30)
    level = models.CharField(max_length=1)
    reason = models.TextField()
    second_person = models.ForeignKey(Staff, null=True, on_delete=models.PROTECT, related_name="+")
    clearance = models.CharField(max_length=200, blank=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(level="P") | Q(level="R", second_person__isnull=False),
                name="course_override_level",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="course_override_says_why"),
        ]

    def is_live(self, at: datetime) -> bool:
        """Return whether the override still lifts its finding at `at`."""
        return at < self.expires_at
