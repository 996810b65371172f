"""The hour itself: the session page, its stream and chart, what is tapped, board, record."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.forms import Form
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.course.actions import Refused
from clinic.course.models import Session
from clinic.database import now
from clinic.dosing import actions, queries, record_page, rooms
from clinic.dosing import stream as streaming
from clinic.dosing.forms import AlarmForm, BindForm, EventForm, VitalsForm, scores
from clinic.dosing.live import Live
from clinic.dosing.models import SessionEvent
from clinic.dosing.picture import trend_of
from clinic.dosing.views import free_devices, page_of
from clinic.people.access import ClinicRequest
from kap.observation import ObservationError
from kap.observation import vitals as all_vitals

TYPED = ("systolic", "diastolic", "heart_rate", "spo2", "respiratory_rate", "temperature")
# How late the heartbeat of `clinic watch` may be before the page says so.
WATCH_LATE_MS = 5_000
SCALES = {
    "moaas": range(5, -1, -1),
    "dissociation": range(11),
    "nausea": range(11),
    "pain": range(11),
    "anxiety": range(11),
    "distress": range(11),
}


def signposts() -> list[str]:
    """Return the events that are one tap away."""
    return [
        _("vomiting"),
        _("anxious"),
        _("support given"),
        _("repositioned"),
        _("oxygen"),
        _("toilet"),
        _("prescriber called"),
        _("asleep"),
    ]


def scales() -> dict[str, str]:
    """Return the scores and what they are called."""
    return {
        "moaas": _("Sedation (MOAA/S)"),
        "dissociation": _("Dissociation 0-10"),
        "nausea": _("Nausea 0-10"),
        "pain": _("Pain 0-10"),
        "anxiety": _("Anxiety 0-10"),
        "distress": _("Distress 0-10"),
    }


def words() -> dict[str, str]:
    """Return the words that the page's script says."""
    return {
        "live": _("Live"),
        "no_link": _("NO LINK"),
        "none": _("not measured"),
        "no_data": _("no data"),
        "sound_on": _("SOUND ON"),
        "sound_off": _("SOUND OFF - press to test"),
        "done": _("done"),
        "before": _("before the start"),
        "not_sent": _("Not sent: no answer from the server. What you entered is still here."),
    }


def keys() -> dict[str, uuid.UUID]:
    """Return a key for each form of the page."""
    return {f"{form}_key": uuid.uuid4() for form in ("score", "vitals", "event", "note")}


# -- the page -------------------------------------------------------------------------------------


