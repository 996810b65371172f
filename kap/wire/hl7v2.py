"""HL7 v2.6 over the wire: read a monitor's message, acknowledge it, write the simulator's.

    message = read(body, received_at=..., policy=Policy())     # Hl7Error, and nothing else
    accept(message.header, "CA", control_id=..., at=...)       # bytes, no frame around them

Source: interoperability reference 10.1, 10.2.
"""

from kap.wire.hl7_read import (
    Absent,
    Header,
    Message,
    PatientId,
    Policy,
    Problem,
    header,
    read,
)
from kap.wire.hl7_text import Hl7Error
from kap.wire.hl7_write import (
    Simulator,
    accept,
    accept_wanted,
    application_wanted,
    is_original_mode,
    respond,
    write,
)

__all__ = [
    "Absent",
    "Header",
    "Hl7Error",
    "Message",
    "PatientId",
    "Policy",
    "Problem",
    "Simulator",
    "accept",
    "accept_wanted",
    "application_wanted",
    "header",
    "is_original_mode",
    "read",
    "respond",
    "write",
]
