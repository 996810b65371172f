"""The esketamine spray: whole devices ordered, and the devices as they were given.

A dose is devices times what one device holds, exact and never rounded. What one holds, the gap
between two and the moments of measuring are parameters of the protocol; the ceiling stands in
`ceilings.toml`. Nothing here converts a dose of another drug. Source: docs/algorithms/dose.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from kap.ceilings import THOUSANDTH, DoseError, ceilings, whole
from kap.dose import Line
from kap.facts import vocabulary
from kap.known import Fact, Source
from kap.quantity import shown

DRUG_ATC = "N06AX27"  # esketamine for the nose; the protocol says which code may be ordered
ROUTE = "NASAL"


@dataclass(frozen=True, slots=True)
class Spray:
    """An order of `devices`, each of `device_ug` whole micrograms of esketamine."""

    devices: int
    device_ug: int
    route: str = ROUTE

    @property
    def dose_ug(self) -> int:
        """The dose in whole micrograms."""
        return self.devices * self.device_ug

    @property
    def dose_mg(self) -> Decimal:
        """The dose in milligrams."""
        return Decimal(self.dose_ug).scaleb(-3)

    def lines(self) -> tuple[Line, ...]:
        """Return the arithmetic as a person checks it."""
        one, dose = shown(Decimal(self.device_ug).scaleb(-3)), shown(self.dose_mg)
        return (Line("dose", f"{self.devices} × {one} mg = {dose} mg"),)

    def facts(self, observed_at: datetime) -> tuple[Fact, ...]:
        """Return what the rules of stage `order` read, as facts of the record."""
        told: dict[str, Decimal | str] = {
            "ordered_drug": DRUG_ATC,
            "devices": Decimal(self.devices),
            "dose_mg": self.dose_mg,
        }
        return tuple(
            Fact(
                name, value, vocabulary()[name].unit, observed_at=observed_at, source=Source.RECORD
            )
            for name, value in told.items()
        )


def plan_spray(*, devices: Decimal | int | str, device_mg: Decimal | int | str) -> Spray:
    """Return the order of whole `devices` of `device_mg` each.

    DoseError when a number is not exact, the devices are not whole, or the dose is above the
    ceiling of the nose.
    """
    count = int(whole(devices, "devices", Decimal(1)))
    one = whole(device_mg, "mg in a device", THOUSANDTH)
    spray, limit = Spray(count, int(one * 1000)), ceilings().route(ROUTE).mg_max
    assert limit is not None  # the pinned file sets it
    # Judged twice: as whole micrograms, and as what is left of the ceiling, device by device.
    if spray.dose_mg > limit or limit // one < count:
        raise DoseError(
            f"{count} × {shown(one)} mg", f"the ceiling is {limit} mg", "ESK-DOSE", "lower it"
        )
    return spray


def devices_for(*, dose_mg: Decimal | int | str, device_mg: Decimal | int | str) -> int:
    """Return how many devices hold `dose_mg`; DoseError when that is no whole number of them."""
    one = whole(device_mg, "mg in a device", THOUSANDTH)
    return int(whole(dose_mg, "dose in mg", one) / one)


@dataclass(frozen=True, slots=True)
class ShortGap:
    """A finding: two devices given sooner after each other than asked. Recorded, never refused."""

    first: datetime
    second: datetime

    @property
    def apart(self) -> timedelta:
        """How far apart they were given."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Sprayed:
    """The devices that were given: instants with an offset, oldest first, however entered."""

    at: tuple[datetime, ...]

    @classmethod
    def of(cls, given: Iterable[datetime]) -> Sprayed:
        """Return the devices in their own order; DoseError for none, or for a time without offset.

        A device that is entered late takes its place, and moves the clock if it is the last.
        """
        times = tuple(given)
        if not times or any(moment.utcoffset() is None for moment in times):
            raise DoseError(
                ", ".join(map(str, times)) or "no device",
                "each device has its time, with an offset",
                "devices given",
                "write when each was given",
            )
        return cls(tuple(sorted(times)))

    @property
    def chart_start(self) -> datetime:
        """The first device: where the chart begins."""
        return self.at[0]

    @property
    def clock_start(self) -> datetime:
        """The last device: where the schedule and the clock for going home begin."""
        return self.at[-1]

    def delivered_ug(self, spray: Spray) -> int:
        """Return what was given, in whole micrograms, also where it is more than was ordered."""
        return len(self.at) * spray.device_ug

    def short_gaps(self, least: timedelta) -> tuple[ShortGap, ...]:
        """Return the neighbours given less than `least` apart."""
        pairs = zip(self.at, self.at[1:], strict=False)
        return tuple(ShortGap(one, two) for one, two in pairs if two - one < least)

    def due(self, minutes: Sequence[int]) -> tuple[datetime, ...]:
        """Return when each set is due, counted from the last device in true minutes."""
        return tuple(self.clock_start + timedelta(minutes=each) for each in minutes)
