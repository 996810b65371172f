"""Every chart has one answer, unknown never passes a gate, and no override reaches an absolute."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kap.chart import Chart, Condition, Fact, Medication, Reason, ReviewedList
from kap.evidence import Look
from kap.protocol import Protocol
from kap.value import FALSE, TRUE, UNKNOWN
from kap.verdict import Answer, Lift, Verdict, ask, decision, replay
from tests.core.small_protocol import AT, NOW, TEXT, chart, small, told
from tests.core.test_verdict import WELL, well

PROTOCOL = small()
NAMES = ("aneurysm", "cv_event", "si_intent", "psychosis", "left_handed", "chest_pain", "dyspnoea")
codes = st.sampled_from(["I71.3", "I21", "F20", "F23", "I7", "", "Z99"])
statuses = st.sampled_from(["active", "past", "refuted", "family"])
diagnoses = st.builds(lambda c, s: Condition("ICD-10", c, s), codes, statuses)
medicines = st.sampled_from(["N05BA12", "N05AN01", "N05", "", "A01"]).map(Medication)
days = st.integers(0, 40)


def lists(items: st.SearchStrategy[Any]) -> st.SearchStrategy[ReviewedList[Any] | None]:
    made = st.builds(
        lambda held, complete, ago: ReviewedList(NOW - timedelta(days=ago), complete, held),
        st.lists(items, max_size=3).map(tuple),
        st.booleans(),
        days,
    )
    return st.one_of(st.none(), made)


@st.composite
def facts(draw: st.DrawFn) -> tuple[Fact, ...]:
    found = [
        told(name, draw(st.booleans()), draw(days) * 1440) for name in NAMES if draw(st.booleans())
    ]
    found += [told(name, None, reason=Reason.DECLINED) for name in NAMES if draw(st.booleans())]
    for minutes in draw(st.lists(st.integers(0, 60), max_size=3, unique=True)):
        found.append(told("systolic", draw(st.integers(40, 300)), minutes))
    return (*found, *draw(st.sets(st.sampled_from(WELL))))


charts = st.builds(
    lambda held, conditions, medications: chart(
        *held, conditions=conditions, medications=medications
    ),
    facts(),
    lists(diagnoses),
    lists(medicines),
)
stages = st.sampled_from(sorted(PROTOCOL.stages))


def everything_lifted(verdict: Verdict) -> list[Lift]:
    """Return an override of every finding, with all that any level may demand."""
    until = NOW + timedelta(hours=1)
    return [Lift(f.rule_id, until, "dr-1", "dr-2", "because", "letter") for f in verdict.findings]


def leaks(protocol: Protocol, stage: str, patient: Chart) -> bool:
    """Return whether the gate opens although an absolute rule is not known to be false.

    The rules are read a second time with a look of their own, so that a broken reader inside
    `protocol` does not vouch for itself.
    """
    verdict = ask(protocol, stage, patient, AT)
    ticked = frozenset(condition.text for condition in verdict.conditions)
    opens = verdict.may_start(everything_lifted(verdict), AT, ticked)
    ready = PROTOCOL.stage(stage)
    look = Look(patient, AT, PROTOCOL.plan.derivers, ready.limits, ready.now)
    absolutes = [p.speaks(look) for p in ready.rules if p.rule.level == "A"]
    return opens and any(truth != FALSE for truth in absolutes)


@settings(max_examples=300)
@given(charts, stages)
def test_every_chart_has_one_answer_and_every_rule_is_listed(patient: Chart, stage: str) -> None:
    verdict = ask(PROTOCOL, stage, patient, AT)
    listed = [f.rule_id for f in verdict.findings] + list(verdict.quiet)
    assert sorted(listed) == sorted(p.rule.id for p in PROTOCOL.stage(stage).rules)
    ranks = [f.verdict.rank for f in verdict.findings]
    assert verdict.answer.rank == max([Answer.ELIGIBLE.rank, *ranks])


@settings(max_examples=300)
@given(charts, stages)
def test_unknown_never_passes_and_no_override_reaches_an_absolute(
    patient: Chart, stage: str
) -> None:
    assert not leaks(PROTOCOL, stage, patient)


def test_a_reader_that_takes_unknown_for_no_is_caught() -> None:
    broken = small(TEXT)
    for stage in broken.stages.values():
        asked = ((-1, lambda look, r=planned.speaks: _no(r(look))) for planned in stage.rules)
        object.__setattr__(stage, "asked", tuple(asked))
    assert leaks(broken, "screening", well(without="si_intent"))
    assert not leaks(PROTOCOL, "screening", well(without="si_intent"))


def _no(truth: int) -> int:
    return FALSE if truth == UNKNOWN else truth


@settings(max_examples=200)
@given(charts, stages)
def test_a_decision_replays_from_what_was_stored(patient: Chart, stage: str) -> None:
    verdict = ask(PROTOCOL, stage, patient, AT)
    stored = json.loads(json.dumps(decision(verdict, patient)))
    then, today = replay(stored, lambda _id, _version: PROTOCOL)
    assert then == today == verdict


@settings(max_examples=200)
@given(charts, stages)
def test_an_unknown_rule_names_something_to_ask(patient: Chart, stage: str) -> None:
    verdict = ask(PROTOCOL, stage, patient, AT)
    asked = {rule_id for unknown in verdict.unknowns for rule_id in unknown.settles}
    assert asked == {f.rule_id for f in verdict.findings if f.state == "unknown"}


@settings(max_examples=200)
@given(charts, stages)
def test_a_restricted_rule_never_shows_in_what_the_coordinator_reads(
    patient: Chart, stage: str
) -> None:
    seen = ask(PROTOCOL, stage, patient, AT).seen_by("coordinator")
    assert "NOW-SI" not in json.dumps(seen.to_json())
    assert "si_intent" not in json.dumps(seen.to_json())


def test_the_three_truths_are_what_the_plan_counts_with() -> None:
    assert (FALSE, UNKNOWN, TRUE) == (0, 1, 2)
