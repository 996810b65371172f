"""Twenty people at once: a running session of the demonstration, written again for invented others.

The rows are copied as the owner, so that a page has an order, a log and an hour behind it to show.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db import models

    from clinic.dosing.models import Infusion


@dataclass(frozen=True)
class Bed:
    """A session with a monitor of its own: what a message must say to reach it."""

    session_id: str
    mrn: str
    device: str
    eui64: str


def prepare(site: str, count: int) -> list[Bed]:
    """Write `count` running sessions, each with a bound monitor. Needs Django as the owner."""
    from django.db import transaction

    from clinic.demo.clock import stepped
    from clinic.dosing.models import Infusion

    running = Infusion.objects.filter(state=Infusion.State.RUNNING, site_id=site)
    infusion = running.latest("started_at")
    # The database itself says when an infusion starts: these start when the first one did.
    with transaction.atomic(), stepped(infusion.started_at):
        return [_bed(infusion, number) for number in range(count)]


def _bed(infusion: Infusion, number: int) -> Bed:
    from clinic.database import now
    from clinic.dosing.models import Association, Device
    from clinic.people.models import Enrolment

    new: dict[Any, uuid.UUID] = {}
    for row in _rows_behind(infusion):
        _write_again(row, new)
    session, patient = new[infusion.session_id], new[infusion.patient_id]
    mrn = f"B{session.hex[:8]}"
    here: dict[str, Any] = {
        "site_id": infusion.site_id,
        "patient_id": patient,
        "recorded_at": now(),
    }
    Enrolment.add(mrn=mrn, **here)
    name, eui64 = f"BENCH{number}", session.hex[:16].upper()
    device = Device.objects.create(
        site_id=infusion.site_id,
        sender=f"{name}^{eui64}^EUI-64",
        name=f"Bench {number}",
        room=f"B{number}",
        authority="KAP",
    )
    bound: dict[str, Any] = {"author": "bench", "author_role": "nurse", "bound_at": now()}
    Association.add(device=device, session_id=session, **bound, **here)
    return Bed(str(session), mrn, name, eui64)


def _rows_behind(infusion: Infusion) -> list[models.Model]:
    """Return what the session's pages read, parents first."""
    from django.db.models import Q

    from clinic.course.models import Fact
    from clinic.dosing.models import LogHead, Observation, SessionEvent

    session, order = infusion.session, infusion.order
    of_session = {"session_id": session.pk}
    behind: list[Any] = [infusion.patient, session.course, session, order.decision, order]
    authorization = infusion.authorization
    behind += [authorization.decision, authorization, infusion]
    behind += LogHead.objects.filter(**of_session)
    behind += SessionEvent.objects.filter(**of_session).order_by("seq")
    behind += Observation.objects.filter(**of_session).order_by("seq")
    told = Fact.objects.filter(patient_id=session.patient_id).order_by("recorded_at")
    behind += told.filter(Q(session=None) | Q(session=session))
    return behind


def _write_again(row: models.Model, new: dict[Any, uuid.UUID]) -> None:
    """Insert a copy whose key is new and whose references name the copies made before."""
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    key = row._meta.pk
    assert key is not None
    if key.remote_field is None:  # the head of a log has its session's key, made before
        if row.pk in new:
            return
        new[row.pk] = values[key.attname] = uuid.uuid4()
    for field in row._meta.concrete_fields:
        if field.remote_field is not None:
            values[field.attname] = new.get(values[field.attname], values[field.attname])
            if field.one_to_one and values[field.attname] == getattr(row, field.attname):
                values[field.attname] = None  # a referral opens one course
    type(row)._default_manager.bulk_create([type(row)(**values)])
