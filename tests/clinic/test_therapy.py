"""The therapist's note: signed once, amended by an addendum, and its private part its author's."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse

from clinic.course import actions as course_actions
from clinic.course.actions import Refused
from clinic.course.models import Session
from clinic.database import now
from clinic.therapy import actions
from clinic.therapy.models import Note
from kap import therapy
from tests import world as ground
from tests.pages import hidden, key, text_of
from tests.world import World

PARTS = {part.id: f"words of {part.id}" for part in therapy.note_parts()}
PRIVATE = [part.id for part in therapy.note_parts() if part.is_private]


@pytest.fixture
def session(world: World) -> Session:
    """Marie's preparation, today."""
    return course_actions.plan_session(
        course=world.course,
        kind="preparation",
        planned_start=now(),
        planned_minutes=60,
        number=1,
        by=world.author("cora"),
    )


def page(session: Session) -> str:
    return reverse("therapy:note", args=[session.pk])


def form(**more: Any) -> dict[str, Any]:
    return {"key": key(), "modality": "talking", **PARTS, **more}


def notes() -> list[Note]:
    with ground.acting("tess"):
        return list(Note.objects.order_by("signed_at"))


def test_a_note_is_signed_and_its_addendum_names_it(world: World, session: Session) -> None:
    tess = world.client("tess")
    assert "No note is signed" in text_of(tess.get(page(session)))
    assert tess.post(page(session), form()).status_code == 302
    shown = tess.get(page(session))
    assert "words of plan" in text_of(shown)
    first = hidden(shown, "amends")
    assert tess.post(page(session), form(amends=first, plan="walk")).status_code == 302
    note, addendum = notes()
    assert (str(note.pk), addendum.amends_id) == (first, note.pk)
    assert "Addendum" in text_of(tess.get(page(session)))


def test_the_same_note_sent_twice_is_signed_once(world: World, session: Session) -> None:
    tess, sent = world.client("tess"), form()
    for _again in range(2):
        assert tess.post(page(session), sent).status_code == 302
    other = tess.post(page(session), sent | {"plan": "other words"})
    assert other.status_code == 400
    assert "signed already" in text_of(other)
    assert len(notes()) == 1


def test_a_part_that_is_needed_is_asked_for_and_the_rest_kept(
    world: World, session: Session
) -> None:
    told = world.client("tess").post(page(session), form(risk=" "))
    assert told.status_code == 400
    assert "words of plan" in told.content.decode()
    assert not notes()
    with pytest.raises(Refused, match="risk"):
        actions.sign_note(session=session, modality="talking", parts={}, by=world.author("tess"))


def test_an_addendum_to_another_sessions_note_is_not_found(world: World, session: Session) -> None:
    told = world.client("tess").post(page(session), form(amends=str(uuid4())))
    assert told.status_code == 404
    assert world.client("tess").post(page(session), form(amends="x")).status_code == 400
    assert not notes()


def test_the_private_part_is_its_authors_alone(world: World, session: Session) -> None:
    assert PRIVATE
    world.client("tess").post(page(session), form())
    own, others = (text_of(world.client(name).get(page(session))) for name in ("tess", "alice"))
    for part in PRIVATE:
        assert f"words of {part}" in own
        assert f"words of {part}" not in others
    assert "words of plan" in others
    assert "Sign the note" not in others


def test_who_is_no_therapist_here_signs_nothing(world: World, session: Session) -> None:
    assert world.client("alice").post(page(session), form()).status_code == 404
    assert world.client("charlie").get(page(session)).status_code == 404
    assert world.client("cora").get(page(session)).status_code == 404
    assert not notes()
