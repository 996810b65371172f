"""Codes: what a diagnosis, a medicine or an allergy on a list says about a fact.

A prefix asserts its fact, or asks it (unknown until answered); the longest prefix wins. What cannot
be coded touches every fact that its list may speak about. Source: clinical reference, section 0.14.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

Prefixes = Mapping[str, str]  # prefix -> "assert" | "ask" | "except"


@lru_cache(maxsize=4096)
def plain_code(code: str) -> str:
    """Return a code without points and spaces, in capitals, as prefixes are compared."""
    return code.replace(".", "").replace(" ", "").upper()


def resolve(prefixes: Prefixes, code: str) -> str:
    """Return what the longest prefix of `code` says ("" for nothing); "ask" when `code` is too
    short to tell, because a longer prefix would say otherwise. An empty code always asks."""
    if not code:
        return "ask"
    found, longer = "", set()
    for prefix in sorted(prefixes, key=len):
        if code.startswith(prefix):
            found = prefixes[prefix]
        elif prefix.startswith(code):
            longer.add(prefixes[prefix])
    return "ask" if longer - {found or "except"} else found


def resolver(prefixes: Prefixes) -> Callable[[str], str]:
    """Return `resolve` for these prefixes; it remembers each code it has seen."""
    return lru_cache(maxsize=4096)(partial(resolve, prefixes))


@dataclass(frozen=True, slots=True)
class FactCodes:
    """The prefixes of one list that speak about one fact."""

    fact: str
    list: str
    prefixes: Prefixes
    counts: str = "ever"
    onset: str = ""


Matches = Mapping[str, "tuple[str, tuple[Any, ...]]"]  # fact -> "assert" or "ask", the items


@dataclass(frozen=True, slots=True, eq=False)
class Touch:
    """What the items of one list say of the facts they touch: `said_of` an item -> (fact, kind)."""

    list: str
    said_of: Callable[[Any], Iterable[tuple[str, str]]]

    def match(self, items: Iterable[Any]) -> Matches:
        """Return for each touched fact the stronger of "assert" and "ask", with the items."""
        found: dict[str, tuple[str, tuple[Any, ...]]] = {}
        for item in items:
            for fact, kind in self.said_of(item):
                if fact not in found:
                    found[fact] = kind, (item,)
                    continue
                before_kind, evidence = found[fact]
                stronger = "assert" if "assert" in (kind, before_kind) else "ask"
                found[fact] = stronger, (*evidence, item)
        return found


_COUNTED = {"active": ("ever", "now"), "past": ("ever",), "family": ("family",), "refuted": ()}
CODED_LISTS = ("conditions", "medications", "allergies")


class Coding:
    """All `[codes]` of a protocol: one touch a list. Remembers each code it has seen."""

    def __init__(self, entries: Iterable[FactCodes]) -> None:
        by_list: dict[str, list[FactCodes]] = {name: [] for name in CODED_LISTS}
        for entry in entries:
            by_list[entry.list].append(entry)
        self.touches = {name: _touch(name, tuple(held)) for name, held in by_list.items()}


def _touch(name: str, entries: tuple[FactCodes, ...]) -> Touch:
    @lru_cache(maxsize=4096)
    def touched(code: str, status: str) -> tuple[tuple[str, str], ...]:
        counted = _COUNTED[status]
        said = ((e.fact, resolve(e.prefixes, code)) for e in entries if e.counts in counted)
        return tuple((fact, kind) for fact, kind in said if kind in ("assert", "ask"))

    return Touch(name, lambda item: touched(*item_code(name, item)))


def item_code(name: str, item: Any) -> tuple[str, str]:
    """Return (code, status) of a list item; "" is one that cannot be coded."""
    if name == "conditions":
        return (plain_code(item.code) if _is_icd10(item.system) else ""), item.status
    if name == "allergies":
        return plain_code(item.code), "active" if item.kind == "allergy" else "refuted"
    return plain_code(item.atc), "active"


@lru_cache(maxsize=256)
def _is_icd10(system: str) -> bool:
    return system.upper().startswith("ICD-10")


def row_touch(tags: Mapping[str, str]) -> Touch:
    """Return the touch of interaction rows: one row a medicine, the longest prefix wins.

    `tags` says the row of each prefix; "" stands for a coded medicine that no row knows.
    """

    @lru_cache(maxsize=4096)
    def rows_of(code: str) -> tuple[tuple[str, str], ...]:
        fits = [prefix for prefix in tags if code.startswith(prefix)]
        longer = {tag for prefix, tag in tags.items() if prefix.startswith(code)}
        sure = tags[max(fits, key=len)] if fits else ""
        doubtful = {tag for tag in longer if tag != sure}
        known = ((sure, "ask" if doubtful and not fits else "assert"),) if code else ()
        return (*known, *((tag, "ask") for tag in sorted(doubtful)))

    return Touch("medications", lambda item: rows_of(plain_code(item.atc)))
