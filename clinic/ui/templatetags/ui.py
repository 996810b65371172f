"""The tags of the components: they put words to values and compute nothing clinical."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms, template
from django.forms.boundfield import BoundField
from django.forms.utils import flatatt
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from clinic import database
from clinic.ui import instants, telling, words
from clinic.ui.places import Place, places
from kap.rule import Answer
from kap.verdict import Verdict

register = template.Library()

NUMBER_ONLY = ("min", "max", "step")


# -- time ------------------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def instant(
    context: template.Context, at: Any, site: Any, patient: Any = None
) -> instants.Instant | None:
    """Return an instant at the site; a patient who reads it elsewhere gets their own wall too."""
    staff_reads = bool(getattr(context.get("by"), "roles", None))
    reader = "" if staff_reads else getattr(patient, "zone", "")
    return instants.instant(at, getattr(site, "zone", ""), reader)


@register.simple_tag(takes_context=True)
def born(context: template.Context, patient: Any, site: Any) -> dict[str, Any]:
    """Return the birth date in letters and the age today at the site."""
    now = context.get("now")
    clock = now if isinstance(now, datetime) else database.now()
    zone = getattr(site, "zone", "")
    today = clock.astimezone(ZoneInfo(zone) if zone else UTC).date()
    birth = patient.birth_date
    return {"date": instants.day(birth), "age": instants.age(birth, today)}


# -- the patient strip -----------------------------------------------------------------------------


@register.simple_tag
def weight_word(weight: Any) -> dict[str, Any] | None:
    """Return a weight with its unit and when: from a fact, or (dosing weight, fact)."""
    if not weight:
        return None
    fact = weight[1] if isinstance(weight, tuple) else weight
    value = getattr(fact, "value", None)
    if value is None:
        return None
    unit = words.unit(getattr(fact, "unit", ""))
    text = f"{words.number(str(value))} {unit}"
    return {"text": text, "at": getattr(fact, "observed_at", None)}


@register.simple_tag
def allergy_words(allergies: Any) -> str | None:
    """Return allergies in words. None: not given here; an incomplete list is never "none"."""
    if allergies in (None, ""):
        return None
    items = getattr(allergies, "items", allergies)
    names = ", ".join(str(getattr(item, "code", item)) for item in items)
    complete = bool(getattr(allergies, "complete", False))
    if names:
        return names if complete else _("%(names)s (list not complete)") % {"names": names}
    return _("none known") if complete else _("not known: list not complete")


# -- answers ---------------------------------------------------------------------------------------


@register.simple_tag
def told(verdict: Verdict) -> telling.Told:
    """Return a verdict in the words and the order of a reader."""
    return telling.tell(verdict)


@register.simple_tag(takes_context=True)
def evidence_of(context: template.Context, row: telling.Row) -> tuple[Any, ...]:
    """Return the rows that a reason turned on, where the page was given them."""
    return tuple((context.get("evidence") or {}).get(row.rule_id, ()))


@register.filter
def answer_word(verdict: Verdict) -> str:
    """Return an answer's icon and label in the language of the page."""
    return f"{words.ICONS[verdict.answer]} {words.label(verdict.label)}"


@register.filter
def condition_word(condition: Any) -> str:
    """Return a condition's text in the language of the page."""
    return telling.condition_text(condition)


@register.filter
def stage_word(stage: str) -> str:
    """Return what a stage is called."""
    return words.of(words.STAGES, stage)


@register.filter
def role_word(role: str) -> str:
    """Return what a role is called."""
    return words.role(role)


@register.filter
def unit_word(unit: str) -> str:
    """Return a unit as it is written for people."""
    return words.unit(unit)


@register.filter
def decimals(line: str) -> str:
    """Return a line of arithmetic with the decimal sign of the page."""
    return words.decimals(line)


@register.filter
def reason_word(reason: str) -> str:
    """Return why something is unknown."""
    return words.of(words.REASONS, reason)


@register.filter
def source_word(source: str) -> str:
    """Return who or what said it."""
    return words.of(words.SOURCES, source)


@register.filter
def fact_word(name: str) -> str:
    """Return what a fact is called."""
    return words.fact(name)


@register.filter
def value_word(text: str) -> str:
    """Return a value that an explanation supposes, in the language of the page."""
    return words.value(text)


@register.filter
def code_word(answer: Answer) -> str:
    """Return the icon and the words of a bare answer."""
    return f"{words.ICONS[answer]} {words.label(answer.replace('_', ' '))}"


