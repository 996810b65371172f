"""Writing down the protocol versions that this installation knows."""

from __future__ import annotations

from clinic.course.actions.rows import Refused
from clinic.course.models import ProtocolVersion
from clinic.database import now
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
