"""Writing down the protocol versions that this installation knows."""

from __future__ import annotations

from django.conf import settings
from django.db.models import F

from clinic.course.actions.rows import Refused
from clinic.course.models import ProtocolVersion, Signature
from clinic.database import now
from clinic.people.models import Site
from kap.protocol import available, load


def register_protocols(using: str = "default") -> list[ProtocolVersion]:
    """Write down each shipped protocol version once; a changed file is refused."""
    rows = []
    for protocol_id, version in available():
        protocol, name = load(protocol_id, version), f"{protocol_id}@{version}"
        known = ProtocolVersion.objects.using(using).filter(name=name).first()
        if known is None:
            known = ProtocolVersion.add(
                using=using,
                name=name,
                protocol_id=protocol_id,
                version=version,
                digest=protocol.digest,
                recorded_at=now(),
            )
        if known.digest != protocol.digest:
            raise Refused(f"{name} was registered with another digest; released files never change")
        rows.append(known)
    return rows


def newest_protocol(protocol_id: str) -> ProtocolVersion:
    """Return the newest registered version of a protocol."""
    protocol = load(protocol_id)
    return ProtocolVersion.objects.get(name=f"{protocol_id}@{protocol.version}")


def protocol_to_open(protocol_id: str, site: Site) -> ProtocolVersion:
    """Return the version that a new course is judged by: the newest one signed at the site.

    In a demonstration, and where no version is signed yet, the newest: nothing is decided under it
    before it is signed.
    """
    signed = set() if settings.MODE == "demo" else _signed_at(site)
    names = [f"{name}@{version}" for name, version in available() if name == protocol_id]
    for name in reversed(names):
        if name in signed:
            return ProtocolVersion.objects.get(name=name)
    return newest_protocol(protocol_id)


def _signed_at(site: Site) -> set[str]:
    """Return the names of the versions whose signed text stands at the site."""
    stands = Signature.objects.filter(
        site=site, withdrawal__isnull=True, digest=F("protocol__digest")
    )
    return set(stands.values_list("protocol_id", flat=True))
