"""Reads the HL7 v2.6 observation feed (IHE PCD-01): observations, each with its own time.

A bad OBX becomes a Problem and the good ones survive; a message that cannot be read is one
Hl7Error. Nothing here names a value in an error. Source: interoperability reference 10.1, 10.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal

from kap.observation import Observation, ObservationError, vital
from kap.wire.hl7_text import (
    MISSING,
    NO_SUCH_PROCESSING,
    NO_SUCH_TYPE,
    NO_SUCH_VERSION,
    NOT_IN_TABLE,
    SEQUENCE,
    WRONG_TYPE,
    Hl7Error,
    Marks,
    Segment,
    read_time,
    split,
)
from kap.wire.mdc import Metric, Unit, metrics

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6")
_STATUS = ("R", "F", "X")
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a listener serves and what a device is known to do.

    `processing`: MSH-11 values served ("P" in clinical mode, also "T" in demo). `zone`: read times
    without offset with this one; None refuses them. `sentinels`: numbers that mean "no value".
    `skew_ms`: how far this device's clock runs ahead of ours.
    """

    processing: frozenset[str] = frozenset({"P"})
    zone: timezone | None = None
    sentinels: frozenset[Decimal] = frozenset()
    skew_ms: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What an acknowledgement needs of MSH. `sender` is MSH-3: "BEDMON^00A0...^EUI-64"."""

    sender: str
    facility: str
    receiver: str
    receiver_facility: str
    type: str
    control_id: str
    processing_id: str
    version: str
    accept_mode: str
    application_mode: str
    sent_at: str


@dataclass(frozen=True, slots=True)
class PatientId:
    """One identifier of PID-3 with the authority that assigned it, and its kind ("MR")."""

    value: str
    authority: str
    kind: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one segment was not understood: "OBX", which one of them, the field, and the reason.

    `kind` is what is wrong: "code", "unit", "value", "time", "status", "structure". No value of a
    patient stands in it. `code` is the error code of an acknowledgement (HL7 table 0357).
    """

    segment: str
    number: int
    field: int
    kind: str
    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class Absent:
    """A metric that the device sent without a value: no sample, a technical state instead."""

    vital: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """What a message said. `set_aside` are known codes that no vital sign of ours reads."""

    header: Header
    patient_ids: tuple[PatientId, ...]
    observations: tuple[Observation, ...]
    absent: tuple[Absent, ...] = ()
    problems: tuple[Problem, ...] = ()
    set_aside: tuple[str, ...] = ()

    @property
    def control_id(self) -> str:
        """MSH-10: unique with the sender."""
        return self.header.control_id

    @property
    def sender(self) -> str:
        """MSH-3 as sent."""
        return self.header.sender

    @property
    def processing_id(self) -> str:
        """MSH-11: "P", or "T" from a simulator."""
        return self.header.processing_id


def header(message: bytes) -> Header:
    """Return what MSH says, whatever the rest is. Hl7Error when that cannot be read."""
    return _header(split(message)[0])


def _header(msh: Segment) -> Header:
    return Header(
        sender=_named(msh, 3),
        facility=_named(msh, 4),
        receiver=_named(msh, 5),
        receiver_facility=_named(msh, 6),
        type="^".join(msh.text(9, part) for part in (1, 2)),
        control_id=msh.text(10),
        processing_id=msh.text(11),
        version=msh.text(12),
        accept_mode=msh.text(15),
        application_mode=msh.text(16),
        sent_at=msh.text(7),
    )


def _named(msh: Segment, number: int) -> str:
    """An application or facility (HD), written again with the usual delimiters."""
    parts = msh.first(number).split(msh.marks.component)
    return "^".join(Marks().encode(msh.marks.decode(part)) for part in parts)


def read(message: bytes, *, received_at: datetime, policy: Policy | None = None) -> Message:
    """Return what an ORU^R01 says. `message` is without its frame; `received_at` is its arrival.

    Hl7Error, and nothing else, when the message as a whole cannot be read or is not served.
    """
    rules = Policy() if policy is None else policy
    segments = split(message)
    head = _header(segments[0])
    _check_served(head, rules)
    patients = [one for one in segments if one.name == "PID"]
    if len(patients) > 1:
        raise Hl7Error("more than one PID: whose values these are is not certain")
    reading = _Reading(received_at, rules)
    for one in segments:
        reading.take(one)
    return Message(
        head,
        tuple(found for pid in patients for found in _patient_ids(pid)),
        tuple(reading.observations),
        tuple(reading.absent),
        tuple(reading.problems),
        tuple(reading.set_aside),
    )


