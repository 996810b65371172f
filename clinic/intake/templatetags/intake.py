"""Words for what differs between two answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import template
from django.utils.translation import gettext as _

from clinic.course import evidence
from clinic.ui import telling, words
from kap.difference import Difference
from kap.finding import Finding, ReadValue

register = template.Library()

SHOWN = 4  # parts of the short line; the whole is behind it


@register.filter
def read_word(read: ReadValue | None) -> str:
    """Return a value as it was read, with its unit, or why it was unknown."""
    if read is None or read.text == "unknown":
        return words.of(words.REASONS, (read.reason if read else "") or "never_asked")
    return f"{words.value(read.text)} {words.unit(read.unit)}".rstrip()


@register.filter
def list_word(name: str) -> str:
    """Return what a reviewed list is called."""
    return evidence.list_word(name)


@register.filter
def item_word(item: Any) -> str:
    """Return an item of a reviewed list in words."""
    return evidence.item_words(item)


@register.filter
def rule_word(finding: Finding) -> str:
    """Return a rule with its reason, in the language of the page."""
    return f"{finding.rule_id}: {telling.why_of(finding)}"


@register.filter
def difference_line(differs: Difference) -> str:
    """Return the gravest of a difference in one line: rules first, then what is known."""
    parts = list(_parts(differs))
    more = len(parts) - SHOWN
    rest = [_("and %(n)s more") % {"n": more}] if more > 0 else []
    return "; ".join([*parts[:SHOWN], *rest])


def _parts(differs: Difference) -> Iterator[str]:
    yield from (_("%(rule)s speaks now") % {"rule": rule.rule_id} for rule in differs.began)
    yield from (_("%(rule)s speaks no more") % {"rule": rule.rule_id} for rule in differs.ceased)
    yield from (_("%(rule)s is unknown now") % {"rule": rule.rule_id} for rule in differs.opened)
    yield from (
        _("%(rule)s can be judged now") % {"rule": rule.rule_id} for rule in differs.settled
    )
    for fact in differs.facts:
        yield f"{words.fact(fact.name)} {read_word(fact.was)} → {read_word(fact.now)}"
    for each in differs.lists:
        yield from (f"{list_word(each.name)}: + {item_word(item)}" for item in each.added)
        yield from (f"{list_word(each.name)}: − {item_word(item)}" for item in each.removed)
    if any(each.was_complete != each.is_complete for each in differs.lists):
        yield _("a list changed between complete and not")
