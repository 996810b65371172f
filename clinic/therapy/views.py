"""The therapist's page of one session: the notes so far, and the note to sign."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course.actions import Refused
from clinic.course.models import Session
from clinic.people.access import ClinicRequest
from clinic.therapy import actions
from clinic.therapy.forms import NoteForm
from clinic.therapy.models import Note
from kap import therapy


def note(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Show the session's notes; sign a new one, or an addendum to one of them."""
    session = get_object_or_404(
        Session.objects.select_related("course", "patient", "site"), pk=session_id
    )
    first = session.notes.order_by("signed_at").first()
    form = NoteForm(
        request.POST or None,
        initial={"key": uuid4(), "amends": first.pk if first else None},
        kind=therapy.Kind(session.kind),
        language=(get_language() or "en")[:2],
    )
    if request.method == "POST" and form.is_valid() and _sign(request, session, form):
        messages.success(request, _("Note signed."))
        return redirect("therapy:note", session_id=session.pk)
    audit.record(by=request.by, action="note.view", about=session)
    page = {
        "session": session,
        "course": session.course,
        "patient": session.patient,
        "site": session.site,
        "form": form,
        "notes": _readable(session, request),
        "may_write": request.by.holds("therapist"),
    }
    return render(request, "therapy/note.html", page, status=400 if form.errors else 200)


def _sign(request: ClinicRequest, session: Session, form: NoteForm) -> bool:
    """Sign what the form holds; say on the form why not. A note to amend is of this session."""
    data = form.cleaned_data
    amends = get_object_or_404(session.notes, pk=data["amends"]) if data["amends"] else None
    try:
        actions.sign_note(
            session=session,
            modality=data["modality"],
            parts=form.parts(),
            by=request.by,
            key=data["key"],
            amends=amends,
        )
    except Refused as refused:
        form.add_error(None, str(refused))
    return not form.errors


def _readable(session: Session, request: ClinicRequest) -> list[dict[str, Any]]:
    """Return the notes with the parts this reader may see; private parts are their author's."""
    language = (get_language() or "en")[:2]
    return [
        {"row": row, "parts": _parts(row, language, own=row.author == request.by.id)}
        for row in session.notes.order_by("signed_at")
    ]


def _parts(row: Note, language: str, *, own: bool) -> list[tuple[str, str]]:
    return [
        (part.text[language], row.parts[part.id])
        for part in therapy.note_parts()
        if row.parts.get(part.id) and (own or not part.is_private)
    ]