@register.filter
def when_word(when: date | datetime, zone: ZoneInfo) -> str:
    """Return a local date as it is, or an instant in the site's zone, which it names."""
    if not isinstance(when, datetime):
        return when.isoformat()
    return f"{when.astimezone(zone):%Y-%m-%d %H:%M} {zone.key}"


# -- around the page -------------------------------------------------------------------------------


@register.simple_tag(takes_context=True)
def nav(context: template.Context) -> tuple[Place, ...]:
    """Return the main navigation: every role of the person, whatever this page needed."""
    held = {row.role for row in _roles(context)}
    return places(held, getattr(context.get("request"), "path", ""))


@register.simple_tag(takes_context=True)
def standing(context: template.Context) -> tuple[Any, ...]:
    """Return the sites whose name and zone head the page: the page's own, or the person's."""
    if site := context.get("site"):
        return (site,)
    held = {row.site_id: row.site for row in _roles(context)}
    return tuple(held[code] for code in sorted(held))


def _roles(context: template.Context) -> tuple[Any, ...]:
    """Return every role of the person signed in."""
    request: Any = context.get("request")
    staff = getattr(getattr(request, "user", None), "staff", None)
    return () if staff is None else cast(tuple[Any, ...], staff.held)


@register.simple_tag(takes_context=True)
def turn(context: template.Context, number: int) -> str:
    """Return the address of another page of the same list, with the same search."""
    request = context.get("request")
    query = request.GET.copy() if request is not None else None
    if query is None:
        return f"?page={number}"
    query["page"] = str(number)
    return f"?{query.urlencode()}"


# -- fields ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One choice: its input, and its words."""

    tag: SafeString
    label: str


@dataclass(frozen=True, slots=True)
class Parts:
    """A field taken apart: "choices", "tick" or "plain"; its id, widget, options and help."""

    kind: str
    id: str
    widget: SafeString | str
    described_by: str
    options: tuple[Option, ...]
    help: str


@register.simple_tag
def field_parts(field: BoundField, prefix: str = "") -> Parts:
    """Return a bound field in parts, each naming its help and errors to a screen reader."""
    place = f"{prefix}-{field.auto_id}" if prefix else field.auto_id
    told = str(field.help_text or _span(field.field))
    described = _described_by(field, place, told)
    widget = field.field.widget
    if isinstance(widget, forms.RadioSelect | forms.CheckboxSelectMultiple):
        return Parts("choices", place, "", described, _options(field, place), told)
    attrs: dict[str, Any] = {"id": place}
    if described:
        attrs["aria-describedby"] = described
    if field.errors:
        attrs["aria-invalid"] = "true"
    kind = "tick" if isinstance(widget, forms.CheckboxInput) else "plain"
    return Parts(kind, place, field.as_widget(_kept(widget), attrs=attrs), described, (), told)


def _span(field: forms.Field) -> str:
    """Return what a number may be, where it has both ends; its unit stands in the label."""
    low, high = getattr(field, "min_value", None), getattr(field, "max_value", None)
    if not isinstance(field, forms.DecimalField) or low is None or high is None:
        return ""
    return _("From %(low)s to %(high)s") % {
        "low": words.number(str(low)),
        "high": words.number(str(high)),
    }


def _kept(widget: forms.Widget) -> forms.Widget:
    """Return a widget that shows what was typed: a browser's number field drops "68,O"."""
    if not isinstance(widget, forms.NumberInput):
        return widget
    keep = {name: value for name, value in widget.attrs.items() if name not in NUMBER_ONLY}
    return forms.TextInput({"inputmode": "decimal", "autocomplete": "off", **keep})


def _described_by(field: BoundField, place: str, told: str) -> str:
    helps = [f"{place}-help"] if told else []
    return " ".join(helps + [f"{place}-error-{n}" for n, _e in enumerate(field.errors, start=1)])


def _options(field: BoundField, place: str) -> tuple[Option, ...]:
    widget = field.field.widget
    attrs = {"id": place, **({"required": True} if field.field.required else {})}
    parts = widget.subwidgets(field.html_name, field.value(), attrs=attrs)
    return tuple(Option(_input(data), data["label"]) for data in parts)


def _input(data: Mapping[str, Any]) -> SafeString:
    """Return a radio button or tick box as Django's own widget writes it, without its templates."""
    value, rest = flatatt({"value": data["value"]}), flatatt(data["attrs"])
    return format_html('<input type="{}" name="{}"{}{}>', data["type"], data["name"], value, rest)
