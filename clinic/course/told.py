"""A chart from its rows in one statement: a chart has hundreds, and a gate is asked often."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

# Facts that stand (nobody corrected them), oldest first; of each list the newest review. A list's
# items are written in their own order. JSON keeps a number's digits, and instants are in UTC.
TOLD = """
SELECT patient,
  (SELECT json_agg(json_build_array(fact.name, site.zone, fact.value, fact.unit, fact.observed_at,
                                    fact.recorded_at, fact.source, fact.id, fact.reason)
                   ORDER BY fact.observed_at, fact.recorded_at, fact.id)
     FROM course_fact fact JOIN people_site site ON site.code = fact.site_id
    WHERE fact.patient_id = patient AND fact.observed_at <= %(at)s
      AND NOT EXISTS (SELECT FROM course_fact next WHERE next.corrects_id = fact.id))::text,
  (SELECT json_agg(json_build_array(
            review.kind, site.zone, review.reviewed_at, review.complete,
            CASE review.kind
            WHEN 'conditions' THEN
              (SELECT json_agg(json_build_object(
                        'system', system, 'code', code, 'status', status, 'onset', onset,
                        'id', id) ORDER BY recorded_at, id)
                 FROM course_condition WHERE review_id = review.id)
            WHEN 'medications' THEN
              (SELECT json_agg(json_build_object(
                        'atc', atc, 'name', name, 'mg_per_day', mg_per_day, 'prn', prn,
                        'since', since, 'last_taken', last_taken, 'id', id)
                      ORDER BY recorded_at, id)
                 FROM course_medication WHERE review_id = review.id)
            WHEN 'allergies' THEN
              (SELECT json_agg(json_build_object('code', code, 'kind', kind, 'id', id)
                      ORDER BY recorded_at, id)
                 FROM course_allergy WHERE review_id = review.id)
            WHEN 'antidepressant_trials' THEN
              (SELECT json_agg(json_build_object(
                        'atc', atc, 'mg_per_day', mg_per_day, 'weeks', weeks,
                        'adherent', adherent, 'stopped_for_intolerance', stopped_for_intolerance,
                        'current_episode', current_episode, 'judged', judged, 'id', id)
                      ORDER BY recorded_at, id)
                 FROM course_trial WHERE review_id = review.id)
            END))
     FROM (SELECT DISTINCT ON (kind) * FROM course_listreview
            WHERE patient_id = patient AND reviewed_at <= %(at)s
            ORDER BY kind, reviewed_at DESC, recorded_at DESC, id DESC) review
     JOIN people_site site ON site.code = review.site_id)::text
FROM unnest(%(patients)s::uuid[]) patient
"""


def told(patients: Collection[UUID], at: datetime) -> dict[UUID, dict[str, Any]]:
    """Return what is known of each patient at `at`, as `Chart.from_json` reads it.

    An instant is on the wall of its row's site: its offset says the local date.
    """
    with connection.cursor() as cursor:
        cursor.execute(TOLD, {"patients": list(patients), "at": at})
        return {patient: _known(*texts) for patient, *texts in cursor.fetchall()}


def _known(facts: str | None, lists: str | None) -> dict[str, Any]:
    known: dict[str, Any] = {"facts": {}}
    for name, zone, *reading in _rows(facts):
        known["facts"].setdefault(name, []).append(_reading(ZoneInfo(zone), *reading))
    for kind, zone, reviewed_at, complete, items in _rows(lists):
        known[kind] = {
            "reviewed_at": datetime.fromisoformat(reviewed_at).astimezone(ZoneInfo(zone)),
            "complete": complete,
            "items": [_item(row) for row in items or ()],
        }
    return known


def _rows(text: str | None) -> Any:
    return json.loads(text, parse_float=Decimal) if text else ()


def _reading(
    zone: ZoneInfo,
    value: Any,
    unit: str,
    observed_at: str,
    recorded_at: str,
    source: str,
    id: str,
    reason: str,
) -> dict[str, Any]:
    reading: dict[str, Any] = {
        "value": value,
        "observed_at": datetime.fromisoformat(observed_at).astimezone(zone),
        "recorded_at": datetime.fromisoformat(recorded_at),
        "source": source,
        "id": id,
    }
    if unit:
        reading["unit"] = unit
    if reason:
        reading["reason"] = reason
    return reading


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a list's row without what nobody told."""
    return {name: _plain(value) for name, value in row.items() if value not in (None, "")}


def _plain(value: Any) -> Any:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else value
