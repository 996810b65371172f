"""Each row of the page about places is what the pack says."""

from __future__ import annotations

from datetime import date

import pytest

from kap.jurisdiction import jurisdictions, load_jurisdiction
from tests.spec.place.page import TABLES, said, shown

CASES = [tuple(case) for table in TABLES for case in table["cases"]]


@pytest.mark.parametrize(("place", "asked", "day", "says"), CASES)
def test_a_pack_says_what_the_page_says(place: str, asked: str, day: date, says: str) -> None:
    assert shown(said(load_jurisdiction(place), asked, day)) == says


def test_another_day_or_route_would_be_found() -> None:
    ontario = load_jurisdiction("ca-on")
    assert shown(said(ontario, "ledger_law", date(2026, 9, 30))) != shown(
        said(ontario, "ledger_law", date(2026, 10, 1))
    )


def test_each_place_has_its_rows() -> None:
    assert {place for place, *_ in CASES} == set(jurisdictions())
