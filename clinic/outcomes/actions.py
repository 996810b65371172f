"""Sending an instrument, and keeping what was answered: score, facts and safety path together."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.utils import translation
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries
from clinic.course.actions import (
    Reading,
    Refused,
    hold,
    open_task,
    plan_session,
    record_facts,
    written,
)
from clinic.course.models import Course, Session
from clinic.database import now
from clinic.outcomes.models import QuestionnaireLink, Response
from clinic.people import access
from kap import instrument as instruments
from kap.instrument import Instrument, Score


class Sent(NamedTuple):
    """A link and its token; the token is shown to its maker alone and only its hash is kept."""

    link: QuestionnaireLink
    token: str


def hashed(token: str) -> str:
    """Return the hash under which a link is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def plan_next(
    *,
    course: Course,
    kind: str,
    planned_start: datetime,
    planned_minutes: int,
    room: str,
    by: Author,
) -> Session:
    """Plan the course's next session of a kind; its number follows those that stand."""
    hold(f"sessions of {course.pk}")
    return plan_session(
        course=course,
        kind=kind,
        planned_start=planned_start,
        planned_minutes=planned_minutes,
        number=queries.sessions_of(course).filter(kind=kind).count() + 1,
        room=room,
        by=by,
    )


@transaction.atomic
def send_questionnaire(
    *, course: Course, instrument_id: str, by: Author, key: UUID | None = None
) -> Sent:
    """Make a single-use, expiring link and, where the patient has an address, mail it.

    A form sent again with its `key` gets the link that it made, and nothing is mailed anew.
    Raises Refused when the key came with another course or questionnaire.
    """
    instrument = instruments.load(instrument_id)
    token = token_of(key, by) if key else secrets.token_urlsafe(24)
    hold(hashed(token))  # a second press waits, then finds the first one's row
    if made := QuestionnaireLink.objects.filter(token_hash=hashed(token)).first():
        return _again(made, token, course, instrument, by)
    link = QuestionnaireLink.add(
        **written(course, by),
        course=course,
        instrument=instrument.id,
        version=instrument.version,
        token_hash=hashed(token),
        expires_at=now() + settings.QUESTIONNAIRE_LINK_LIFE,
    )
    audit.record(by=by, action="questionnaire.send", about=link, instrument=instrument.id)
    if course.patient.email:
        transaction.on_commit(lambda: _mail_or_ask(link, token, by))
    return Sent(link, token)


def token_of(key: UUID, by: Author) -> str:
    """Return the token that a form's key stands for: the same one each time it is sent.

    The key is random and only the form knows it, so that the hash stays all that is kept.
    """
    return salted_hmac(f"link of {by.id}", str(key), algorithm="sha256").hexdigest()


def _again(
    link: QuestionnaireLink, token: str, course: Course, instrument: Instrument, by: Author
) -> Sent:
    if (link.course_id, link.instrument) != (course.pk, instrument.id):
        raise Refused(
            _("This form was sent before with other answers, which are stored. Fill it in anew.")
        )
    audit.record(by=by, action="form.repeat", about=link)
    return Sent(link, token)


def address(token: str) -> str:
    """Return the link as a patient gets it."""
    return f"{settings.PUBLIC_ADDRESS}/me/q/{token}"


def _mail_or_ask(link: QuestionnaireLink, token: str, by: Author) -> None:
    """Mail the link once it is kept; when the mail fails, ask a person to send another."""
    try:
        _mail(link.course, token)
    except OSError:  # SMTP's errors too
        with access.acting(by), translation.override(settings.LANGUAGE_CODE):
            open_task(
                of=link,
                course=link.course,
                kind="mail",
                owner_role="coordinator",
                by=by,
                due_at=now(),
                text=_("A questionnaire's mail could not be sent. Make a new link, hand it over."),
                source=f"mail.{link.pk}",
            )


