"""The sessions whose pages are open in this process, brought up to date once for all their readers.

Each reading is done in the transaction of a reader who may see the session: row-level security
decides, and who may not see it asks in vain.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from uuid import UUID

from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import live
from clinic.dosing.models import LogHead, Observation, SessionEvent
from clinic.dosing.seen import BACKLOG, RANGE, Seen

MOST = 256  # sessions kept; the one not asked for longest goes first

_NEW = """
    SELECT {columns} FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) AS wanted (id, low, high)
    JOIN {table} AS new ON new.session_id = wanted.id AND new.seq > low AND new.seq <= high
    ORDER BY new.session_id, new.seq
"""
NEW_READINGS = _NEW.format(columns="new.*", table="dosing_observation")
NEW_LINES = _NEW.format(
    columns="new.id, new.session_id, new.seq, new.kind", table="dosing_sessionevent"
)


class Kept:
    """What has been seen of each session."""

    def __init__(self) -> None:
        self._seen: dict[UUID, Seen] = {}
        self._lock = threading.Lock()

    def seen(self, sessions: Mapping[UUID, Session]) -> dict[UUID, Seen]:
        """Return the sessions as of now.

        The heads are read before what they number: a number is given under the log's lock, so
        that all up to the head is committed, and what comes meanwhile waits for the next time.
        """
        heads = dict.fromkeys(sessions, 0) | dict(
            LogHead.objects.filter(session__in=list(sessions)).values_list("session_id", "seq")
        )
        with self._lock:
            unknown = [
                pk
                for pk, head in heads.items()
                if pk not in self._seen or head - self._seen[pk].seq > BACKLOG
            ]
            for pk in unknown:
                self._seen[pk] = Seen(max(0, heads[pk] - BACKLOG))
            self._bring_up_to_date(heads)
            self._read(unknown)
            for pk in heads:
                self._seen[pk] = self._seen.pop(pk)  # the last asked for stands last
            for pk in list(self._seen)[: max(0, len(self._seen) - max(MOST, len(heads)))]:
                del self._seen[pk]
            return {pk: self._seen[pk] for pk in heads}

    def _bring_up_to_date(self, heads: Mapping[UUID, int]) -> None:
        behind = [pk for pk, head in heads.items() if head > self._seen[pk].seq]
        if not behind:
            return
        bounds = [behind, [self._seen[pk].seq for pk in behind], [heads[pk] for pk in behind]]
        rows: dict[UUID, list[Observation]] = {pk: [] for pk in behind}
        lines: dict[UUID, list[tuple[int, str]]] = {pk: [] for pk in behind}
        for row in Observation.objects.raw(NEW_READINGS, bounds):
            rows[row.session_id].append(row)
        for line in SessionEvent.objects.raw(NEW_LINES, bounds):
            lines[line.session_id].append((line.seq, line.kind))
        for pk in behind:
            self._seen[pk].take(heads[pk], rows[pk], lines[pk])
        self._read(pk for pk in behind if any(row.corrects_id for row in rows[pk]))

    def _read(self, wanted: Iterable[UUID]) -> None:
        """Read the newest readings, and those of ten minutes, of these sessions anew."""
        ids = list(wanted)
        if not ids:
            return
        for pk, latest in live.newest(ids).items():
            self._seen[pk].latest, self._seen[pk].recent = latest, {}
        rows = live.standing(*ids).filter(observed_at__gt=now() - RANGE)
        for pk, vital, at, value in rows.values_list("session_id", "vital", "observed_at", "value"):
            self._seen[pk].recent.setdefault(vital, []).append((at, value))
