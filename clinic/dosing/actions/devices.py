"""Monitors of a site: registered and retired by the owner of the database; nothing is deleted."""

from __future__ import annotations

from django.db import transaction

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused, hold
from clinic.database import now
from clinic.dosing.models import Device
from clinic.people.models import Site


@transaction.atomic
def add_device(
    *, site: Site, room: str, sender: str, name: str, authority: str, by: Author
) -> Device:
    """Register a monitor that stands in a room; the same again changes nothing.

    Raises Refused for a sender that is none or is another monitor's, no name, and an unknown room.
    """
    _check(site, room, sender, name)
    told = {"site": site, "room": room, "name": name, "authority": authority}
    hold(f"device {sender}")  # a second run waits, then finds the first one's row
    known = Device.objects.filter(sender=sender, retired_at__isnull=True).first()
    if known is None:
        row = Device.objects.create(sender=sender, **told)
        audit.record(by=by, action="device.add", about=row, room=room, sender=sender)
        return row
    if other := [key for key, value in told.items() if getattr(known, key) != value]:
        raise Refused(
            f"{sender} is {known.name} in room {known.room} of {known.site_id} already,"
            f" with another {', '.join(other)}; retire it first, or leave it as it is"
        )
    return known


def _check(site: Site, room: str, sender: str, name: str) -> None:
    if not sender or len(sender) > 80 or any(letter.isspace() for letter in sender):
        raise Refused(
            f"sender {sender!r}: MSH-3 as the monitor sends it, up to 80 letters, no space"
        )
    if not name.strip() or len(name) > 80:
        raise Refused(f"name {name!r}: 1 to 80 letters, as it stands on the monitor")
    rooms = list(site.rooms.order_by("name").values_list("name", flat=True))
    if room not in rooms:
        told = ", ".join(rooms) or "none yet; add one with clinic site add ... --room"
        raise Refused(f"{site.code} has no room {room!r}; there are: {told}")


@transaction.atomic
def retire_device(*, sender: str, by: Author) -> Device:
    """Hear a monitor no more; one that is retired stays so.

    Raises Refused for an unknown one, and for one that is bound to a session.
    """
    hold(f"device {sender}")
    rows = Device.objects.filter(sender=sender)
    found = rows.select_for_update().filter(retired_at__isnull=True).first()
    if found is None:
        if retired := rows.order_by("-retired_at").first():
            return retired
        raise Refused(f"no monitor sends as {sender!r}; clinic device list shows them")
    if found.associations.filter(released_at__isnull=True).exists():
        raise Refused(f"{found.name} is bound to a session; release it on the session's page first")
    found.retired_at = now()
    found.save(update_fields=["retired_at"])
    audit.record(by=by, action="device.retire", about=found, sender=sender)
    return found
