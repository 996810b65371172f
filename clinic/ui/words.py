"""Words for codes that the core speaks: answers, levels, marks, reasons, roles, stages, labels.

The core is English and gives codes; here they get words, so that a page is in one language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from clinic.ui.instants import french
from kap.facts import vocabulary
from kap.rule import Answer

ICONS = {
    Answer.ELIGIBLE: "✓",
    Answer.ELIGIBLE_WITH_CONDITIONS: "▲",
    Answer.NEED_MORE_INFORMATION: "?",
    Answer.DEFER: "‖",
    Answer.REFER_TO_SPECIALIST: "→",
    Answer.CONTRAINDICATED: "✕",
    Answer.REFER_NOW: "‼",
}

# What the shipped protocols call their answers; a word without an entry is shown as it is.
LABELS = frozenset(
    {
        gettext_noop("eligible"),
        gettext_noop("eligible with conditions"),
        gettext_noop("need more information"),
        gettext_noop("defer"),
        gettext_noop("refer to specialist"),
        gettext_noop("contraindicated"),
        gettext_noop("refer now"),
        gettext_noop("may be ordered"),
        gettext_noop("settle first"),
        gettext_noop("not as ordered"),
        gettext_noop("no"),
        gettext_noop("may start"),
        gettext_noop("start once met"),
        gettext_noop("not yet"),
        gettext_noop("not now"),
        gettext_noop("not today"),
        gettext_noop("may go home"),
        gettext_noop("home once met"),
        gettext_noop("gate closed"),
        gettext_noop("stay, repeat"),
        gettext_noop("physician stays with it"),
        gettext_noop("physician now"),
        gettext_noop("continue"),
        gettext_noop("continue, review"),
        gettext_noop("measure first"),
        gettext_noop("pause, case conference"),
        gettext_noop("stop, refer back"),
        gettext_noop("stop"),
        gettext_noop("may be offered"),
        gettext_noop("offer once met"),
        gettext_noop("restricted reason"),
    }
)

STAGES = {
    "screening": _("screening"),
    "booking": _("booking"),
    "day-before": _("the day before"),
    "order": _("order"),
    "start": _("start"),
    "discharge": _("discharge"),
    "checkpoint": _("checkpoint"),
    "booster": _("booster"),
    "after": _("after the dosing day"),
}

LEVELS = {
    "A": _("absolute: nobody overrides"),
    "R": _("relative: a prescriber overrides with a second person, a reason and an expiry"),
    "P": _("precaution: a prescriber overrides with a reason"),
    "I": _("must be known"),
    "N": _("note: never changes the answer"),
}

MARKS = {
    "S": _("read in the cited source"),
    "M": _("widely known, to be checked against the source"),
    "D": _("product default that a medical director must sign"),
}

REASONS = {
    "never_asked": _("never asked"),
    "not_known": _("not known"),
    "declined": _("declined"),
    "too_old": _("too old"),
    "not_reviewed": _("list not reviewed in full"),
    "uncoded": _("an entry without a code leaves it open"),
    "unconfirmed": _("jumps from the reading before; measure again"),
    "one_reading": _("too few readings, or too close together"),
}

SOURCES = {
    "self": _("told by the person"),
    "staff": _("recorded by staff"),
    "device": _("from a device"),
    "import": _("imported"),
    "record": _("from our record"),
}

TRUTHS = {"true": _("yes"), "false": _("no"), "unknown": _("unknown"), "reviewed": _("reviewed")}

UNITS = {"mm[Hg]": "mmHg", "1": "", "Cel": "°C", "mL/min/{1.73_m2}": "mL/min/1.73 m2"}
TIMES = {"a": _("years"), "wk": _("weeks"), "d": _("days")}


def label(words: str) -> str:
    """Return an answer's label in the language of the page."""
    return gettext(words) if words in LABELS else words


# Who writes without signing in: the monitor, the watch, the owner's commands.
AUTOMATA = (gettext_noop("device"), gettext_noop("worker"), gettext_noop("owner"))


def role(code: str) -> str:
    """Return a role as people call it; the words stand in the catalog of `people`."""
    return gettext(code.replace("_", " ")) if code else ""


def of(table: Mapping[str, Promise | str], code: str) -> str:
    """Return the word for `code`, or the code itself, spaced."""
    return str(table.get(code, code.replace("_", " ")))


def fact(name: str) -> str:
    """Return what a fact is called: its name spaced; in French the question, where one is."""
    kind = vocabulary().get(name)
    asked = kind.ask.get("fr", "") if kind is not None and french() else ""
    return asked or name.replace("_", " ")


VALUES = {
    "true": _("yes"),
    "false": _("no"),
    "unknown": _("unknown"),
    "reviewed": _("reviewed"),
    "something else": _("something else"),
    "complete as it stands": _("complete as it stands"),
}


def value(text: str) -> str:
    """Return a value of an explanation: a truth in words, a number with the page's decimal sign."""
    return str(VALUES[text]) if text in VALUES else number(text)


def unit(code: str) -> str:
    """Return a unit as it is written for people: mmHg, not mm[Hg]."""
    return of(TIMES, code) if code in TIMES else UNITS.get(code, code)


def decimals(text: str) -> str:
    """Return a line of arithmetic with the decimal sign of the page."""
    return re.sub(r"(?<=\d)\.(?=\d)", ",", text) if french() else text


def number(text: str) -> str:
    """Return a number with the decimal sign of the page; anything else as it is."""
    shown = text.replace(".", "", 1).lstrip("-")
    return text.replace(".", ",") if french() and shown.isdecimal() else text
