"""HL7 v2 messages that we write: acknowledgements, and the simulator's PCD-01 feed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kap.observation import Observation
from kap.wire.hl7_read import Header, PatientId, Problem
from kap.wire.hl7_text import Marks, write_time
from kap.wire.mdc import metric_of

_MARKS = Marks()
_PROFILE = "IHE_PCD_ORU_R01^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO"
_CHARSET = "UNICODE UTF-8"
_MOST_ERRORS = 20

# MSH-15 and MSH-16: when an acknowledgement is wanted (HL7 table 0155).
_WANTED = {"AL": (True, True), "NE": (False, False), "ER": (False, True), "SU": (True, False)}


def is_original_mode(head: Header) -> bool:
    """Return whether the sender wants one acknowledgement (AA, AE, AR) and no other."""
    return not head.accept_mode and not head.application_mode


def accept_wanted(head: Header, *, ok: bool) -> bool:
    """Return whether an accept acknowledgement (CA, CE, CR) is wanted; `ok`: it would be CA."""
    return not is_original_mode(head) and _wanted(head.accept_mode, ok)


def application_wanted(head: Header, *, ok: bool) -> bool:
    """Return whether an application one (AA, AE, AR) is wanted; `ok`: it would be AA."""
    return is_original_mode(head) or _wanted(head.application_mode, ok)


def _wanted(mode: str, ok: bool) -> bool:
    when_ok, when_not = _WANTED.get(mode, (False, False))
    return when_ok if ok else when_not


def accept(head: Header, code: str, *, control_id: str, at: datetime) -> bytes:
    """Return an accept acknowledgement: `code` CA (stored), CE (not stored) or CR (not served)."""
    if code not in ("CA", "CE", "CR"):
        raise ValueError(f"{code!r} is no accept acknowledgement; use CA, CE or CR")
    return _acknowledgement(head, code, control_id, at, ())


def respond(
    head: Header,
    code: str,
    *,
    control_id: str,
    at: datetime,
    problems: Sequence[Problem] = (),
) -> bytes:
    """Return an application acknowledgement: AA, AE or AR, with an ERR segment a problem.

    MSA-2 echoes MSH-10. ERR says where and what kind, never a value.
    """
    if code not in ("AA", "AE", "AR"):
        raise ValueError(f"{code!r} is no application acknowledgement; use AA, AE or AR")
    errors = [
        f"ERR||{one.segment}^{one.number}^{one.field or ''}|{one.code}^^HL70357|E"
        f"||||{_MARKS.encode(one.reason)}"
        for one in problems[:_MOST_ERRORS]
    ]
    return _acknowledgement(head, code, control_id, at, errors)


def _acknowledgement(
    head: Header, code: str, control_id: str, at: datetime, errors: Iterable[str]
) -> bytes:
    """The same charset goes out as UTF-8; names of applications are echoed as they came."""
    msh = [
        *("MSH", "^~\\&", head.receiver, head.receiver_facility, head.sender, head.facility),
        *(write_time(at), "", "ACK^R01^ACK", _MARKS.encode(control_id)),
        *(_MARKS.encode(head.processing_id), _MARKS.encode(head.version) or "2.6"),
        *("", "", "", "", "", _CHARSET),
    ]
    msa = f"MSA|{code}|{_MARKS.encode(head.control_id)}"
    return _bytes(["|".join(msh), msa, *errors])


def _bytes(segments: Iterable[str]) -> bytes:
    return "".join(f"{one}\r" for one in segments).encode()


@dataclass(frozen=True, slots=True)
class Simulator:
    """The device that the simulator plays. `zone` is carried by the times it is given."""

    name: str = "BEDMON"
    eui64: str = "00A0B1FFFEC2D3E4"
    facility: str = "VAN"
    family: str = "EXAMPLE"
    given: str = "ROWAN"

    @property
    def sender(self) -> str:
        """MSH-3 as it is sent, the identity by which a device is known."""
        return f"{_MARKS.encode(self.name)}^{self.eui64}^EUI-64"


def write(
    observations: Iterable[Observation],
    *,
    device: Simulator,
    patient: PatientId,
    control_id: str,
    sent_at: datetime,
    processing_id: str = "T",
) -> bytes:
    """Return a PCD-01 ORU^R01 of these readings, to be sent by the simulator only.

    Times are written with the offset that they carry. KeyError for a vital that the wire has no
    code for. What `read` makes of it are the same readings.
    """
    written = write_time(sent_at)
    own = _MARKS.encode(control_id)
    numbered = f"{own}^{device.sender}"
    pid = f"{_MARKS.encode(patient.value)}^^^{_MARKS.encode(patient.authority)}&2.999.2.1&ISO"
    segments = [
        f"MSH|^~\\&|{device.sender}|{_MARKS.encode(device.facility)}|KAP|CLINIC|{written}||"
        f"ORU^R01^ORU_R01|{own}|{processing_id}|2.6|||AL|NE|CAN|{_CHARSET}|"
        f"en^English^ISO639||{_PROFILE}",
        f"PID|1||{pid}^{_MARKS.encode(patient.kind)}||"
        f"{_MARKS.encode(device.family)}^{_MARKS.encode(device.given)}^^^^^L",
        f"OBR|1|{numbered}|{numbered}|182777000^monitoring of patient^SCT|||{written}",
        "OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||"
        f"{_MARKS.encode(device.name)}^^{device.eui64}^EUI-64",
    ]
    segments.extend(
        _obx(number, one) for number, one in enumerate(observations, start=len(segments) - 2)
    )
    return _bytes(segments)


def _obx(number: int, seen: Observation) -> str:
    row = metric_of(seen.vital)
    unit = row.units[0]
    return (
        f"OBX|{number}|NM|{row.code}^{row.id}^MDC|1.1.1.{number}|{seen.value:f}|"
        f"{unit.code}^{unit.id}^MDC|||||R|||{write_time(seen.observed_at)}"
    )
