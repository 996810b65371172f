"""A jurisdiction pack answers by topic and day; what it does not say is refused, never assumed."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest

from kap.jurisdiction import (
    Jurisdiction,
    JurisdictionError,
    jurisdictions,
    load_jurisdiction,
    parse_jurisdiction,
)

TODAY = date(2026, 11, 24)
HEAD = '[jurisdiction]\nid = "x"\nversion = "1"\ntitle = { en = "X", fr = "X" }\n'
ROW = """[[row]]
topic = "loss_report"
text = { en = "Report it", fr = "Signaler" }
value = 10
unit = "d"
source = "S:73"
mark = "S"
"""
SOURCE = '[source]\n"S:73" = "NCR s. 55"\n'


@pytest.fixture(params=jurisdictions())
def shipped(request: pytest.FixtureRequest) -> Jurisdiction:
    return load_jurisdiction(request.param)


def test_ontario_and_british_columbia_are_shipped() -> None:
    assert jurisdictions() == ("ca-bc", "ca-on")
    with pytest.raises(JurisdictionError, match=r"no jurisdiction 'ca-qc'; shipped: ca-bc, ca-on"):
        load_jurisdiction("ca-qc")


def test_every_shipped_row_is_sourced_marked_and_in_two_languages(shipped: Jurisdiction) -> None:
    for row in shipped.provisions:
        codes = re.findall(r"S:\d+", row.source)
        assert row.source, row.topic
        assert set(codes) <= set(shipped.sources)
        assert row.mark in "SMD"
        assert set(row.text) == {"en", "fr"}


@pytest.mark.parametrize(
    ("day", "law", "kept"),
    [
        (date(2026, 9, 30), "Narcotic Control Regulations", Decimal(2)),
        (date(2026, 10, 1), "Controlled Substances Regulations", True),
    ],
)
def test_the_ledgers_law_changes_on_its_day(
    day: date, law: str, kept: object, shipped: Jurisdiction
) -> None:
    row = shipped.the("ledger_law", day)
    assert row.text["en"].startswith(law)
    assert (row.value, row.unverified) == (kept, True)


@pytest.mark.parametrize(
    ("pack", "route", "needed"),
    [
        ("ca-on", "IV", "ohp_approved"),
        ("ca-bc", "IV", "hospital_or_accredited"),
        ("ca-bc", "SL", "community"),
        ("ca-bc", "NASAL", "psychiatrist"),
    ],
)
def test_premises_are_asked_by_route(pack: str, route: str, needed: str) -> None:
    assert load_jurisdiction(pack).premises(route, TODAY).value == needed


def test_a_route_about_which_the_pack_is_silent_is_not_taken_for_allowed() -> None:
    with pytest.raises(JurisdictionError, match="says nothing about premises for 'SC"):
        load_jurisdiction("ca-on").premises("SC", TODAY)
    with pytest.raises(JurisdictionError, match="premises for 'SL' on 2021-08-09"):
        load_jurisdiction("ca-bc").premises("SL", date(2021, 8, 9))


@pytest.mark.parametrize(
    ("pack", "topic", "value", "unit"),
    [
        ("ca-on", "chart_retention", 10, "a"),
        ("ca-bc", "chart_retention", 16, "a"),
        ("ca-bc", "age_of_majority", 19, "a"),
        ("ca-on", "inclusion_age", 18, "a"),
        ("ca-bc", "inclusion_age", 18, "a"),
        ("ca-on", "loss_report", 10, "d"),
        ("ca-bc", "loss_report", 10, "d"),
        ("ca-on", "event_report", 24, "h"),
        ("ca-on", "age_of_consent", "capacity", ""),
        ("ca-bc", "crisis_line", "9-8-8", ""),
    ],
)
def test_what_is_asked_where(pack: str, topic: str, value: object, unit: str) -> None:
    row = load_jurisdiction(pack).the(topic, TODAY)
    assert (row.value, row.unit) == (value, unit)


def test_a_topic_the_pack_does_not_hold_that_day_is_refused() -> None:
    with pytest.raises(JurisdictionError, match=r"ca-on 2026\.1 says nothing about 'age_of_maj"):
        load_jurisdiction("ca-on").the("age_of_majority", TODAY)
    with pytest.raises(JurisdictionError, match="nothing about 'crisis_line' on 2023-11-29"):
        load_jurisdiction("ca-bc").the("crisis_line", date(2023, 11, 29))


def test_several_rows_are_not_taken_for_one() -> None:
    with pytest.raises(JurisdictionError, match="premises has 3 rows"):
        load_jurisdiction("ca-bc").the("premises", TODAY)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('topic = "loss_report"', 'topic = "losses"', "topic: 'losses'; write one of"),
        ('mark = "S"', 'mark = "X"', "mark: 'X'; write one of S, M, D"),
        ('mark = "S"', 'mark = "S"\nowner = "me"', "unknown key owner"),
        ('source = "S:73"', 'source = "S:74"', "S:74 is not listed in"),
        ('source = "S:73"', 'source = "clinic policy"', "mark S names a source that was read"),
        ('source = "S:73"', "", "source: missing"),
        ('unit = "d"', "", "a number has a unit, only it"),
        ('unit = "d"', 'unit = "day"', "unit: 'day'; write one of"),
        ("value = 10", "value = [10]", "write one value"),
        ("value = 10", 'value = "ten"', "a number has a unit, only it"),
        (', fr = "Signaler"', "", "write it in en and in fr"),
        ('fr = "Signaler"', 'fr = ""', "write it in en and in fr"),
        ('mark = "S"', 'mark = "S"\neffective_from = "soon"', "'soon' is no date"),
        (
            'mark = "S"',
            'mark = "S"\neffective_from = 2026-10-01\neffective_to = 2026-09-30',
            "it ends before it begins",
        ),
        ('mark = "S"', 'mark = "S"\nroutes = ["eye"]', "routes: 'eye'; write one of"),
        ('topic = "loss_report"', 'topic = "premises"', "name the routes"),
        (ROW, ROW + ROW, "loss_report: two rows hold on the same day"),
        ('version = "1"\n', "", "jurisdiction.version: missing"),
        ("[source]", "[sources]", "pack: unknown key sources"),
    ],
)
def test_an_unsound_pack_is_refused_by_row(old: str, new: str, said: str) -> None:
    text = HEAD + ROW + SOURCE
    assert parse_jurisdiction(text).the("loss_report", TODAY).value == 10
    assert old in text
    with pytest.raises(JurisdictionError, match=re.escape(said)):
        parse_jurisdiction(text.replace(old, new))


def test_rows_that_follow_each_other_or_speak_of_other_routes_stand_side_by_side() -> None:
    first = ROW + "effective_to = 2026-09-30\n"
    second = ROW + "effective_from = 2026-10-01\n"
    for rows in (first + second, second + first):
        pack = parse_jurisdiction(HEAD + rows + SOURCE)
        assert len(pack.on("loss_report", TODAY)) == 1


def test_a_pack_says_which_it_is() -> None:
    assert load_jurisdiction("ca-bc").id == "ca-bc"
    assert load_jurisdiction("ca-bc").title["fr"] == "Colombie-Britannique"


def test_premises_ask_for_an_approval_unless_the_community_is_open() -> None:
    pack = load_jurisdiction("ca-bc")
    asked = {route: pack.premises(route, TODAY).needs_approval for route in ("IV", "IM")}
    assert asked == {"IV": True, "IM": False}
    assert not pack.the("schedule", TODAY).needs_approval