def session(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Show the hour: complete without script; the script keeps it true."""
    row = queries.session_of(session_id)
    audit.record(by=request.by, action="session.view", about=row)
    return _session(request, row)


def _session(request: ClinicRequest, row: Session, **more: Any) -> HttpResponse:
    live = Live(row, now())
    failed = any(isinstance(form, Form) and form.errors for form in more.values())
    page = page_of(
        request,
        row,
        live=live,
        bound=queries.bound_to(row),
        seq=streaming.head_of(row),
        vitals_form=VitalsForm(vitals=typed()),
        scales=scales(),
        score_form=score_form(),
        signposts=signposts(),
        chart=trend_of(live, get_language() or "en"),
        bind_form=BindForm(devices=free_devices(row), initial={"key": uuid.uuid4()}),
        link_ms=live.link_ms,
        watch_ms=WATCH_LATE_MS,
        words=words(),
        **keys(),
        **more,
    )
    return render(request, "dosing/session.html", page, status=400 if failed else 200)


def typed() -> list[Any]:
    """Return the vital signs that are typed by hand, in the order they are read off."""
    return [all_vitals()[code] for code in TYPED]


def score_form(*given: Any) -> Any:
    """Return the scores' form, with nothing chosen."""
    return scores(SCALES, scales())(*given)


async def stream(request: ClinicRequest, session_id: UUID) -> StreamingHttpResponse:
    """Stream the session's events until the reader goes or may not read on."""
    place = streaming.Place(request, session_id, _after(request))
    await streaming.threads.run(streaming.opened, place)
    return StreamingHttpResponse(
        streaming.events(place),
        content_type="text/event-stream",
        headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
    )


def _after(request: ClinicRequest) -> int | None:
    """Return the last number the page has: a reconnect's header, or the page's own; else None."""
    said = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    return int(said) if said.isdecimal() else None


def chart(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Return the trend as a fragment, as high as `height` says in px; with `csv` every sample."""
    row = queries.session_of(session_id)
    audit.record(by=request.by, action="session.chart", about=row)
    told = request.GET.get("height", "")
    high = {"height": int(told)} if told.isascii() and told.isdecimal() and len(told) < 5 else {}
    drawn = trend_of(Live(row, now()), get_language() or "en", **high)
    if "csv" in request.GET:
        return HttpResponse(drawn.csv, content_type="text/csv; charset=utf-8")
    return render(request, "dosing/chart.html", {"chart": drawn})


# -- what is tapped -------------------------------------------------------------------------------


def _answer(
    request: ClinicRequest, row: Session, form: Form, act: Callable[[], object]
) -> HttpResponse:
    """Do it and say so: to the script in a header, else by the page. A refusal is said in words."""
    by_script = bool(request.headers.get("X-Live"))
    if form.is_valid():
        try:
            act()
        except (Refused, ObservationError) as refusal:
            form.add_error(None, str(refusal))
    if form.errors:
        audit.record(by=request.by, action="session.entry", about=row, outcome="refused")
        said = " ".join(str(error) for errors in form.errors.values() for error in errors)
        if by_script:
            return HttpResponse(said, status=400, content_type="text/plain; charset=utf-8")
        return _session(request, row, failed_form=form)
    if not request.by.trail:  # a replay: it did nothing, and its answer shows the session
        audit.record(by=request.by, action="session.replay", about=row)
    if by_script:
        local = now().astimezone(row.site.tz)
        saved = _("Saved %(time)s") % {"time": local.strftime("%H:%M:%S")}
        return HttpResponse(status=204, headers={"X-Key": str(uuid.uuid4()), "X-Saved": saved})
    return redirect("dosing:session", session_id=row.pk)


def event(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Write one line: said, pause, resume, stop, emergency, arrived, or one taken back."""
    row, form = queries.session_of(session_id), EventForm(request.POST)
    return _answer(request, row, form, lambda: _event(request, row, form.cleaned_data))


def _event(request: ClinicRequest, row: Session, data: dict[str, Any]) -> None:
    given: dict[str, Any] = {"session": row, "id": data["key"], "by": request.by}
    simple = {
        "pause": actions.pause,
        "resume": actions.resume,
        "stop": actions.stop,
        "emergency": actions.emergency,
    }
    if data["kind"] in simple:
        simple[data["kind"]](**given)
    elif data["kind"] == "said":
        actions.say(**given, text=data["text"])
    elif data["kind"] == "arrived":
        actions.record_event(**given, kind="arrived")
    elif data["kind"] == "undo":
        target = get_object_or_404(SessionEvent, pk=data["corrects"], session=row)
        actions.undo(**given, target=target)
    else:
        raise Refused(_("%(kind)s is no line that can be written here.") % {"kind": data["kind"]})


def vitals(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Store a set typed off the monitor, or scores."""
    row = queries.session_of(session_id)
    if "scores" in request.POST:
        form = score_form(request.POST)
        return _answer(
            request,
            row,
            form,
            lambda: actions.score(
                session=row,
                key=form.cleaned_data["key"],
                by=request.by,
                values={
                    name: form.cleaned_data[name]
                    for name in SCALES
                    if form.cleaned_data.get(name) is not None
                },
            ),
        )
    typed_form = VitalsForm(request.POST, vitals=typed())
    return _answer(
        request,
        row,
        typed_form,
        lambda: actions.record_set(
            session=row,
            values=typed_form.given(),
            key=typed_form.cleaned_data["key"],
            by=request.by,
        ),
    )


def alarm(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Acknowledge an alarm, or close it with its cause."""
    row, form = queries.session_of(session_id), AlarmForm(request.POST)

    def act() -> None:
        signal = form.cleaned_data["signal"]
        if form.cleaned_data["do"] == "acknowledge":
            actions.acknowledge(session=row, signal=signal, by=request.by)
        else:
            actions.close_alarm(
                session=row, signal=signal, cause=form.cleaned_data["cause"], by=request.by
            )

    return _answer(request, row, form, act)


# -- the board and the record ---------------------------------------------------------------------


def board(request: ClinicRequest) -> HttpResponse:
    """Show every room at a glance."""
    return render(request, "dosing/board.html", _board(request))


def board_rows(request: ClinicRequest) -> HttpResponse:
    """Return the rows alone, for the board that asks every two seconds."""
    return render(request, "dosing/board_rows.html", _board(request))


def _board(request: ClinicRequest) -> dict[str, Any]:
    at = now()
    rows = rooms.rows(request.by, at)
    audit.record_reads(by=request.by, action="board.view", rows=[row.session for row in rows])
    return {"rows": rows, "now": at, "sites": rooms.sites(request.by)}


def record(request: ClinicRequest, session_id: UUID) -> HttpResponse:
    """Return the session's record to print: two pages."""
    row = queries.session_of(session_id)
    audit.record(by=request.by, action="session.record", about=row)
    page = page_of(request, row, **record_page.of(Live(row, now()), get_language() or "en"))
    return render(request, "dosing/record.html", page)
