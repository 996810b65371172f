"""Signing a note. A signed note never changes; an addendum names the note it amends."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID, uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions import Refused, written
from clinic.course.models import Session
from clinic.database import now
from clinic.therapy.models import Note
from kap import therapy


@transaction.atomic
def sign_note(
    *,
    session: Session,
    modality: str,
    parts: Mapping[str, str],
    by: Author,
    key: UUID | None = None,
    amends: Note | None = None,
) -> Note:
    """Keep a signed note of a session, once for each `key`, the note's own id.

    Raises Refused where a part that its kind needs is empty, and for a key that
    comes again with other words.
    """
    if kept := session.notes.filter(pk=key).first() if key else None:
        if dict(kept.parts) != dict(parts):
            raise Refused(_("This note is signed already. Open the page anew for an addendum."))
        audit.record(by=by, action="note.repeat", about=kept)
        return kept
    missing = therapy.missing_parts(therapy.Kind(session.kind), parts)
    if missing:
        raise Refused(
            _("A %(kind)s note needs: %(parts)s. Fill them in, or write what was not done.")
            % {"kind": session.get_kind_display(), "parts": ", ".join(missing)}
        )
    note = Note.add(
        id=key or uuid4(),
        **written(session, by),
        course=session.course,
        session=session,
        modality=modality,
        parts=dict(parts),
        signed_at=now(),
        amends=amends,
    )
    audit.record(by=by, action="note.sign", about=note, amends=str(amends.pk) if amends else "")
    return note
