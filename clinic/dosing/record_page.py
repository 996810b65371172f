"""The session's record as it is printed: what was ordered, given, measured, said and signed."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from clinic.course.models import Decision
from clinic.dosing import queries
from clinic.dosing.live import DIASTOLIC, SYSTOLIC, Live, standing
from clinic.dosing.models import StartAuthorization
from clinic.dosing.picture import trend_of
from kap.quantity import shown

WIDTH = 680  # px: the width of a printed page
SET = ("heart_rate", "spo2", "respiratory_rate")


def of(live: Live, language: str) -> dict[str, Any]:
    """Return the parts of the record. Its digest is that of every line and reading it shows."""
    infusion = queries.infusion_of(live.session)
    log, sets = list(reversed(live.log)), cuffs(live)
    text = "\n".join([*(line["words"] for line in log), *(str(one) for one in sets)])
    return {
        "live": live,
        "log": log,
        "sets": sets,
        "chart": trend_of(live, language, width=WIDTH),
        "plan": queries.plan_of(infusion.order) if infusion else None,
        "given_mg": milligrams(infusion.delivered_ug) if infusion else "",
        "waste_mg": milligrams(queries.waste_ug(infusion)) if infusion else "",
        "checks": StartAuthorization.objects.filter(session=live.session).select_related(
            "issuer", "second_checker"
        ),
        "decisions": Decision.objects.filter(session=live.session).order_by("decided_at"),
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def milligrams(micrograms: int | None) -> str:
    """Return whole micrograms as milligrams, without trailing zeros; nothing where unknown."""
    return "" if micrograms is None else shown(Decimal(micrograms).scaleb(-3))


def cuffs(live: Live) -> list[dict[str, Any]]:
    """Return each cuff reading with the newest stream values of the minute before it."""
    read = standing(live.session).order_by("observed_at", "received_at")
    # A set typed at once has one time: its other values are read before its pressure asks for them.
    rows = sorted(read, key=lambda row: (row.observed_at, row.vital == SYSTOLIC))
    low = {row.observed_at: row.value for row in rows if row.vital == DIASTOLIC}
    newest: dict[str, Any] = {}
    found = []
    for row in rows:
        newest[row.vital] = row
        if row.vital == SYSTOLIC:
            near = {
                vital: shown(newest[vital].value)
                for vital in SET
                if vital in newest
                and abs(row.observed_at - newest[vital].observed_at) <= live.limits.stream.stale
            }
            cuff = f"{shown(row.value)}/{_shown_or_gone(low.get(row.observed_at))}"
            found.append({"at": row.observed_at, "nibp": cuff, "source": row.source, **near})
    return found


def _shown_or_gone(value: Decimal | None) -> str:
    return "--" if value is None else shown(value)
