"""What becomes of a message: stored raw, read in a savepoint, attached to a session or quarantined.

Whatever cannot be read is kept and shown to staff, never lost, never a number, never a crash. The
table of answers is in docs/algorithms/live-feed.md.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused
from clinic.database import now
from clinic.dosing import actions as dosing
from clinic.dosing import faults
from clinic.dosing.models import Association, Device
from clinic.interop.mllp import Arrival
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


class OneByOne(Exception):
    """These messages cannot be taken in one transaction; each can by itself."""


@dataclass(frozen=True)
class Letter:
    """One message as it arrived: its bytes, and what its MSH says."""

    raw: bytes
    peer: str
    head: Header
    digest: str

    @classmethod
    def of(cls, arrival: Arrival) -> Self:
        """Return the message with its header; NOBODY's when not even that can be read."""
        raw = arrival.raw
        return cls(raw, arrival.peer[:60], _head(raw), hashlib.sha256(raw).hexdigest())

    @property
    def key(self) -> tuple[str, str]:
        """Sender and control id: what tells a message from another."""
        return self.head.sender[:80], self.head.control_id[:80]


def receive(*, raw: bytes, peer: str, by: Author) -> tuple[bytes, ...]:
    """Store one message and what it says; return the acknowledgements to send after the commit."""
    [answers] = receive_all(arrived=[Arrival(raw, peer)], by=by)
    return answers


@transaction.atomic
def receive_all(*, arrived: Sequence[Arrival], by: Author) -> list[tuple[bytes, ...]]:
    """Store messages and what they say; return what to answer each after the commit.

    All or nothing. Raises OneByOne, or what the record raised, where one of several could cost the
    others theirs; a message by itself is stored whatever it says.
    """
    letters = [Letter.of(one) for one in arrived]
    if len({letter.key for letter in letters}) < len(letters):
        raise OneByOne("two under one control id: the second must find the first stored")
    known = _known(letters)
    fresh = [letter for letter in letters if letter.digest not in known.get(letter.key, {})]
    taken = {
        letter.key: Taken(is_read=known[letter.key][letter.digest])
        for letter in letters
        if letter not in fresh
    }
    if fresh:
        taken |= _take(fresh, {letter.key for letter in fresh if letter.key in known}, by)
    at = now()
    return [_answers(letter.head, taken[letter.key], at) for letter in letters]


def _head(raw: bytes) -> Header:
    """Return what MSH says; NOBODY when not even that can be read, whatever the reader raises."""
    try:
        return hl7v2.header(raw)
    except Exception:  # a damaged message must never end the listener
        return NOBODY


def _known(letters: Sequence[Letter]) -> dict[tuple[str, str], dict[str, bool]]:
    """Return, by sender and control id, the digests stored before and whether each was read."""
    found: dict[tuple[str, str], dict[str, bool]] = {}
    rows = Message.objects.filter(
        sender__in={letter.key[0] for letter in letters},
        control_id__in={letter.key[1] for letter in letters},
    ).annotate(is_quarantined=Exists(Quarantine.objects.filter(message=OuterRef("pk"))))
    for sender, control_id, digest, is_quarantined in rows.values_list(
        "sender", "control_id", "digest", "is_quarantined"
    ):
        found.setdefault((sender, control_id), {})[digest] = not is_quarantined
    return found


def _take(
    letters: Sequence[Letter], reused: Collection[tuple[str, str]], by: Author
) -> dict[tuple[str, str], Taken]:
    """Store messages raw, then what they say; return what became of each."""
    senders = {letter.head.sender for letter in letters}
    rows = Device.objects.filter(sender__in=senders, retired_at__isnull=True)
    devices = {row.sender: row for row in rows}
    messages = _stored(letters, devices)
    bound = _bound(devices.values())
    taken: dict[tuple[str, str], Taken] = {}
    heard: dict[tuple[str, str], tuple[Message, dosing.Heard]] = {}
    for letter, message in zip(letters, messages, strict=True):
        if letter.key in reused and letter.head is not NOBODY:
            taken[letter.key] = _refuse(message, "other bytes under a control id already used", by)
            continue
        found = _interpreted(letter, message, devices.get(letter.head.sender), bound, by)
        if isinstance(found, Taken):
            taken[letter.key] = found
            continue
        read, one = found
        heard[letter.key] = message, one
        taken[letter.key] = Taken(problems=read.problems)
    return taken | _record(heard, taken, by)


