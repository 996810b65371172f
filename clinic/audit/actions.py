"""Writing the audit log, sealing it into a hash chain, and proving that the chain holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, models, transaction

from clinic.audit.author import Author
from clinic.audit.models import Event, Receipt, Seal
from clinic.database import now

SEALER_LOCK = 7_401_001


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


def canonical(event: Event) -> bytes:
    """Return the event as the bytes that are chained: sorted keys, no spaces, UTC instants."""
    row = {
        "id": event.pk,
        "recorded_at": event.recorded_at.isoformat(),
        "site": event.site_id,
        "actor": event.actor,
        "role": event.role,
        "purpose": event.purpose,
        "action": event.action,
        "patient": str(event.patient_id or ""),
        "object": [event.object_kind, event.object_id],
        "outcome": event.outcome,
        "request": str(event.request),
        "detail": event.detail,
    }
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def link(previous: str, event: Event) -> str:
    """Return the chain's next hash: SHA-256(previous hash, canonical event)."""
    return hashlib.sha256(previous.encode() + canonical(event)).hexdigest()


@transaction.atomic
def seal() -> int:
    """Chain every unsealed event of each site, and return how many. One sealer at a time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALER_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    heads: dict[str, tuple[int, str]] = {}
    pending = list(Event.objects.filter(seal__isnull=True).order_by("id"))
    for event in pending:
        seq, previous = heads.get(event.site_id) or _head(event.site_id)
        hashed = link(previous, event)
        Seal.add(site_id=event.site_id, seq=seq + 1, event=event, hash=hashed)
        heads[event.site_id] = (seq + 1, hashed)
    return len(pending)


def _head(site: str) -> tuple[int, str]:
    last = Seal.objects.filter(site_id=site).order_by("-seq").first()
    return (last.seq, last.hash) if last else (0, "")


@dataclass(frozen=True)
class Broken:
    """The first place at which a site's chain does not hold."""

    site: str
    seq: int
    why: str


def verify(sites: Iterable[str]) -> list[Broken]:
    """Walk each site's chain and return the first break of each; an empty list means it holds."""
    return [broken for site in sites if (broken := _verify_site(site))]


def _verify_site(site: str) -> Broken | None:
    previous = ""
    chain = Seal.objects.filter(site_id=site).order_by("seq").select_related("event")
    for place, sealed in enumerate(chain.iterator(), start=1):
        if sealed.seq != place:
            return Broken(site, place, f"link {place} is missing")
        if link(previous, sealed.event) != sealed.hash:
            return Broken(site, place, f"event {sealed.event_id} is not what was sealed")
        previous = sealed.hash
    return None


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
