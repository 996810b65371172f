"""A second reading of the clinical reference agrees with the protocol about who may not start."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from kap.moment import Moment
from kap.protocol import Protocol, load, parse_protocol
from kap.verdict import ask
from tests.spec.independent import GROUPS, RANK, Asker, cases, count, differing, expected
from tests.spec.table import KETAMINE, NOW

ONE_IN = 149  # a prime, so that every value of every part comes up; all of them: the module itself
FILE = Path(__file__).parents[2] / "kap" / "protocols" / KETAMINE / f"{load(KETAMINE).version}.toml"
MILLION = 1_000_000


def test_the_whole_product_is_a_million_charts() -> None:
    assert count() >= MILLION


def test_the_second_reading_agrees() -> None:
    assert list(islice(differing(load(KETAMINE), ONE_IN), 5)) == []


def test_what_is_asked_of_single_rules_is_what_the_whole_question_answers() -> None:
    protocol = load(KETAMINE)
    asker = Asker(protocol)
    for case in islice(cases(), 0, None, 9973):
        verdict = ask(protocol, "start", asker.chart(case), Moment.at(NOW))
        for group, rules in GROUPS.items():
            found = [
                str(f.verdict if f.state == "spoke" else "need_more_information")
                for f in verdict.findings
                if f.rule_id in rules
            ]
            assert max(found, key=RANK.index, default="eligible") == expected(case)[group]


def altered(old: str, new: str) -> Protocol:
    """Return the protocol with one text changed."""
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    return parse_protocol(text.replace(old, new))


@pytest.mark.parametrize(
    ("group", "old", "new"),
    [
        ("pressure, absolute", "bp_hard_sbp = { value = 160", "bp_hard_sbp = { value = 161"),
        ("pressure, precaution", "hr_high = { value = 110", "hr_high = { value = 111"),
        ("tier", "si_recent_d = { value = 90", "si_recent_d = { value = 89"),
        ("tier", "si_intent or si_acute or (att", "si_intent or (att"),
        ("interval", "min_interval_h = { value = 48", "min_interval_h = { value = 47"),
        ("dose", "dose_max = { value = 1.0", "dose_max = { value = 1.1"),
        ("dose", "minutes < param.min_minutes or bolus", "minutes < param.min_minutes"),
        ("absolute", "cv_block_d = { value = 42", "cv_block_d = { value = 41"),
        ("absolute", "mania_clear_d = { value = 28", "mania_clear_d = { value = 27"),
        ("absolute", "delirium_diagnosis or intoxicated", "delirium_diagnosis"),
    ],
)
def test_a_loosened_protocol_is_found(group: str, old: str, new: str) -> None:
    """The negative control."""
    found = {row[1] for row in islice(differing(altered(old, new), ONE_IN), 40)}
    assert group in found
