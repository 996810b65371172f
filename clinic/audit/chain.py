"""Reading the hash chain: each link against its event, the last link against the head kept beside.

What the database alone cannot tell: somebody who may change links, events and heads alike, and does
it without a slip. A head noted elsewhere (`clinic audit verify --head`) tells that too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from clinic.audit.models import Event, Head, Seal, Walk


class Place(NamedTuple):
    """A link by its number and hash; number 0 is before the first."""

    seq: int
    hash: str


START = Place(0, "")


@dataclass(frozen=True)
class Broken:
    """The first place at which a site's chain does not hold."""

    site: str
    seq: int
    why: str


@dataclass(frozen=True)
class Chain:
    """What one look at a site's chain saw.

    Links up to `before` were looked at by the watch, at `before_from` or later; those after it, to
    the head, just now. `unsealed` events are in no link yet.
    """

    site: str
    head: Place
    before: int
    before_from: datetime | None
    unsealed: int
    broken: Broken | None

    @property
    def noted(self) -> str:
        """The head as it is noted elsewhere: SITE:NUMBER:HASH."""
        return f"{self.site}:{self.head.seq}:{self.head.hash}"

    @property
    def just_now(self) -> int:
        """How many links this look saw itself."""
        return self.head.seq - self.before


class Chained(NamedTuple):
    """An event as a walk reads it, without making a model of each: what is in its hash."""

    pk: int
    recorded_at: datetime
    site_id: str
    actor: str
    role: str
    purpose: str
    action: str
    patient_id: UUID | None
    object_kind: str
    object_id: str
    outcome: str
    request: UUID
    detail: Mapping[str, Any]


CHAINED = tuple(f"event__{name}" for name in Chained._fields)


def canonical(event: Event | Chained) -> bytes:
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


def link(previous: str, event: Event | Chained) -> str:
    """Return the chain's next hash: SHA-256(previous hash, canonical event)."""
    return hashlib.sha256(previous.encode() + canonical(event)).hexdigest()


def verify(sites: Iterable[str]) -> list[Broken]:
    """Look at every link of each site and return the first break of each; [] means all hold."""
    return [seen.broken for seen in whole(sites) if seen.broken is not None]


def whole(sites: Iterable[str]) -> list[Chain]:
    """Look at every link of each site's chain, now."""
    return [_look(site, Walk(site_id=site)) for site in sites]


def since_walk(sites: Iterable[str]) -> list[Chain]:
    """Look at the links that are newer than the last whole walk of the watch.

    A break that the watch found stands. Without a whole walk every link is looked at.
    """
    walks = {walk.site_id: walk for walk in Walk.objects.all()}
    return [_look(site, walks.get(site) or Walk(site_id=site)) for site in sites]


def _look(site: str, walk: Walk) -> Chain:
    head = head_of(site)  # first: what is sealed meanwhile is the next look's
    start = Place(walk.whole_seq, walk.whole_hash)
    return Chain(
        site=site,
        head=head,
        before=start.seq,
        before_from=walk.whole_from,
        unsealed=Event.objects.filter(site_id=site, seal__isnull=True).count(),
        broken=found_by(walk) or _to_head(site, start, head) or _beyond(site),
    )


def found_by(walk: Walk) -> Broken | None:
    """Return the break that the watch found and nobody has looked into, or None."""
    if walk.broken_seq is None:
        return None
    return Broken(walk.site_id, walk.broken_seq, walk.broken_why)


def head_of(site: str) -> Place:
    """Return where the site's chain ends, as its sealer said."""
    head = Head.objects.filter(site_id=site).first()
    return Place(head.seq, head.hash) if head else START


def _to_head(site: str, start: Place, head: Place) -> Broken | None:
    reached = walk_on(site, start, head.seq)
    return reached if isinstance(reached, Broken) else at_end(site, reached, head)


def at_end(site: str, reached: Place, head: Place) -> Broken | None:
    """Return the break when a chain that was walked to its head does not end with it."""
    if reached == head:
        return None
    return Broken(site, head.seq, f"link {head.seq} is not the one that was sealed last")


def walk_on(site: str, start: Place, last: int) -> Place | Broken:
    """Look at the links from `start`, itself too, to number `last`; return the place reached."""
    links = Seal.objects.filter(site_id=site, seq__range=(max(start.seq, 1), last))
    place = Place(start.seq - 1, "") if start.seq else START
    for seq, sealed, *row in links.order_by("seq").values_list("seq", "hash", *CHAINED).iterator():
        if seq != place.seq + 1:
            break
        event = Chained(*row)
        wanted = start.hash if seq == start.seq else link(place.hash, event)
        if wanted != sealed:
            return Broken(site, seq, f"event {event.pk} is not what was sealed")
        place = Place(seq, sealed)
    if place.seq < last:
        return Broken(site, place.seq + 1, f"link {place.seq + 1} of {last} is missing")
    return place


def _beyond(site: str) -> Broken | None:
    """Return the first link that its head does not know of: the sealer did not make it."""
    ends = Head.objects.filter(site_id=OuterRef("site_id")).values("seq")
    links = Seal.objects.filter(site_id=site, seq__gt=Coalesce(Subquery(ends), 0))
    strange = links.order_by("seq").values_list("seq", flat=True).first()
    return Broken(site, strange, f"link {strange} is not the sealer's") if strange else None


def holds(site: str, noted: Place) -> bool:
    """Return whether a head that somebody noted is still a link of the site's chain."""
    return Seal.objects.filter(site_id=site, **noted._asdict()).exists()
