"""A small vocabulary and protocol that uses every part of the schema once, for the core's tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from kap.chart import Chart, Fact, Moment
from kap.facts import read_vocabulary
from kap.protocol import Protocol, parse_protocol

TORONTO = timezone(timedelta(hours=-5))
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=TORONTO)
AT = Moment.at(NOW)


def _entry(name: str, kind: str, extra: str = "") -> str:
    return f'[fact.{name}]\ntype = "{kind}"\nask = {{ en = "{name}?", fr = "{name} ?" }}\n{extra}\n'


def _number(name: str, unit: str, step: str, low: int, high: int, direction: str = "up") -> str:
    rest = f'unit = "{unit}"\nstep = {step}\nlow = {low}\nhigh = {high}\ndirection = "{direction}"'
    return _entry(name, "number", rest)


UP, DOWN = 'direction = "up"', 'direction = "down"'
FACTS_TEXT = "".join(
    [
        *(_entry(n, "bool", UP) for n in ("aneurysm", "cv_event", "psychosis", "chest_pain")),
        *(_entry(n, "bool", UP) for n in ("dyspnoea", "dosed_before", "si_intent", "hypertension")),
        *(_entry(n, "bool", UP) for n in ("ketamine_allergy", "family_psychosis")),
        _entry("steady", "bool", DOWN),
        _entry("left_handed", "bool"),
        _number("systolic", "mm[Hg]", "1", 40, 300),
        _number("systolic_session", "mm[Hg]", "1", 40, 300),
        _number("weight", "kg", "0.1", 35, 200, "two-sided"),
        _number("phq9", "1", "1", 0, 27),
        _number("dose", "mg", "0.01", 0, 500),
        _number("diazepam_mg_day", "mg/d", "0.1", 0, 500),
        _number("phq9_change", "%", "1", -100, 5000),
        _number("age", "a", "1", 0, 130, "none"),
        _entry("birth_date", "date"),
        _entry("cv_event_date", "date", UP),
        _entry("course_start", "date"),
        _entry("last_start", "instant"),
        _entry("planned_start", "instant"),
        _entry("last_stop", "instant"),
        _entry("indication", "code"),
        *(_entry(n, "list") for n in ("conditions", "medications", "allergies")),
        _entry("antidepressant_trials", "list"),
    ]
)
FACTS = read_vocabulary(FACTS_TEXT)

PARAMS = """
[param]
cv_block_d = { value = 42, unit = "d", source = "S:10", mark = "S" }
bp_n = { value = 2, unit = "1", source = "clinic policy", mark = "D" }
gap_min = { value = 5, unit = "min", source = "clinic policy", mark = "D" }
gap_max = { value = 15, unit = "min", source = "clinic policy", mark = "D" }
pair_min = { value = 5, unit = "d", source = "clinic policy", mark = "D" }
pair_max = { value = 15, unit = "d", source = "clinic policy", mark = "D" }
hard_sbp = { value = 160, unit = "mm[Hg]", source = "clinic policy", mark = "D" }
soft_sbp = { value = 140, unit = "mm[Hg]", source = "S:1", mark = "S" }
interval_h = { value = 48, unit = "h", source = "clinic policy", mark = "D" }
wait_min = { value = 60, unit = "min", source = "clinic policy", mark = "D" }
adult = { value = 18, unit = "a", source = "S:2", mark = "S" }
year = { value = 12, unit = "mo", source = "clinic policy", mark = "D" }
ceiling = { value = 2, unit = "1", source = "clinic policy", mark = "D" }
trials = { value = 2, unit = "1", source = "S:23", mark = "S" }
trial_weeks = { value = 6, unit = "wk", source = "ATHF-SF", mark = "D" }
dzp = { value = 8, unit = "mg/d", source = "S:30", mark = "S" }
jump = { value = 5, unit = "%", source = "clinic policy", mark = "D" }
factor = { value = 1.2, unit = "1", source = "clinic policy", mark = "D" }
worse = { value = 20, unit = "%", source = "clinic policy", mark = "D" }
listed = { value = ["TRD", "PTSD"], unit = "1", source = "S:3", mark = "S" }
bp_valid = { value = 30, unit = "d", source = "clinic policy", mark = "D" }
bp_valid_start = { value = 60, unit = "min", source = "clinic policy", mark = "D" }
list_valid = { value = 30, unit = "d", source = "clinic policy", mark = "D" }
mind_valid = { value = 7, unit = "d", source = "clinic policy", mark = "D" }
"""

STAGES = """
[stage.screening]
[stage.order]
includes = ["screening"]
[stage.start]
includes = ["screening", "order"]
now = ["planned_start"]
[stage.discharge]
[labels.start]
eligible = "may start"
[validity.default]
bp_valid = ["systolic", "systolic_session", "weight"]
list_valid = ["conditions", "medications", "allergies", "antidepressant_trials"]
mind_valid = ["psychosis", "si_intent", "phq9"]
always = [
  "aneurysm", "cv_event", "cv_event_date", "birth_date", "chest_pain", "dyspnoea", "dosed_before",
  "hypertension", "ketamine_allergy", "family_psychosis", "left_handed", "dose", "course_start",
  "last_start", "planned_start", "last_stop", "indication", "diazepam_mg_day", "phq9_change", "age",
]
same-day = ["steady"]
[validity.start]
bp_valid_start = ["systolic"]
same-day = ["psychosis"]
[jump]
weight = "jump"
"""

DERIVED = """
[derived]
systolic_mean = { mean_of_last = "systolic", n = "bp_n", gap = ["gap_min", "gap_max"] }
systolic_latest = { latest = ["systolic", "systolic_session"] }
systolic_previous = { previous = "systolic" }
symptom = { at_least = 1, of = ["chest_pain", "dyspnoea"] }
days_since_cv_event = { days_since = "cv_event_date", guard = "cv_event" }
hours_to_planned = { hours_since = "last_start", to = "planned_start", guard = "dosed_before" }
minutes_since_stop = { hours_since = "last_stop", unit = "min" }
age = { age = "birth_date" }
doses_12_months = { count_in = "dose", window = "year", guard = "dosed_before" }
doses = { count_in = "dose" }
takes_bzd = { class_of = "medications", class = "benzodiazepine" }
phq9_pair = { lesser_of_pair = "phq9", gap = ["pair_min", "pair_max"] }
phq9_best = { lowest_since = "phq9", since = "course_start" }
phq9_latest = { latest = "phq9" }
phq9_change = { change_from = "phq9_best", of = "phq9_latest", percent = true }
phq9_rise = { change_from = "phq9_best", of = "phq9_latest" }
weight_on_file = { on_file = "weight" }
bp_on_file = { on_file = ["systolic", "systolic_session"] }
dementia = { any_code = "conditions", assert = ["F00", "F03"], counts = "ever" }
[derived.two_trials]
trials_adequate = "antidepressant_trials"
n = "trials"
weeks = "trial_weeks"
class = "antidepressant"
[derived.takes_bzd_daily]
class_of = "medications"
class = "benzodiazepine"
daily = true
[derived.diazepam_mg_day]
sum_equivalent = "medications"
table = "diazepam"
class = "benzodiazepine"
"""

CODES = """
[codes.aneurysm]
icd10 = { assert = ["I71", "I67.1"] }
[codes.cv_event]
icd10 = { assert = ["I21", "I63"] }
onset = "cv_event_date"
[codes.psychosis]
icd10 = { assert = ["F20"], ask = ["F23"] }
counts = "now"
[codes.family_psychosis]
icd10 = { assert = ["F20"] }
counts = "family"
[codes.hypertension]
icd10 = { assert = ["I10"], ask = ["I11"] }
atc = { ask = ["C07"] }
[codes.ketamine_allergy]
allergies = { assert = ["N01AX03"] }
[codes.steady]
icd10 = { assert = ["Z00"] }
[class_facts.benzodiazepine]
atc = ["N05BA", "N03AE01"]
except = ["N05BA99"]
[class_facts.antidepressant]
atc = ["N06A"]
[equivalents.diazepam]
reference = 10
unit = "mg/d"
source = "Ashton 2002"
mark = "M"
atc = { N05BA12 = 0.5, N05BA06 = 3 }
[minimum_dose]
source = "ATHF-SF"
mark = "M"
atc = { N06AB06 = 50, N06AB04 = 20 }
"""

_ROW = """stages = ["screening"]
level = "{level}"
verdict = "{verdict}"
why = "{tag} taken"
source = "S:31"
mark = "S"
severity = "{severity}"
title = "{tag}"
conditions = [{{ text = "{tag}: see to it", owner = "prescriber", due = "order" }}]
"""


def medication(tag: str, prefixes: str, level: str = "P", severity: str = "major") -> str:
    """Return an interaction row."""
    verdict = "eligible" if level == "N" else "eligible_with_conditions"
    body = _ROW.format(tag=tag, level=level, verdict=verdict, severity=severity)
    return f"[medication.{tag}]\natc = {prefixes}\n{body}"


MEDICATIONS = (
    medication("BZD", '["N05BA"]')
    + medication("AP", '["N05A"]', "N", "info")
    + medication("LI", '["N05AN01"]', "N", "info")
)


def rule(
    key: str, level: str, body: str, verdict: str, *rest: str, stage: str = "screening"
) -> str:
    """Return a rule; `body` is its when, require or needs line."""
    lines = (f"[rule.{key}]", f'stages = ["{stage}"]', f'level = "{level}"', body)
    said = (f'verdict = "{verdict}"', f'why = "{key}"', 'source = "S:1"', 'mark = "S"')
    return "\n".join((*lines, *said, *rest)) + "\n"


AGAIN = 'reask = "tomorrow"'
TO_DO = 'conditions = [{ text = "rest first", owner = "nurse", due = "start" }]'


def example(given: str, expect: str) -> str:
    """Return an examples line with one patient."""
    return f'examples = [{{ given = {{ {given} }}, expect = "{expect}" }}]'


RULES = "".join(
    [
        rule("CI-ANEUR", "A", 'when = "aneurysm"', "contraindicated",
             example("aneurysm = true", "contraindicated")),
        rule("CI-MI", "A", 'when = "cv_event and days_since_cv_event < param.cv_block_d"',
             "contraindicated", example("cv_event = true, days_since_cv_event = 41", "speaks")),
        rule("NOW-SI", "A", 'when = "si_intent"', "refer_now", 'audience = ["prescriber", "nurse"]',
             'tasks = [{ text = "call", owner = "prescriber", due = "screening" }]',
             example("si_intent = true", "refer_now")),
        rule("R-PSY", "R", 'when = "psychosis"', "refer_to_specialist", 'specialty = "psychiatry"',
             example("psychosis = true", "refer_to_specialist")),
        rule("R-HAND", "R", 'when = "left_handed"', "defer", AGAIN,
             example("left_handed = true", "defer")),
        rule("BP-SOFT", "P", 'when = "systolic_mean > param.soft_sbp"', "eligible_with_conditions",
             TO_DO, example("systolic_mean = 140.5", "speaks")),
        rule("IND", "R", 'require = "indication in param.listed"', "defer", AGAIN,
             example('indication = "OCD"', "defer")),
        rule("I-AGE", "I", 'needs = ["age"]\nonly_if = "symptom"', "need_more_information",
             example("symptom = true", "unknown")),
        rule("DUE-LATER", "P", 'when = "symptom"', "eligible_with_conditions",
             'conditions = [{ text = "call at 24 h", owner = "nurse", due = "after" }]',
             example("symptom = true", "speaks")),
        rule("INT-48", "A", 'when = "dosed_before and hours_to_planned < param.interval_h"',
             "defer", AGAIN, example("dosed_before = true, hours_to_planned = 47", "speaks"),
             stage="order"),
        rule("GO-TIME", "P", 'require = "minutes_since_stop >= param.wait_min"', "defer", AGAIN,
             example("minutes_since_stop = 59", "defer"), stage="discharge"),
    ]
)  # fmt: skip

HEADER = '[protocol]\nid = "small"\nversion = "1.0"\ndrug = "ketamine"\ntitle = "Small"\n'
TEXT = HEADER + PARAMS + STAGES + DERIVED + CODES + MEDICATIONS + RULES


def small(text: str = TEXT) -> Protocol:
    """Return the small protocol, or the one that `text` writes over the same vocabulary."""
    return parse_protocol(text, FACTS, {})


def told(name: str, value: Any, minutes_ago: float = 0, **more: Any) -> Fact:
    """Return a reading of a fact of the small vocabulary, some minutes before NOW."""
    kind = FACTS[name]
    exact = Decimal(str(value)) if kind.type == "number" and value is not None else value
    unit = kind.unit if exact is not None else ""
    seen = more.pop("observed_at", NOW - timedelta(minutes=minutes_ago))
    return Fact(name, exact, unit, observed_at=seen, **more)


def chart(*facts: Fact, **lists: Any) -> Chart:
    """Return a chart of these facts and lists."""
    return Chart(**lists).with_facts(*facts)
