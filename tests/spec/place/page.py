"""What is asked where a site stands, as a page of docs/spec: each row put to the shipped packs."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from kap.jurisdiction import Jurisdiction, JurisdictionError, Provision, load_jurisdiction

FILE = Path(__file__).parent / "cases.toml"
TABLES: list[dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))["table"]
NAME = "canadian_rules.md"
SILENT = "silent"
ABOUT = """\
What the law and the colleges ask in Ontario (`ca-on`) and British Columbia (`ca-bc`), each row \
put to the pack of its place. No lawyer and no clinician has reviewed them; *not verified* is as \
the pack says. "silent" is a place about which nothing is on file: it opens nothing. Units: h \
hours, d days, business_d business days, a years."""


def said(pack: Jurisdiction, asked: str, day: date) -> Provision | None:
    """Return the row that answers "topic" or "premises ROUTE" on a day; None when it is silent."""
    topic, _, route = asked.partition(" ")
    try:
        return pack.premises(route, day) if route else pack.the(topic, day)
    except JurisdictionError:
        return None


def shown(found: Provision | None) -> str:
    """Return an answer as a table writes it."""
    if found is None:
        return SILENT
    if isinstance(found.value, bool):
        return "yes" if found.value else "no"
    return f"{found.value} {found.unit}".rstrip()


def page() -> list[str]:
    """Return the lines of the page, below its mark."""
    told = [line for table in TABLES for line in _table(table)]
    return ["# Canadian rules", "", ABOUT, "", *told]


def link() -> str:
    """Return the page's line in the table of contents."""
    return f"* [Canadian rules]({NAME}): " + "; ".join(table["title"] for table in TABLES)


def _table(table: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {table['title']}", "")
    yield "| place | asked | on | says | in words | source | mark |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for place, asked, day, says in table["cases"]:
        found = said(load_jurisdiction(place), asked, day)
        answer = f'"{says.replace("_", " ")}"'
        cells = (place, asked.replace("_", " "), f"{day}", answer, *_from(found))
        yield f"| {' | '.join(cells)} |"
    yield ""


def _from(found: Provision | None) -> tuple[str, str, str]:
    if found is None:
        return "", "", ""
    return f'"{found.text["en"]}"', found.source, found.mark + (", not verified" * found.unverified)
