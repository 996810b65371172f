"""The lines of the log in words: the one place that turns the log's codes into what people read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from clinic.dosing.alarms import STALE, cause_words, level_words, note_words, vital_names
from clinic.dosing.models import SessionEvent
from clinic.ui import words
from kap.limit import Level
from kap.observation import vitals

BLOOD_PRESSURE = "blood_pressure"


def words_of(row: SessionEvent) -> str:
    """Return a line of the log in words, in the language of the page."""
    data = row.data
    told = [key for key in DETAILS if data.get(key) not in (None, "")]
    details = (DETAILS[key](str(data[key]), data) for key in told)
    found = " · ".join(text for text in (_what(row), *details) if text)
    return words.decimals(found)


def _what(row: SessionEvent) -> str:
    if row.kind == "alarm_raised":
        return _changes().get(row.data.get("change", ""), _("alarm"))
    return _kinds().get(row.kind, row.kind)


def _kinds() -> dict[str, str]:
    return {
        "arrived": _("arrived"),
        "checked": _("checks done"),
        "authorised": _("second check signed"),
        "started": _("infusion started"),
        "paused": _("paused"),
        "resumed": _("resumed"),
        "rate_changed": _("rate changed"),
        "stopped": _("stopped"),
        "scored": _("scored"),
        "alarm_acknowledged": _("alarm acknowledged"),
        "alarm_closed": _("alarm closed"),
        "said": _("noted"),
        "music": _("music"),
        "handed_over": _("handed over"),
        "gate_signed": _("gate signed"),
        "discharged": _("discharged"),
        "correction": _("corrected"),
    }


def _changes() -> dict[str, str]:
    return {
        "worsened": _("alarm worse"),
        "eased": _("alarm eased"),
        "sounds_again": _("alarm sounds again"),
    }


# -- the parts of a line, in the order in which they are read -------------------------------------


def _text(text: str, data: Mapping[str, Any]) -> str:
    return _("EMERGENCY") if data.get("emergency") else text


def _vital(code: str, _data: Mapping[str, Any]) -> str:
    return vital_names().get(code, code)


def _signal(code: str, _data: Mapping[str, Any]) -> str:
    """Return what an alarm is about; one that no value came for has the vital's name."""
    code = code.removeprefix(f"{STALE} ")
    return _("blood pressure") if code == BLOOD_PRESSURE else vital_names().get(code, code)


def _value(text: str, data: Mapping[str, Any]) -> str:
    """Return a number with its unit; a score has none."""
    of = data.get("signal") or data.get("instrument", "")
    vital = vitals().get("systolic" if of == BLOOD_PRESSURE else of)
    return f"{text} {words.unit(vital.unit) if vital else ''}".strip()


def _plain(text: str, _data: Mapping[str, Any]) -> str:
    return text


def _level(code: str, data: Mapping[str, Any]) -> str:
    """Return what the level asks for; once an alarm is closed its level asks for nothing."""
    is_over = data.get("change") == "closed" or code == Level.NONE.word
    return "" if is_over else level_words().get(code, code)


def _note(code: str, _data: Mapping[str, Any]) -> str:
    return note_words().get(code, code)


def _cause(code: str, _data: Mapping[str, Any]) -> str:
    closed = {
        "within_limits": _("within limits again"),
        "value_corrected": _("the value was corrected"),
    }
    return (closed | cause_words()).get(code, code)


def _reason(text: str, _data: Mapping[str, Any]) -> str:
    return _("undo") if text == "undo" else text


DETAILS: Mapping[str, Callable[[str, Mapping[str, Any]], str]] = {
    "text": _text,
    "instrument": _vital,
    "signal": _signal,
    "value": _value,
    "level": _level,
    "note": _note,
    "cause": _cause,
    "phase": _plain,  # of the music, in the words of who played it
    "reason": _reason,
}
