"""What happens to an alarm, and the causes that a person may give for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from kap.limit import AlarmError, Level

# The cause that a person may give (a chip: asked, not forced).
CAUSES = ("artefact", "repositioned", "rate_down", "prescriber_called", "treated", "other")
WITHIN_LIMITS, VALUE_CORRECTED = "within_limits", "value_corrected"


class Change(StrEnum):
    """What happened to an alarm."""

    RAISED = "raised"
    WORSENED = "worsened"
    EASED = "eased"
    SOUNDS_AGAIN = "sounds_again"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One change, for the log and the screen. `level` is the level after it.

    `note` is "", "repeat_due", "repeat_overdue", "symptom" or "late"; `cause` is why it closed.
    """

    change: Change
    signal: str
    level: Level
    at: datetime
    limit: str = ""
    value: Decimal | None = None
    note: str = ""
    cause: str = ""

    @property
    def kind(self) -> str:
        """The kind of line that the session's log keeps for it."""
        kept = {Change.ACKNOWLEDGED: "alarm_acknowledged", Change.CLOSED: "alarm_closed"}
        return kept.get(self.change, "alarm_raised")

    def data(self) -> dict[str, str]:
        """Return what the log's line holds, as JSON: numbers are texts, nothing is rounded."""
        told = {
            "signal": self.signal,
            "change": self.change.value,
            "level": self.level.word,
            "limit": self.limit,
            "value": "" if self.value is None else str(self.value),
            "note": self.note,
            "cause": self.cause,
        }
        return {key: value for key, value in told.items() if value}


def check_cause(cause: str) -> None:
    """Raise AlarmError for a cause that is not on the list; none given is fine."""
    if cause and cause not in CAUSES:
        raise AlarmError(f"{cause!r} is no cause; use one of {', '.join(CAUSES)}")
