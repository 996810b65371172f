"""Time zones from the pinned `tzdata` package only, and the proof that they are the right ones.

`zoneinfo` prefers the machine's copy, which may not know that British Columbia stays on UTC-7 from
March 2026 on. `pin()` runs first in the settings, in every process.
"""

import zoneinfo
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from importlib.metadata import version

NEEDED_TZDATA = (2026, 6)

# Zone, day, hours from UTC at its noon. Source: IANA tz 2026f.
KNOWN_OFFSETS = (
    ("America/Vancouver", date(2026, 1, 15), -8),
    ("America/Vancouver", date(2026, 12, 15), -7),
    ("America/Toronto", date(2026, 7, 1), -4),
    ("America/Toronto", date(2026, 12, 15), -5),
)


def pin() -> None:
    """Make this process read zones from the `tzdata` package, never from the machine."""
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()


def tzdata_version() -> tuple[int, ...]:
    """Return the version of the `tzdata` package, (2026, 6) for "2026.6"."""
    return tuple(int(part) for part in version("tzdata").split("."))


def wrong_offsets() -> Iterator[str]:
    """Yield one line for each known offset that this process reads wrongly."""
    for name, day, hours in KNOWN_OFFSETS:
        read = datetime.combine(day, time(12), tzinfo=zoneinfo.ZoneInfo(name)).utcoffset()
        if read != timedelta(hours=hours):
            yield f"{name} {day}: {read}, expected {hours} h"
