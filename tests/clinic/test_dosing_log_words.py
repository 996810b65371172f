"""The log in words: no code of the core reaches a nurse or a printed page, in either language."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils.translation import override

from clinic.database import now
from clinic.dosing import actions, log_words
from clinic.dosing.actions.log import append
from clinic.dosing.log_words import words_of
from clinic.dosing.models import SessionEvent
from kap.alarm_event import CAUSES, Change
from kap.limit import LEVELS
from kap.log import KINDS
from tests import world as builders
from tests.pages import text_of
from tests.world import World

LINES: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "alarm_raised",
        {"signal": "blood_pressure", "change": "raised", "level": "amber", "value": "172"},
        "alarm · blood pressure · 172 mmHg · nurse, repeat",
        "alarme · tension artérielle · 172 mmHg · infirmière, répéter",
    ),
    (
        "alarm_raised",
        {"signal": "spo2", "change": "worsened", "level": "red", "value": "88", "note": "late"},
        "alarm worse · SpO2 · 88 % · pause infusion, physician · for an earlier reading",
        "",
    ),
    (
        "alarm_raised",
        {"signal": "stale heart_rate", "level": "technical", "change": "raised"},
        "alarm · HR · no value: check the monitor",
        "",
    ),
    (
        "alarm_closed",
        {"signal": "blood_pressure", "change": "closed", "level": "none", "cause": "within_limits"},
        "alarm closed · blood pressure · within limits again",
        "",
    ),
    (
        "alarm_closed",
        {"signal": "spo2", "change": "closed", "level": "technical", "cause": "repositioned"},
        "alarm closed · SpO2 · repositioned",
        "",
    ),
    ("scored", {"instrument": "nausea", "value": 0}, "scored · nausea · 0", ""),
    ("said", {"text": "EMERGENCY", "emergency": True}, "noted · EMERGENCY", "noté · URGENCE"),
    ("music", {"phase": "ascent"}, "music · ascent", ""),
    ("correction", {"reason": "undo", "void": True}, "corrected · undo", "corrigé · annuler"),
    ("correction", {"reason": "typed twice"}, "corrected · typed twice", ""),
]


@pytest.mark.parametrize(("kind", "data", "english", "french"), LINES)
def test_a_line_is_read_in_plain_words(
    kind: str, data: dict[str, Any], english: str, french: str
) -> None:
    row = SessionEvent(kind=kind, data=data)
    with override("en"):
        assert words_of(row) == english
    if french:
        with override("fr"):
            assert words_of(row) == french


@pytest.mark.parametrize("language", ["en", "fr"])
def test_whatever_the_core_may_log_has_a_word(language: str) -> None:
    with override(language):
        for kind in KINDS:
            assert "_" not in words_of(SessionEvent(kind=kind, data={}))
        codes = {
            "signal": ("blood_pressure", "heart_rate", "respiratory_rate", "stale spo2"),
            "level": tuple(level.word for level in LEVELS),
            "note": ("repeat_due", "repeat_overdue", "symptom", "late"),
            "cause": (*CAUSES, "within_limits", "value_corrected"),
            "change": tuple(Change),
        }
        for key, values in codes.items():
            said = [words_of(SessionEvent(kind="alarm_raised", data={key: one})) for one in values]
            assert not [text for text in said if "_" in text or "stale" in text]
    assert set(log_words.DETAILS) >= {"signal", "level", "note", "cause"}


def test_the_page_and_the_printed_record_show_no_code(world: World) -> None:
    builders.known_well(world.course)
    builders.accept(world.course)
    session = builders.plan_dose(world.course)
    builders.start(session)
    bob = world.author("bob")
    data = {"signal": "blood_pressure", "change": "raised", "level": "amber", "value": "172"}
    append(session=session, id=uuid4(), kind="alarm_raised", observed_at=now(), by=bob, data=data)
    actions.score(session=session, values={"nausea": 1}, key=uuid4(), by=bob)
    for page in ("session", "record"):
        text = text_of(world.client("bob").get(reverse(f"dosing:{page}", args=[session.pk])))
        assert "alarm · blood pressure · 172 mmHg · nurse, repeat" in text
        for code in ("blood_pressure", "· amber", "eligible_with", "need_more_information"):
            assert code not in text
