"""What becomes of a message: stored raw, read in a savepoint, attached to a session or quarantined.

Whatever cannot be read is kept and shown to staff, never lost, never a number, never a crash. The
table of answers is in docs/algorithms/live-feed.md.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused
from clinic.database import now
from clinic.dosing import actions as dosing
from clinic.dosing.models import Association, Device
from clinic.interop.models import Message, Quarantine, Resolution
from clinic.people.models import Enrolment
from kap.wire import hl7_write, hl7v2
from kap.wire.hl7v2 import Header, Hl7Error, PatientId, Policy, Problem

log = logging.getLogger(__name__)

# MSH-11: a clinic takes what is meant for production; a demonstration also takes its simulator's.
SERVED = {"clinical": frozenset("P"), "demo": frozenset("PT")}
# Who is answered when not even MSH could be read: nobody in particular, in original mode.
NOBODY = Header("", "", "", "", "", "", "", "2.6", "", "", "")


class NotForUs(Exception):
    """Why a message goes to quarantine, in words without a patient's data."""


@dataclass(frozen=True)
class Taken:
    """What became of one message: stored always; read, quarantined, or not served here."""

    is_read: bool = True
    is_refused: bool = False
    problems: Sequence[Problem] = ()

    @property
    def accept_code(self) -> str:
        """CA: stored durably, nothing more. CR: a type, version or processing id not served."""
        return "CR" if self.is_refused else "CA"

    @property
    def application_code(self) -> str:
        """AA: read. AE: quarantined, whole or in part. AR: not served."""
        if self.is_refused:
            return "AR"
        return "AA" if self.is_read and not self.problems else "AE"


@transaction.atomic
def receive(*, raw: bytes, peer: str, by: Author) -> tuple[bytes, ...]:
    """Store one message and what it says; return the acknowledgements to send after the commit."""
    head, digest = _head(raw), hashlib.sha256(raw).hexdigest()
    same_id = Message.objects.filter(sender=head.sender[:80], control_id=head.control_id[:80])
    if known := same_id.filter(digest=digest).first():
        return _answers(head, Taken(is_read=not known.quarantined.exists()))
    is_reused = head is not NOBODY and same_id.exists()
    device = Device.objects.filter(sender=head.sender).first()
    message = Message.add(
        site_id=device.site_id if device else "",
        peer=peer[:60],
        raw=raw,
        digest=digest,
        sender=head.sender[:80],
        control_id=head.control_id[:80],
        received_at=now(),
    )
    if is_reused:
        return _answers(head, _refuse(message, "other bytes under a control id already used", by))
    return _answers(head, _interpret(message, raw, device, by))


def _head(raw: bytes) -> Header:
    """Return what MSH says; NOBODY when not even that can be read, whatever the reader raises."""
    try:
        return hl7v2.header(raw)
    except Exception:  # a damaged message must never end the listener
        return NOBODY


def _interpret(message: Message, raw: bytes, device: Device | None, by: Author) -> Taken:
    """Read the message and attach it to the bound session, in a savepoint; else quarantine."""
    try:
        read = hl7v2.read(
            raw, received_at=message.received_at, policy=Policy(processing=SERVED[settings.MODE])
        )
        with transaction.atomic():
            _record(message, read, _association(read, device))
    except Hl7Error as error:
        taken = _refuse(message, error.reason, by)
        return Taken(False, error.is_refused, taken.problems)
    except (NotForUs, Refused) as reason:
        return _refuse(message, str(reason), by)
    except Exception as error:  # stored raw already; the listener lives on
        log.exception("a stored message could not be interpreted")
        return _refuse(message, f"could not be interpreted ({type(error).__name__})", by)
    for problem in read.problems:
        _quarantine(message, problem.reason, f"{problem.segment}-{problem.number}")
    return Taken(problems=read.problems)


def _record(message: Message, read: hl7v2.Message, association: Association) -> None:
    """Store the observations as the device's, in its session."""
    device = association.device
    dosing.record_observations(
        session=association.session,
        seen=read.observations,
        association=association,
        message_id=message.pk,
        digest=message.digest,
        by=Author(f"device:{device.pk}", device.name, "device", (association.site_id,)),
    )


def _association(read: hl7v2.Message, device: Device | None) -> Association:
    """Return the live association of the sender whose patient the message names."""
    if device is None:
        raise NotForUs("unknown sender; register the device first")
    association = (
        device.associations.filter(released_at__isnull=True)
        .select_related("device", "session__course__protocol", "session__site", "session__patient")
        .first()
    )
    if association is None:
        raise NotForUs("the device is bound to no session")
    mrn = Enrolment.objects.get(patient_id=association.patient_id, site_id=association.site_id).mrn
    if not any(_is_meant(given, mrn, device) for given in read.patient_ids):
        raise NotForUs("the patient id is not that of the person the device is bound to")
    return association


def _is_meant(given: PatientId, mrn: str, device: Device) -> bool:
    return given.value == mrn and device.authority in ("", given.authority)


def _refuse(message: Message, reason: str, by: Author) -> Taken:
    _quarantine(message, reason)
    audit.record(
        by=by,
        action="message.quarantine",
        site=message.site_id,
        about=message,
        digest=message.digest,
    )
    return Taken(is_read=False)


def _quarantine(message: Message, reason: str, segment: str = "") -> Quarantine:
    return Quarantine.add(
        site_id=message.site_id,
        message=message,
        segment=segment[:20],
        reason=reason[:300],
        recorded_at=now(),
    )


def _answers(head: Header, taken: Taken) -> tuple[bytes, ...]:
    """Return the acknowledgements that the sender wants, by MSH-15 and MSH-16."""
    found, at = [], now()
    if hl7_write.accept_wanted(head, ok=taken.accept_code == "CA"):
        found.append(hl7_write.accept(head, taken.accept_code, control_id=uuid4().hex[:20], at=at))
    if hl7_write.application_wanted(head, ok=taken.application_code == "AA"):
        found.append(
            hl7_write.respond(
                head,
                taken.application_code,
                control_id=uuid4().hex[:20],
                at=at,
                problems=taken.problems,
            )
        )
    return tuple(found)


@transaction.atomic
def resolve(*, quarantine: Quarantine, note: str, by: Author) -> Resolution:
    """Record what a named person did about a quarantined message; it is resolved once."""
    if hasattr(quarantine, "resolution"):
        raise Refused(
            _("Another person resolved this at %(at)s UTC.")
            % {"at": quarantine.resolution.recorded_at.isoformat(timespec="minutes")}
        )
    row = Resolution.add(
        id=uuid4(),
        site_id=quarantine.site_id,
        quarantine=quarantine,
        author=by.id,
        note=note,
        recorded_at=now(),
    )
    audit.record(by=by, action="quarantine.resolve", site=quarantine.site_id, about=row)
    return row
