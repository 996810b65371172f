"""Bands do not overlap and leave no gap: each broken protocol is found, with its patient."""

from dataclasses import replace
from functools import cache
from importlib import resources

import pytest

from kap.proof_bands import bands, overlaps, overlaps_of, scales, scales_of
from kap.protocol import available, load, parse_protocol
from kap.prover import Prover
from tests.core.small_protocol import TEXT, rule, small


@cache
def shipped_text():
    path = resources.files("kap").joinpath("protocols/iv-ketamine/2026.2.toml")
    return path.read_text("utf-8")


def found_of(protocol):
    return list(bands(Prover(protocol)))


def broken(old, new):
    assert shipped_text().count(old) == 1
    return found_of(parse_protocol(shipped_text().replace(old, new)))


OVERLAPS = [
    # the hard stop reaches into the top row: 180 is in both
    ("and systolic_mean < param.bp_crisis_sbp)", "and systolic_mean <= param.bp_crisis_sbp)",
     "systolic_mean", ("CI-HTN-UNC", "BP-URG"), {"systolic_mean": "180 mm[Hg]"}),
    ("and diastolic_mean < param.bp_hard_dbp)", "and diastolic_mean <= param.bp_hard_dbp)",
     "diastolic_mean", ("CI-HTN-UNC", "BP-SOFT"), {"diastolic_mean": "100 mm[Hg]"}),
    ('when = "cv_event and days_since_cv_event >= param.cv_block_d',
     'when = "cv_event and days_since_cv_event >= param.substance_clear_d',
     "days_since_cv_event", ("CI-MI-R", "CI-MI"), {"cv_event": "true"}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "fact", "rules", "patient"), OVERLAPS)
def test_two_rules_in_one_band_of_a_number_are_found(old, new, fact, rules, patient):
    told = f"{' and '.join(rules)} both speak in one band of {fact}"
    (found,) = [f for f in broken(old, new) if f.about == told]
    assert patient.items() <= found.facts.items()


GAPS = [
    ("(systolic_mean >= param.bp_hard_sbp and", "(systolic_mean > param.bp_hard_sbp and",
     "blood pressure before the dose: a gap: none speaks", {"systolic_mean": "160 mm[Hg]"}),
    ("not (attempt_ever and days_since_attempt <= param.si_past_d)\"\"\"", "not attempt_ever\"\"\"",
     "suicide-risk tiers: a gap: none speaks", {"attempt_ever": "true"}),
    ('when = "dosed_before and hours_start_to_planned < param.min_interval_h"',
     'when = """dosed_before and hours_start_to_planned > param.fast_clear_h\n'
     'and hours_start_to_planned < param.min_interval_h"""',
     "interval between two starts: a gap: none speaks", {"dosed_before": "true"}),
    ("phq9_change <= param.stop_change and", "phq9_change < param.stop_change and",
     "response at the end of the series: a gap: none speaks", {}),
    ('when = "aneurysm and aneurysm_excluded"', 'when = "aneurysm_excluded"',
     "aneurysm: one speaks beyond it", {"aneurysm": "false"}),
    ("not si_intent and not si_acute and not si_plan", "not si_intent and not si_acute",
     "suicide-risk tiers: SI-1 and SI-2 both speak", {"si_plan": "true", "si_ideation": "true"}),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "about", "patient"), GAPS)
def test_a_scale_that_says_nothing_too_much_or_two_things_is_found(old, new, about, patient):
    (found,) = [f for f in broken(old, new) if f.about == about]
    assert patient.items() <= found.facts.items()


def test_a_scale_that_lost_a_rule_is_found():
    text = shipped_text().replace("[rule.BP-SOFT]", "[rule.BP-GENTLE]")
    (found,) = found_of(parse_protocol(text))
    assert found.about == "blood pressure before the dose: no rule BP-SOFT"


def test_an_overlap_that_nothing_needs_is_found(monkeypatch):
    row = replace(overlaps()[0], fact="qtc", rules=("R-QT", "I-ECG"))
    monkeypatch.setattr("kap.proof_bands.overlaps", lambda: (*overlaps.__wrapped__(), row))
    (found,) = found_of(load("iv-ketamine"))
    assert found.about == "qtc: an overlap of I-ECG and R-QT that nothing needs"


def test_what_is_not_allowed_to_overlap_is_found(monkeypatch):
    monkeypatch.setattr("kap.proof_bands.overlaps", lambda: ())
    (found,) = found_of(load("iv-ketamine"))
    assert found.about == "P-HEP-M and P-ALT both speak in one band of alt_uln"


def test_a_rule_that_speaks_whatever_the_number_is_stands_beside_a_band():
    band = rule("P-BAND", "A", 'when = "phq9_latest >= 5 and phq9_latest <= 9"', "defer",
                'reask = "tomorrow"')  # fmt: skip
    beside = rule("P-BESIDE", "A", 'when = "aneurysm or phq9_latest > 9"', "defer",
                  'reask = "tomorrow"')  # fmt: skip
    inside = beside.replace("phq9_latest > 9", "phq9_latest > 8")
    assert found_of(small(TEXT + band + beside)) == []
    (found,) = found_of(small(TEXT + band + inside))
    assert found.about == "P-BAND and P-BESIDE both speak in one band of phq9_latest"
    assert found.facts["phq9_latest"] == "9"


def test_each_scale_and_each_overlap_is_of_a_shipped_version_and_names_its_reason():
    shipped = [load(*name) for name in available()]
    assert {s.name for p in shipped for s in scales_of(p)} == {s.name for s in scales()}
    assert {o for p in shipped for o in overlaps_of(p)} == set(overlaps())
    assert all(scale.source for scale in scales())
    assert all(overlap.why for overlap in overlaps())
