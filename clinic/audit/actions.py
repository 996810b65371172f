"""Writing the audit log, sealing it into a hash chain, and looking at the chain again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction

from clinic.audit.author import Author
from clinic.audit.chain import (
    START,
    Broken,
    Chain,
    Place,
    at_end,
    found_by,
    head_of,
    link,
    walk_on,
)
from clinic.audit.models import Event, Head, Receipt, Seal, Walk
from clinic.database import now

SEALER_LOCK = 7_401_001
SEALED_AT_ONCE = 5_000
WALKED_AT_ONCE = 100


def record(
    *,
    by: Author,
    action: str,
    site: str = "",
    patient: models.Model | None = None,
    about: models.Model | None = None,
    outcome: str = "success",
    **detail: Any,
) -> Event:
    """Write one event in the transaction of what it audits: one per patient touched or read."""
    event = Event.add(
        recorded_at=now(),
        site_id=site
        or getattr(about, "site_id", "")
        or (by.sites[0] if len(by.sites) == 1 else ""),
        actor=by.id,
        role=by.role,
        purpose=by.purpose,
        action=action,
        patient_id=patient.pk if patient is not None else getattr(about, "patient_id", None),
        object_kind=about._meta.label if about is not None else "",
        object_id=str(about.pk) if about is not None else "",
        outcome=outcome,
        request=by.request,
        detail=detail,
    )
    by.trail.append(event.pk)
    return event


def record_writes(*, action: str, about: Sequence[tuple[Author, models.Model, Any]]) -> None:
    """Write one event for each author and row at once, the third being the event's detail.

    A row has a `site_id` and a `patient_id`.
    """
    at = now()
    events = Event.add_all(
        {
            "recorded_at": at,
            "site_id": row.site_id,  # type: ignore[attr-defined]  # SiteRow, a layer above
            "actor": by.id,
            "role": by.role,
            "purpose": by.purpose,
            "action": action,
            "patient_id": row.patient_id,  # type: ignore[attr-defined]  # as above
            "object_kind": row._meta.label,
            "object_id": str(row.pk),
            "request": by.request,
            "detail": detail,
        }
        for by, row, detail in about
    )
    for (by, _row, _detail), event in zip(about, events, strict=True):
        by.trail.append(event.pk)


def record_reads(*, by: Author, action: str, rows: Iterable[models.Model]) -> None:
    """Write one event for each patient that `rows` show, each once; with no row, one that says so.

    A row is a Patient's own row (its `patient_id` and `site_id` are read).
    """
    seen: dict[Any, str] = {
        row.patient_id: row.site_id  # type: ignore[attr-defined]  # SiteRow, a layer above
        for row in rows
    }
    # At once: a list shows dozens of people, and each waits for no other's row.
    at = now()
    events = Event.add_all(
        {
            "recorded_at": at,
            "site_id": site,
            "actor": by.id,
            "role": by.role,
            "purpose": by.purpose,
            "action": action,
            "patient_id": patient_id,
            "request": by.request,
        }
        for patient_id, site in seen.items()
    )
    by.trail.extend(event.pk for event in events)
    if not seen:
        record(by=by, action=action, found=0)


@transaction.atomic
def seal() -> int:
    """Chain the oldest unsealed events of each site, and return how many. One sealer at a time.

    At most `SEALED_AT_ONCE`: a backlog is sealed in several calls. The chains go on from their
    heads, not from their last links, so that a link cut off leaves a gap.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    pending = Event.objects.filter(seal__isnull=True).order_by("id")[:SEALED_AT_ONCE]
    heads: dict[str, Place] = {}
    links: list[dict[str, Any]] = []
    for event in pending:
        seq, previous = heads.get(event.site_id) or head_of(event.site_id)
        place = heads[event.site_id] = Place(seq + 1, link(previous, event))
        links.append({"site_id": event.site_id, "event": event, **place._asdict()})
    Seal.add_all(links)
    _keep_heads(heads)
    return len(links)


def _keep_heads(heads: Mapping[str, Place]) -> None:
    at = now()
    Head.objects.bulk_create(
        [Head(site_id=site, recorded_at=at, **place._asdict()) for site, place in heads.items()],
        update_conflicts=True,
        unique_fields=["site_id"],
        update_fields=["seq", "hash", "recorded_at"],
    )


@transaction.atomic
def walk(*, links: int = WALKED_AT_ONCE) -> None:
    """Look again at the next `links` of each site's chain, and note how far: the watch, for ever.

    A break stays noted until somebody has looked at the whole chain (`record_whole`).
    """
    walks = {row.site_id: row for row in Walk.objects.select_for_update()}
    for head in Head.objects.all():
        row = walks.get(head.site_id) or Walk(site_id=head.site_id)
        if found_by(row) is None:
            _walk_on(row, Place(head.seq, head.hash), links)
            row.save()


def _walk_on(row: Walk, head: Place, links: int) -> None:
    start = Place(row.seq, row.hash)
    row.began_at = row.began_at if start.seq else now()
    last = min(start.seq + links, head.seq)
    reached = walk_on(row.site_id, start, last)
    if isinstance(reached, Place) and last == head.seq:
        reached = at_end(row.site_id, reached, head) or reached
    if isinstance(reached, Broken):
        row.broken_seq, row.broken_why = reached.seq, reached.why
    elif last < head.seq:
        row.seq, row.hash = reached
    else:
        _note_whole(row, head, row.began_at)


def _note_whole(row: Walk, head: Place, began_at: datetime | None) -> None:
    row.whole_seq, row.whole_hash = head
    row.whole_from, row.began_at = began_at, None
    row.seq, row.hash = START
    row.broken_seq, row.broken_why = None, ""


@transaction.atomic
def record_whole(seen: Chain, *, began_at: datetime) -> None:
    """Note what a look at a whole chain saw, for the watch and the pages to go on from."""
    row = Walk.objects.select_for_update().filter(site_id=seen.site).first()
    row = row or Walk(site_id=seen.site)
    if seen.broken is None:
        _note_whole(row, seen.head, began_at)
    else:
        row.broken_seq, row.broken_why = seen.broken.seq, seen.broken.why
    row.save()


class OtherRequest(ValueError):
    """The same idempotency key came with another body (HTTP 422)."""


def receipt(*, principal: str, key: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what this key was answered before, or None when it is new."""
    found = Receipt.objects.filter(principal=principal, key=key).first()
    if found is None:
        return None
    if found.request_hash != _hash(body):
        raise OtherRequest(f"key {key} was used for another request; make a new one")
    result: dict[str, Any] = found.result
    return result


def keep_receipt(
    *, principal: str, key: str, body: Mapping[str, Any], result: Mapping[str, Any]
) -> None:
    """Keep the answer beside its effect, in the same transaction."""
    Receipt.add(
        principal=principal,
        key=key,
        request_hash=_hash(body),
        result=dict(result),
        recorded_at=now(),
    )


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