def _stored(letters: Sequence[Letter], devices: Mapping[str, Device]) -> list[Message]:
    """Store the messages as they came, before anything is read into them."""
    at = now()
    return Message.add_all(
        {
            "site_id": devices[sender].site_id if sender in devices else "",
            "peer": letter.peer,
            "raw": letter.raw,
            "digest": letter.digest,
            "sender": letter.key[0],
            "control_id": letter.key[1],
            "received_at": at,
        }
        for letter in letters
        for sender in [letter.head.sender]
    )


@dataclass(frozen=True)
class Bound:
    """A device's live association, and the chart number of the person it is bound to."""

    association: Association
    mrn: str


def _bound(devices: Iterable[Device]) -> dict[UUID, Bound]:
    """Return, by device, whom it is bound to now."""
    rows = list(
        Association.objects.filter(
            device__in=list(devices), released_at__isnull=True
        ).select_related("device", "session__course__protocol", "session__site", "session__patient")
    )
    numbers = {
        (patient_id, site_id): mrn
        for patient_id, site_id, mrn in Enrolment.objects.filter(
            patient_id__in={row.patient_id for row in rows}
        ).values_list("patient_id", "site_id", "mrn")
    }
    return {row.device_id: Bound(row, numbers[row.patient_id, row.site_id]) for row in rows}


def _interpreted(
    letter: Letter, message: Message, device: Device | None, bound: Mapping[UUID, Bound], by: Author
) -> tuple[hl7v2.Message, dosing.Heard] | Taken:
    """Read one message and find whose session it is; else quarantine it."""
    try:
        read = hl7v2.read(
            letter.raw,
            received_at=message.received_at,
            policy=Policy(processing=SERVED[settings.MODE]),
        )
        association = _association(read, device, bound)
    except Hl7Error as error:
        taken = _refuse(message, error.reason, by)
        return Taken(False, error.is_refused, taken.problems)
    except NotForUs as reason:
        return _refuse(message, str(reason), by)
    except Exception as error:  # stored raw already; the listener lives on
        return _broken(message, error, by)
    return read, _heard(message, read, association)


def _broken(message: Message, error: Exception, by: Author) -> Taken:
    log.exception("a stored message could not be interpreted")
    return _refuse(message, f"could not be interpreted ({type(error).__name__})", by)


def _heard(message: Message, read: hl7v2.Message, association: Association) -> dosing.Heard:
    """Return the message's readings as the device's, in its session."""
    device = association.device
    return dosing.Heard(
        session=association.session,
        seen=read.observations,
        by=Author(f"device:{device.pk}", device.name, "device", (association.site_id,)),
        association=association,
        message_id=message.pk,
        digest=message.digest,
    )


def _association(
    read: hl7v2.Message, device: Device | None, bound: Mapping[UUID, Bound]
) -> Association:
    """Return the live association of the sender whose patient the message names."""
    if device is None:
        raise NotForUs("unknown sender; register the device first")
    if device.pk not in bound:
        raise NotForUs("the device is bound to no session")
    here = bound[device.pk]
    if not any(_is_meant(given, here.mrn, device) for given in read.patient_ids):
        raise NotForUs("the patient id is not that of the person the device is bound to")
    return here.association


def _is_meant(given: PatientId, mrn: str, device: Device) -> bool:
    return given.value == mrn and device.authority in ("", given.authority)


def _record(
    heard: Mapping[tuple[str, str], tuple[Message, dosing.Heard]],
    taken: Mapping[tuple[str, str], Taken],
    by: Author,
) -> dict[tuple[str, str], Taken]:
    """Record all readings at once. What the record refuses of one message is set aside with it."""
    if not heard:
        return {}
    try:
        with transaction.atomic():
            dosing.record_heard(heard=[one for _, one in heard.values()])
    except Exception as error:  # of one message alone: set aside, and the listener lives on
        if len(heard) > 1 or faults.is_away(error) or faults.is_passing(error):
            raise
        [(key, (message, _))] = heard.items()
        refused = isinstance(error, Refused)
        return {key: _refuse(message, str(error), by) if refused else _broken(message, error, by)}
    for key, (message, _) in heard.items():
        for problem in taken[key].problems:
            _quarantine(message, problem.reason, f"{problem.segment}-{problem.number}")
    return {}


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


def _answers(head: Header, taken: Taken, at: datetime) -> tuple[bytes, ...]:
    """Return the acknowledgements that the sender wants, by MSH-15 and MSH-16."""
    found = []
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
