"""What each reason of a Verdict turned on, row by row: what it says, since when, and whose hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from clinic.course.models import Fact, ListReview
from clinic.course.queries import LISTED
from clinic.people.models import Staff
from clinic.ui import words
from kap.chart import Chart
from kap.chart import Fact as Told
from kap.facts import LISTS
from kap.finding import Finding, evidence_id
from kap.verdict import Verdict


@dataclass(frozen=True)
class Evidence:
    """One row that a reason turned on, in words; `at` and `recorded_at` None: the list says when.

    `source` is who or what said it, `who` whose hand wrote it down.
    """

    name: str
    text: str
    at: datetime | None
    source: str
    recorded_at: datetime | None
    who: str


def evidence_of(verdict: Verdict, chart: Chart) -> dict[str, tuple[Evidence, ...]]:
    """Return the evidence of each finding by rule; `chart` is what the verdict was asked about.

    A few queries whatever the number of rows: authors are read at once.
    """
    told = dict(_rows(chart))
    wanted = {found.rule_id: _ids(found) for found in verdict.findings}
    hands = _hands({each for ids in wanted.values() for each in ids if each in told}, told)
    return {
        rule_id: tuple(_evidence(*told[each], hands.get(each)) for each in ids if each in told)
        for rule_id, ids in wanted.items()
    }


def _ids(finding: Finding) -> list[str]:
    texts = (text for read in finding.values for text in read.evidence)
    return list(dict.fromkeys(found for text in texts if (found := evidence_id(text))))


def _rows(chart: Chart) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Yield the id of each row of a chart with (fact or list, row)."""
    for name, readings in chart.facts.items():
        for fact in readings:
            yield fact.id, (name, fact)
    for name in LISTS:
        reviewed = getattr(chart, name)
        for item in reviewed.items if reviewed is not None else ():
            yield item.id, (name, item)


@dataclass(frozen=True)
class _Hand:
    who: str
    recorded_at: datetime


def _hands(ids: set[str], told: Mapping[str, tuple[str, Any]]) -> dict[str, _Hand]:
    """Return whose hand wrote each row, by name."""
    by_model: dict[type[Model], list[str]] = {}
    for each in ids:
        name, _row = told[each]
        by_model.setdefault(LISTED[name] if name in LISTS else Fact, []).append(each)
    rows = [
        (str(pk), author, role, at)
        for model, keys in by_model.items()
        for pk, author, role, at in model._default_manager.filter(pk__in=keys).values_list(
            "pk", "author", "author_role", "recorded_at"
        )
    ]
    names = _names([author for _pk, author, _role, _at in rows])
    return {pk: _Hand(_signed(names, author, role), at) for pk, author, role, at in rows}


def _names(authors: Sequence[str]) -> dict[str, str]:
    keys = {UUID(each.removeprefix("staff:")) for each in authors if each.startswith("staff:")}
    found = Staff.objects.filter(pk__in=keys).values_list("pk", "name") if keys else ()
    return {f"staff:{pk}": name for pk, name in found}


def _signed(names: Mapping[str, str], author: str, role: str) -> str:
    name, held = names.get(author, ""), words.role(role)
    return f"{name}, {held}" if name and held else name or held


def _evidence(name: str, row: Any, hand: _Hand | None) -> Evidence:
    who, recorded = ("", None) if hand is None else (hand.who, hand.recorded_at)
    if not isinstance(row, Told):
        return Evidence(list_word(name), item_words(row), None, "", recorded, who)
    return Evidence(
        name=words.fact(name),
        text=reading_words(row.value, row.unit, str(row.reason or "")),
        at=row.observed_at,
        source=words.of(words.SOURCES, row.source),
        recorded_at=recorded,
        who=who,
    )


def reading_words(value: Any, unit: str | None, reason: str = "") -> str:
    """Return a value with its unit, or why it is unknown, in the language of the page."""
    if value is None:
        return words.of(words.REASONS, reason or "unknown")
    if isinstance(value, bool):
        return words.value("true" if value else "false")
    text = words.value(value if isinstance(value, str) else f"{value}")
    return f"{text} {words.unit(unit or '')}".rstrip()


STATES = {
    "active": gettext_lazy("active"),
    "past": gettext_lazy("past"),
    "refuted": gettext_lazy("ruled out"),
    "family": gettext_lazy("in the family"),
    "allergy": gettext_lazy("allergy"),
    "intolerance": gettext_lazy("intolerance"),
}


def list_word(name: str) -> str:
    """Return what a reviewed list is called."""
    return str(ListReview.Kind(name).label)


def item_words(item: Any) -> str:
    """Return an item of a reviewed list in words: name, code, state, dose, weeks, since when."""
    told = (
        getattr(item, "name", ""),
        getattr(item, "code", "") or getattr(item, "atc", "") or _("without a code"),
        words.of(STATES, getattr(item, "status", "") or getattr(item, "kind", "")),
        _counted(getattr(item, "mg_per_day", None), _("mg per day")),
        _counted(getattr(item, "weeks", None), _("weeks")),
        _("only when needed") if getattr(item, "prn", None) else "",
        _since(getattr(item, "onset", None) or getattr(item, "since", None)),
    )
    return ", ".join(part for part in told if part)


def _counted(number: Any, of: str) -> str:
    return "" if number is None else f"{words.number(f'{number:f}')} {of}"


def _since(day: str | None) -> str:
    return _("since %(day)s") % {"day": day} if day else ""