def _mail(course: Course, token: str) -> None:
    """Mail the link in the patient's language, in words that tell a bystander nothing."""
    with translation.override(course.patient.language):
        send_mail(
            subject=_("A few questions before your next appointment"),
            message=_(
                "Hello %(name)s,\n\nPlease answer a few questions (about one minute):\n%(link)s\n\n"
                "The link works once. Nobody watches these answers at night: if you are in danger,"
                " call 9-1-1; to talk, call or text 9-8-8, at any hour.\n\n%(site)s, %(phone)s\n"
            )
            % {
                "name": course.patient,
                "link": address(token),
                "site": course.site.name,
                "phone": course.site.phone,
            },
            from_email=None,
            recipient_list=[course.patient.email],
        )


@transaction.atomic
def answer_questionnaire(
    *,
    link: QuestionnaireLink,
    answers: Mapping[int, int | None],
    language: str,
    by: Author,
    mode: str = "link",
) -> tuple[Response, Score]:
    """Keep the answers, their score as Facts, and a task where a safety item asks for one.

    All three commit together or not at all (INV-17). Raises Refused for a link used or expired.
    """
    instrument, at = instruments.load(link.instrument), now()
    if at >= link.expires_at:
        raise Refused(_("This link has expired. Call the clinic for a new one."))
    score = instruments.score(instrument, answers)
    try:
        with transaction.atomic():
            response = Response.add(
                **written(link, by),
                course=link.course,
                link=link,
                instrument=instrument.id,
                version=instrument.wordings[language].version,
                language=language,
                mode=mode,
                answers={str(number): value for number, value in answers.items()},
                total=score.total,
                band=score.band.id if score.band else "",
                prorated=score.prorated,
                answered_at=at,
            )
    except IntegrityError as error:
        raise Refused(_("These questions were answered already. Thank you.")) from error
    _tell(link.course, instrument, score, answers, by)
    if score.opens_safety:
        _open_safety_task(link.course, instrument, score, by)
    audit.record(by=by, action="questionnaire.answer", about=response, instrument=instrument.id)
    return response, score


def _tell(
    course: Course,
    instrument: Instrument,
    score: Score,
    answers: Mapping[int, int | None],
    by: Author,
) -> None:
    """Record the total and each safety item: one that was left out is declined, never nought."""
    at = now()
    told = [_reading(instrument.id, score.total, "not_known", at)]
    for item in instrument.safety_items:
        name = f"{instrument.id}_item{item.number}"
        told.append(_reading(name, answers.get(item.number), "declined", at))
    record_facts(of=course, readings=told, by=by)


def _reading(name: str, points: int | None, otherwise: str, at: datetime) -> Reading:
    if points is None:
        return Reading(name, None, at, source="self", reason=otherwise)
    return Reading(name, points, at, unit="1", source="self")


def _open_safety_task(course: Course, instrument: Instrument, score: Score, by: Author) -> None:
    with translation.override(settings.LANGUAGE_CODE):  # the team's, not the patient's
        text = _(
            "Safety question of %(instrument)s: talk to this person now, then assess the suicide"
            " risk by the structured interview."
        ) % {"instrument": instrument.title["en"]}
    items = "+".join(map(str, score.safety_items))
    _ask_prescriber(course, text, f"{instrument.id}.item{items}", by, queries.safety_wait(course))


def _ask_prescriber(
    course: Course, text: str, source: str, by: Author, within: timedelta = timedelta(0)
) -> None:
    open_task(
        of=course,
        course=course,
        kind="safety",
        owner_role="prescriber",
        by=by,
        text=text,
        due_at=now() + within,
        source=source,
    )


@transaction.atomic
def answer_safety(*, link: QuestionnaireLink, safe: str, by: Author) -> None:
    """Keep what the patient answered to «are you safe right now?»; anything but yes adds a task."""
    if safe not in ("yes", "unsure", "no"):
        raise Refused(_("Choose one of the three answers, or call 9-8-8."))
    course, source = link.course, f"care_card.{safe}"
    if safe != "yes" and not queries.open_tasks(course=course, source=source).exists():
        with translation.override(settings.LANGUAGE_CODE):  # the team's, not the patient's
            text = _("Asked «are you safe right now?», this person answered: %(answer)s. Call now.")
            text %= {"answer": _("not sure") if safe == "unsure" else _("no")}
        _ask_prescriber(course, text, source, by)
    audit.record(by=by, action="care_card.answer", about=link, safe=safe)
