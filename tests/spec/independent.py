"""A second reading of the clinical reference, in plain Python, that has never seen the TOML.

What stops a ketamine infusion at its start: pressure (section 4), suicide tier (5), interval and
dose cap (7.1) and the absolute contraindications (3). Unknown is None; logic is Kleene's. The
enumeration is the whole product of what is written below; `python -m tests.spec.independent` asks
the protocol about all of it, the test about a part.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import islice, product
from typing import Any

from kap.chart import Chart
from kap.evidence import Look
from kap.moment import Moment
from kap.protocol import Protocol, load
from tests.spec.table import KETAMINE, NOW, person

T = bool | None
RANK = (
    *("eligible", "eligible_with_conditions", "need_more_information", "defer"),
    *("refer_to_specialist", "contraindicated", "refer_now"),
)


def both(*parts: T) -> T:
    return False if False in parts else None if None in parts else True


def any_of(*parts: T) -> T:
    return True if True in parts else None if None in parts else False


def no(part: T) -> T:
    return None if part is None else not part


def worst(*said: tuple[T, str]) -> str:
    """Return the highest answer; at a start what cannot be said is need_more_information."""
    answers = [v if t else "need_more_information" for t, v in said if t is not False]
    return max(answers, key=RANK.index, default="eligible")


# --- the clinical reference, section by section -------------------------------------------------


@dataclass(frozen=True)
class Cuff:
    """Readings before the dose: (systolic, diastolic, minutes ago), oldest first; the symptom."""

    readings: tuple[tuple[int, int, int], ...]
    symptom: T = False
    pulse: int | None = 68


def pressure(cuff: Cuff) -> tuple[str, str]:
    """Section 4: the mean of the last two, 5-15 minutes apart, none older than an hour.

    Returns what nobody overrides, and what a prescriber may.
    """
    fresh = [r for r in cuff.readings if r[2] <= 60]
    latest = fresh[-1] if fresh and cuff.readings[-1] in fresh else None
    two = fresh[-2:]
    graded = len(two) == 2 and 5 <= two[0][2] - two[1][2] <= 15
    grades: list[tuple[T, T, T]] = []  # top row, hard, soft; of one number
    for side, top, hard, soft in ((0, 180, 160, 140), (1, 110, 100, 90)):
        single = None if latest is None else latest[side] >= top
        row: tuple[T, T, T] = (None, None, None)
        if graded:
            mean = Decimal(two[0][side] + two[1][side]) / 2
            row = (mean >= top, hard <= mean < top, soft < mean < hard)
        grades.append((any_of(single, row[0]), row[1], row[2]))
    up = any_of(grades[0][0], grades[1][0])
    low = Decimal(two[0][0] + two[1][0]) / 2 < 90 if graded else None
    pulse = None if cuff.pulse is None else cuff.pulse < 50 or cuff.pulse > 110
    absolute = worst(
        (both(up, cuff.symptom), "refer_now"),
        (up, "refer_to_specialist"),
        (any_of(grades[0][1], grades[1][1]), "defer"),
    )
    soft_stop = any_of(grades[0][2], grades[1][2])
    return absolute, worst((soft_stop, "defer"), (any_of(low, pulse), "defer"))


@dataclass(frozen=True)
class Mind:
    """The suicide questions; `attempt_days` is None where there was one of unknown date."""

    ideation: T = False
    plan: T = False
    intent: T = False
    acute: T = False
    attempt: T = False
    attempt_days: int | None = None


def tier(mind: Mind) -> str:
    """Section 5: tier 3 is an emergency; 2 needs a psychiatrist; 1 has conditions."""
    days = mind.attempt_days
    recent = both(mind.attempt, None if days is None else days <= 90)
    within_year = both(mind.attempt, None if days is None else days <= 365)
    three = any_of(mind.intent, mind.acute, recent)
    two = both(no(mind.intent), no(mind.acute), no(recent), any_of(mind.plan, within_year))
    one = both(
        *(no(mind.intent), no(mind.acute), no(mind.plan)),
        *(any_of(mind.ideation, mind.attempt), no(within_year)),
    )
    return worst(
        (three, "refer_now"), (two, "refer_to_specialist"), (one, "eligible_with_conditions")
    )


@dataclass(frozen=True)
class Before:
    """Whether somebody was dosed before, and how many minutes ago that dose began."""

    dosed: T
    minutes: int | None = None


def interval(before: Before) -> str:
    """Section 7.1: less than 48 hours between two starts is blocked."""
    near = None if before.minutes is None else before.minutes < 48 * 60
    return worst((both(before.dosed, near), "defer"))


@dataclass(frozen=True)
class Ordered:
    """The infusion as ordered: mg/kg, mg/kg/min, minutes, whether a part is a bolus."""

    per_kg: str | None = "0.5"
    rate: str | None = "0.0125"
    minutes: int | None = 40
    bolus: T = False


def dose_cap(order: Ordered) -> str:
    """Section 7.1, block column: above 1.0 mg/kg, 0.025 mg/kg/min, under 40 min, or a bolus."""
    return worst(
        (
            any_of(
                None if order.per_kg is None else Decimal(order.per_kg) > 1,
                None if order.rate is None else Decimal(order.rate) > Decimal("0.025"),
                None if order.minutes is None else order.minutes < 40,
                order.bolus,
            ),
            "defer",
        )
    )


# Section 3 (and 7.1, day-of): one change to a person about whom nothing stands in the way, and what
# an absolute rule makes of it. "-": the answer is taken away. Numbers of days are days ago.
ABSOLUTES: tuple[tuple[Mapping[str, Any], str], ...] = (
    ({}, "eligible"),
    ({"aneurysm": True, "aneurysm_excluded": False}, "contraindicated"),
    ({"aneurysm": True, "aneurysm_excluded": True}, "eligible"),
    ({"aneurysm": True}, "need_more_information"),
    ({"arteriovenous_malformation": True}, "contraindicated"),
    ({"intracranial_bleed": True}, "contraindicated"),
    ({"ketamine_allergy": True}, "contraindicated"),
    ({"cv_event": True, "cv_event_date": 41}, "contraindicated"),
    ({"cv_event": True, "cv_event_date": 42}, "eligible"),
    ({"cv_event": True}, "need_more_information"),
    ({"unstable_angina_now": True}, "contraindicated"),
    ({"heart_failure_severe_now": True}, "contraindicated"),
    ({"valve_disease_severe_now": True}, "contraindicated"),
    ({"valve_disease_severe_now": "-"}, "need_more_information"),
    ({"arrhythmia_uncontrolled_now": True}, "contraindicated"),
    ({"raised_icp": True}, "contraindicated"),
    ({"space_occupying_lesion": True}, "contraindicated"),
    ({"head_injury_recent": "-"}, "need_more_information"),
    ({"liver_disease": True, "child_pugh": 10}, "contraindicated"),
    ({"liver_disease": True, "child_pugh": 9}, "eligible"),
    ({"liver_disease": True}, "need_more_information"),
    ({"alt_uln": "5.1"}, "contraindicated"),
    ({"ast_uln": "5"}, "eligible"),
    ({"alt_uln": "-"}, "need_more_information"),
    ({"pregnant": True}, "contraindicated"),
    ({"childbearing_potential": True, "pregnancy_test_positive": True}, "contraindicated"),
    ({"childbearing_potential": True, "pregnancy_test_positive": False}, "eligible"),
    ({"childbearing_potential": True}, "need_more_information"),
    ({"psychosis_now": True}, "contraindicated"),
    ({"psychosis_now": "-"}, "need_more_information"),
    ({"psychosis_primary_ever": True}, "contraindicated"),
    ({"psychosis_substance_ever": True, "psychosis_substance_end": 364}, "contraindicated"),
    ({"psychosis_substance_ever": True, "psychosis_substance_end": 365}, "eligible"),
    ({"mania_now": True}, "contraindicated"),
    ({"mania_ever": True, "mania_end": 27}, "contraindicated"),
    ({"mania_ever": True, "mania_end": 28}, "eligible"),
    ({"ymrs": 12}, "contraindicated"),
    ({"ymrs": 11}, "eligible"),
    ({"asrm": 6}, "contraindicated"),
    ({"dementia": True}, "contraindicated"),
    ({"delirium": True}, "contraindicated"),
    ({"intoxicated": True}, "contraindicated"),
    ({"capacity": False}, "contraindicated"),
    ({"capacity": "-"}, "need_more_information"),
    ({"ketamine_use_disorder": True}, "contraindicated"),
    ({"birth_date": "2008-11-25"}, "refer_to_specialist"),
    ({"birth_date": "2008-11-24"}, "eligible"),
    ({"acs_or_stroke_now": True}, "refer_now"),
    ({"acs_or_stroke_now": "-"}, "need_more_information"),
    ({"consent_active": False}, "defer"),
    ({"consent_today": "-"}, "need_more_information"),
    ({"escort_named": False}, "defer"),
    ({"identity_checked": False}, "defer"),
    ({"vial_mg_per_ml": "20"}, "defer"),
    ({"weight": "34.9"}, "defer"),
    ({"weight": "-"}, "need_more_information"),
)

ABSOLUTE_RULES = frozenset(
    {
        *(
            "CI-ANEUR",
            "CI-AVM",
            "CI-ICH",
            "CI-HYPERS",
            "CI-MI",
            "CI-UA",
            "CI-ICP",
        ),
        *(
            "CI-HEP-S",
            "CI-PREG",
            "CI-PSY-A",
            "CI-PSY-H",
            "CI-MANIA",
            "CI-DEM",
            "CI-DEL",
        ),
        *(
            "CI-KUD",
            "A-AGE",
            "NOW-ACS",
            "DAY-CONSENT",
            "DAY-ESCORT",
            "DAY-ID",
            "CONC",
        ),
        *("WEIGHT",),
    }
)
GROUPS: Mapping[str, frozenset[str]] = {
    "pressure, absolute": frozenset({"NOW-BP", "BP-URG", "CI-HTN-UNC"}),
    "pressure, precaution": frozenset({"BP-SOFT", "BP-LOW"}),
    "tier": frozenset({"NOW-SI", "SI-1", "SI-2"}),
    "interval": frozenset({"INT-48"}),
    "dose": frozenset({"DOSE-MAX"}),
    "absolute": ABSOLUTE_RULES,
}


def _pair(systolic: tuple[int, int], diastolic: tuple[int, int] = (80, 80)) -> Cuff:
    return Cuff(((systolic[0], diastolic[0], 8), (systolic[1], diastolic[1], 0)))


CUFFS = (
    *(_pair((low, high)) for low, high in ((120, 122), (140, 140), (140, 141), (159, 160))),
    *(_pair((low, high)) for low, high in ((160, 160), (179, 180), (182, 170), (180, 179))),
    *(_pair((120, 120), pair) for pair in ((90, 91), (99, 100), (100, 100), (109, 110))),
    *(_pair((low, high)) for low, high in ((90, 90), (90, 89))),
    *(replace(_pair((120, 122)), pulse=pulse) for pulse in (49, 50, 110, 111, None)),
    *(replace(_pair((184, 184)), symptom=symptom) for symptom in (True, None)),
    Cuff(()),
    *(Cuff(((systolic, 84, 0),)) for systolic in (138, 184)),
    *(Cuff(((138, 84, gap), (138, 84, 0))) for gap in (4, 5, 15, 16)),
    *(Cuff(((138, 84, last + 8), (138, 84, last))) for last in (52, 60, 61)),
    Cuff(((138, 84, 8), (138, 84, 0)), symptom=None),
)
MINDS = (
    Mind(),
    Mind(ideation=True),
    Mind(ideation=None),
    Mind(ideation=True, plan=True),
    Mind(plan=None),
    Mind(intent=True),
    Mind(intent=None),
    Mind(acute=True),
    Mind(ideation=None, plan=None, intent=None, acute=True, attempt=None),
    *(Mind(attempt=True, attempt_days=days) for days in (90, 91, 365, 366)),
    Mind(attempt=True),
)
BEFORES = (
    Before(False),
    *(Before(True, minutes) for minutes in (47 * 60 + 59, 48 * 60)),
    Before(True),
    Before(None),
)
ORDERS = (
    Ordered(),
    Ordered("1", "0.025"),
    Ordered("1.0001", "0.025", 41),
    Ordered("1", "0.0251"),
    Ordered(minutes=39),
    Ordered(bolus=True),
    Ordered(bolus=None),
    Ordered(per_kg=None),
)

Case = tuple[Cuff, Mind, Before, Ordered, tuple[Mapping[str, Any], str]]


def cases() -> Iterator[Case]:
    """Return every combination, the same in every run."""
    return product(CUFFS, MINDS, BEFORES, ORDERS, ABSOLUTES)


def count() -> int:
    """Return how many combinations there are."""
    return len(CUFFS) * len(MINDS) * len(BEFORES) * len(ORDERS) * len(ABSOLUTES)


def expected(case: Case) -> dict[str, str]:
    """Return the answer of each group, from the clinical reference alone."""
    cuff, mind, before, order, (_, said) = case
    absolute, precaution = pressure(cuff)
    return {
        "pressure, absolute": absolute,
        "pressure, precaution": precaution,
        "tier": tier(mind),
        "interval": interval(before),
        "dose": dose_cap(order),
        "absolute": said,
    }


# --- the same person, asked of the protocol -----------------------------------------------------


def told(case: Case) -> dict[str, Any]:
    """Return what the case tells, by fact: "-" takes an answer away; pressures as they are."""
    cuff, mind, before, order, (changed, _) = case
    days = mind.attempt_days
    ago = {"cv_event_date", "psychosis_substance_end", "mania_end"}
    return {
        "chest_pain": cuff.symptom,
        "heart_rate": cuff.pulse,
        "si_ideation": mind.ideation,
        "si_plan": mind.plan,
        "si_intent": mind.intent,
        "si_acute": mind.acute,
        "attempt_ever": mind.attempt,
        "attempt_date": None if days is None else _day(days),
        "dosed_before": before.dosed,
        "last_start": None
        if before.minutes is None
        else (NOW - timedelta(minutes=before.minutes)).isoformat(),
        "mg_per_kg": order.per_kg,
        "mg_per_kg_min": order.rate,
        "minutes": order.minutes,
        "bolus": order.bolus,
        **{k: _day(v) if k in ago else None if v == "-" else v for k, v in changed.items()},
    }


def _day(days: int) -> str:
    return (NOW.date() - timedelta(days=days)).isoformat()


class Asker:
    """Asks the protocol's own rules of stage `start`, without writing the explanation."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol, self.stage = protocol, protocol.stage("start")
        self.at = Moment.at(NOW)
        self.clean = Chart.from_json({"facts": {}, **person("start")})
        self.rules = {
            group: [
                (planned.speaks, ranks)
                for planned, ranks in zip(self.stage.rules, self.stage.ranks, strict=True)
                if planned.rule.id in ids
            ]
            for group, ids in GROUPS.items()
        }
        self.known: dict[tuple[str, str], Any] = {}

    def chart(self, case: Case) -> Chart:
        """Return the clean person with what the case tells instead."""
        facts = dict(self.clean.facts)
        for name, value in told(case).items():
            facts.pop(name, None)
            if value is not None:
                facts[name] = self._readings(name, ((value, 0),))
        for place, name in enumerate(("systolic", "diastolic")):
            facts.pop(name, None)
            if case[0].readings:
                facts[name] = self._readings(
                    name, tuple((r[place], r[2]) for r in case[0].readings)
                )
        return replace(self.clean, facts=facts)

    def _readings(self, name: str, values: tuple[tuple[Any, int], ...]) -> Any:
        key = (name, repr(values))
        if key not in self.known:
            kind = self.protocol.facts[name]
            unit = {"unit": kind.unit} if kind.type == "number" else {}
            rows = [
                {"value": value, "observed_at": _at(ago), "source": "staff", **unit}
                for value, ago in values
            ]
            self.known[key] = Chart.from_json({"facts": {name: rows}}).facts[name]
        return self.known[key]

    def answers(self, case: Case) -> dict[str, str]:
        """Return the answer of each group's rules."""
        stage, derivers = self.stage, self.protocol.plan.derivers
        look = Look(self.chart(case), self.at, derivers, stage.limits, stage.now)
        return {
            group: RANK[max((ranks[speaks(look)] for speaks, ranks in rules), default=1) - 1]
            for group, rules in self.rules.items()
        }


def _at(minutes_ago: int) -> str:
    return (NOW - timedelta(minutes=minutes_ago)).isoformat()


def differing(protocol: Protocol, step: int = 1) -> Iterator[tuple[Case, str, str, str]]:
    """Yield (case, group, expected, found) for every `step`-th combination that is not agreed."""
    asker = Asker(protocol)
    for case in islice(cases(), 0, None, step):
        wanted, found = expected(case), asker.answers(case)
        if wanted != found:
            for group in GROUPS:
                if wanted[group] != found[group]:
                    yield case, group, wanted[group], found[group]


if __name__ == "__main__":
    wrong = list(islice(differing(load(KETAMINE)), 10))
    sys.stdout.write(f"{count():,} charts asked; {len(wrong)} differ\n")
    sys.stdout.writelines(f"{row}\n" for row in wrong)
    raise SystemExit(bool(wrong))