def _check_served(head: Header, rules: Policy) -> None:
    if not head.control_id:
        raise Hl7Error("MSH-10 is empty: the message cannot be told from another", code=MISSING)
    if not head.sender:
        raise Hl7Error("MSH-3 is empty: the sender is not known", code=MISSING)
    served = [
        (head.type == "ORU^R01", "MSH-9: only ORU^R01 is served", NO_SUCH_TYPE),
        (head.version in VERSIONS, "MSH-12: this version is not served", NO_SUCH_VERSION),
        (
            head.processing_id in rules.processing,
            f"MSH-11: only {', '.join(sorted(rules.processing))} is served here",
            NO_SUCH_PROCESSING,
        ),
    ]
    for holds, reason, code in served:
        if not holds:
            raise Hl7Error(reason, code=code, is_refused=True)


def _patient_ids(pid: Segment) -> list[PatientId]:
    found = [
        PatientId(pid.part(one, 1), pid.part(one, 4), pid.part(one, 5))
        for one in pid.repetitions(3)
    ]
    return [one for one in found if one.value]


class _Refused(Exception):
    """Why one OBX is not understood."""

    def __init__(self, number: int, kind: str, reason: str, code: str) -> None:
        super().__init__(reason)
        self.number, self.kind, self.reason, self.code = number, kind, reason, code


@dataclass
class _Reading:
    """A message as it is read, segment by segment."""

    received_at: datetime
    rules: Policy
    ordered_at: str | None = None
    number: int = 0
    observations: list[Observation] = field(default_factory=list)
    absent: list[Absent] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)

    def take(self, one: Segment) -> None:
        """Read one segment; what is wrong with an OBX is kept as its problem."""
        if one.name == "OBR":
            self.ordered_at = one.first(7)
        if one.name != "OBX":
            return
        self.number += 1
        try:
            self._observe(one)
        except _Refused as bad:
            self._problem(bad.number, bad.kind, bad.reason, bad.code)
        except Hl7Error as bad:
            self._problem(0, "structure", bad.reason, bad.code)

    def _problem(self, number: int, kind: str, reason: str, code: str) -> None:
        self.problems.append(Problem("OBX", self.number, number, kind, reason, code))

    def _observe(self, obx: Segment) -> None:
        status, value = obx.text(11), obx.raw(5)
        if status not in _STATUS:
            raise _Refused(11, "status", "only R, F and X are read", NOT_IN_TABLE)
        is_empty = status == "X" or not value
        row = _metric(obx, is_empty)
        if row is None:
            return  # the device's structure: a module or channel, no value
        at = self._time(obx)
        if row.vital is None:
            self.set_aside.append(row.id)
        elif is_empty or _number(obx) in self.rules.sentinels:
            self.absent.append(Absent(row.vital, at))
        else:
            self.observations.append(self._observation(obx, row.vital, _unit(obx, row), at))

    def _time(self, obx: Segment) -> datetime:
        """Its own time (OBX-14), or that of its order (OBR-7); never the arrival."""
        if self.ordered_at is None:
            raise _Refused(0, "structure", "an OBX without an OBR before it", SEQUENCE)
        number, text = (14, obx.text(14)) if obx.raw(14) else (7, self.ordered_at)
        try:
            return read_time(text, self.rules.zone)
        except Hl7Error as bad:
            raise _Refused(number, "time", bad.reason, bad.code) from None

    def _observation(self, obx: Segment, code: str, unit: Unit, at: datetime) -> Observation:
        sent = _number(obx)
        try:
            return Observation(
                vital=code,
                value=unit.convert(sent, vital(code).decimals),
                unit=unit.ucum,
                observed_at=at,
                received_at=self.received_at,
                device=obx.text(18) or obx.text(18, 3),
                skew_ms=self.rules.skew_ms,
                original=f"{sent} {unit.shown}" if unit.is_converted else "",
            )
        except ObservationError:
            raise _Refused(
                5, "value", "outside the possible range of its row", WRONG_TYPE
            ) from None


def _metric(obx: Segment, is_empty: bool) -> Metric | None:
    """The row that OBX-3 names by code and by reference id; None for structure without a value."""
    row = metrics().get(obx.text(3))
    if row is None and is_empty:
        return None
    if row is None:
        raise _Refused(3, "code", "a code that is not in the table", NOT_IN_TABLE)
    if obx.text(3, 2) != row.id or obx.text(3, 3) != "MDC":
        raise _Refused(3, "code", "code and reference id name no one row", NOT_IN_TABLE)
    return row


def _unit(obx: Segment, row: Metric) -> Unit:
    for unit in row.units:
        if (obx.text(6), obx.text(6, 2), obx.text(6, 3)) == (unit.code, unit.id, "MDC"):
            return unit
    raise _Refused(6, "unit", "a unit that this row does not come in", NOT_IN_TABLE)


def _number(obx: Segment) -> Decimal:
    if obx.text(2) != "NM":
        raise _Refused(2, "value", "only numbers (NM) are read", WRONG_TYPE)
    if not _NUMBER.fullmatch(obx.raw(5)):
        raise _Refused(5, "value", "no number", WRONG_TYPE)
    return Decimal(obx.raw(5))
