"""A protocol file is read strictly, refused when unsound, and known by its digest."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal

import pytest

from kap.chart import Chart
from kap.examples import check
from kap.facts import read_vocabulary
from kap.protocol import (
    ProtocolError,
    available,
    canonical,
    check_sum,
    load,
    named,
    parse_protocol,
)
from kap.verdict import Answer, ask
from tests.core.small_protocol import (
    AGAIN,
    AT,
    FACTS,
    FACTS_TEXT,
    TEXT,
    example,
    medication,
    rule,
    small,
)

PROTOCOL = small()


def test_the_small_protocol_passes_its_own_examples() -> None:
    assert check(PROTOCOL) == []


def test_every_shipped_protocol_loads_and_passes_its_own_examples() -> None:
    assert available()
    for protocol_id, version in available():
        assert check(load(protocol_id, version)) == []
    assert load("iv-ketamine") is not None


def test_a_protocol_that_is_not_shipped_is_refused() -> None:
    with pytest.raises(
        ProtocolError, match=r"no protocol iv-ketamine@0\.1; shipped: .*iv-ketamine@"
    ):
        load("iv-ketamine", "0.1")
    with pytest.raises(ProtocolError, match="no protocol tea@newest"):
        load("tea")


def test_a_released_file_that_was_altered_is_refused() -> None:
    right = hashlib.sha256(b"released").hexdigest()
    check_sum("a/1.toml", b"released", f"{right}  a/1.toml\n\n")
    check_sum("a/2.toml", b"not listed", f"{right}  a/1.toml\n")
    with pytest.raises(ProtocolError, match="not the released file"):
        check_sum("a/1.toml", b"altered", f"{right}  a/1.toml\n")


def test_a_file_is_what_its_path_says() -> None:
    assert named("small/1.0.toml", PROTOCOL) is PROTOCOL
    with pytest.raises(ProtocolError, match=r"small/2\.0\.toml says it is small@1\.0"):
        named("small/2.0.toml", PROTOCOL)


def test_what_a_protocol_holds_can_be_read() -> None:
    assert PROTOCOL.rule("CI-ANEUR").text == "when aneurysm"
    assert PROTOCOL.rule("I-AGE").text == "needs age only if symptom"
    assert PROTOCOL.labels("start", Answer.ELIGIBLE) == "may start"
    assert PROTOCOL.labels("start", Answer.REFER_NOW) == "refer now"
    assert PROTOCOL.parameters["listed"].value == ("TRD", "PTSD")
    with pytest.raises(ProtocolError, match="no rule 'X'"):
        PROTOCOL.rule("X")


# --- digest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value = 42", "value = 43"),
        ("bp_valid = { value = 30", "bp_valid = { value = 31"),
        ('["I71", "I67.1"]', '["I71"]'),
        ('atc = ["N05BA"]', 'atc = ["N05B"]'),
        ("N06AB06 = 50", "N06AB06 = 51"),
        ("may start", "may begin"),
    ],
)
def test_the_digest_covers_everything_that_decides(old: str, new: str) -> None:
    assert old in TEXT
    assert small(TEXT.replace(old, new)).digest != PROTOCOL.digest


def test_comments_and_order_of_digits_do_not_change_the_digest() -> None:
    assert small("# reviewed\n" + TEXT.replace("value = 1.2,", "value = 1.20,")).digest == (
        PROTOCOL.digest
    )


def test_the_digest_covers_the_vocabulary_that_is_read_but_not_its_questions() -> None:
    def digest(text: str) -> str:
        return parse_protocol(TEXT, read_vocabulary(text), {}).digest

    assert digest(FACTS_TEXT.replace("high = 300", "high = 299")) != PROTOCOL.digest
    assert digest(FACTS_TEXT.replace('en = "aneurysm?"', 'en = "Aneurysm?"')) == PROTOCOL.digest


def test_the_digest_covers_the_files_it_lists() -> None:
    text = TEXT.replace('title = "Small"', 'title = "Small"\nfiles = ["limits.toml"]')
    one = parse_protocol(text, FACTS, {"limits.toml": b"1"}).digest
    assert one != parse_protocol(text, FACTS, {"limits.toml": b"2"}).digest
    with pytest.raises(ProtocolError, match=r"limits\.toml"):
        parse_protocol(text, FACTS)
    shipped = text.replace("limits.toml", "facts.toml")
    assert parse_protocol(shipped, FACTS).digest != one


def test_what_has_no_canonical_form_is_refused() -> None:
    assert canonical({"b": Decimal("1.20"), "a": date(2026, 1, 1)}) == (
        b'{"a":"2026-01-01","b":"1.2"}'
    )
    with pytest.raises(ProtocolError, match="canonical"):
        canonical({1.5j})


def test_a_parameter_out_of_its_dates_is_not_asked_with() -> None:
    dated = 'value = 42, effective_from = 2026-12-01, unit = "d"'
    late = small(TEXT.replace('value = 42, unit = "d"', dated))
    with pytest.raises(ProtocolError, match="cv_block_d is not in effect on 2026-11-24"):
        ask(late, "screening", Chart(), AT)
    over = dated.replace("effective_from", "effective_to").replace("2026-12-01", "2026-11-24")
    ended = small(TEXT.replace('value = 42, unit = "d"', over))
    assert ask(ended, "screening", Chart(), AT).answer is Answer.NEED_MORE_INFORMATION


# --- refusing -----------------------------------------------------------------------------------


def swapped(old: str, new: str) -> str:
    assert old in TEXT, old
    return TEXT.replace(old, new, 1)


UNSOUND = [
    ("not = = toml", "not readable as TOML"),
    (TEXT + "[colour]\n", "unknown key colour"),
    (swapped('drug = "ketamine"', 'drug = " "'), "protocol.drug: ' '; write a text"),
    (swapped('version = "1.0"', 'version = "one"'), "numbers and dots"),
    ("[selfcheck]\nfacts = []\n", "protocol: None; write a table"),
    (swapped("value = 42,", "value = true,"), "param.cv_block_d.value: True; write a number"),
    (swapped("value = 42,", "value = inf,"), "write a number"),
    (swapped("value = 42,", "value = 42, unverified = 1,"), "unverified: 1; write true or false"),
    (swapped("value = 42,", 'value = 42, effective_to = "x",'), "write a date"),
    (swapped('source = "S:10"', 'source = ""'), "param.cv_block_d.source: ''; write a text"),
    (swapped('mark = "S" }', 'mark = "X" }'), "mark: 'X'; write one of S, M, D"),
    (swapped("cv_block_d = {", "Cv_block_d = {"), "param.Cv_block_d: names are lower case"),
    (swapped("[stage.order]", "[stage.breakfast]"), "stage: 'breakfast'"),
    (swapped('includes = ["screening", "order"]', 'includes = ["booster"]'), "includes: 'booster'"),
    (swapped("[stage.screening]", '[stage.screening]\nincludes = ["order"]'), "includes itself"),
    (swapped("[labels.start]", "[labels.booster]"), "labels: unknown key booster"),
    (swapped('eligible = "may start"', 'fine = "may start"'), "labels.start: unknown key fine"),
    (swapped('same-day = ["steady"]', 'same-day = ["systolic"]'), "systolic stands twice"),
    (swapped('"birth_date", "chest', '"chest'), "birth_date is read, but has no validity"),
    (swapped("bp_valid = [", "gone = ["), "validity.default.gone: name a whole-number parameter"),
    (swapped("bp_valid = [", "hard_sbp = ["), "'mm\\[Hg\\]' is no time"),
    (swapped("[validity.start]", "[validity.booster]"), "validity: unknown key booster"),
    (swapped('weight = "jump"', 'aneurysm = "jump"'), "'aneurysm' is no number"),
    (swapped('weight = "jump"', 'weight = "factor"'), "param.factor: needed as one number in %"),
    (swapped("{ latest = [", "{ newest = ["), "derived.systolic_latest: needs exactly one of"),
    (swapped(', n = "bp_n"', ""), "derived.systolic_mean: mean_of_last lacks n"),
    (swapped(', n = "bp_n"', ', n = "bp_n", m = 1'), "mean_of_last unknown key m"),
    (swapped(', n = "bp_n"', ', n = "listed"'), "param.listed: needed as one number"),
    (swapped('["gap_min", "gap_max"]', '["gap_min", "pair_max"]'), "'min' and 'd' do not mix"),
    (swapped('{ latest = ["systolic", ', '{ latest = ["weight", '), "units or steps do not mix"),
    (swapped('{ age = "birth_date" }', '{ age = "aneurysm" }'), "'aneurysm' is no date"),
    (swapped('unit = "min" }', 'unit = "d" }'), "hours_since counts in h or min"),
    (swapped('of = ["chest_pain", ', 'of = ["weight", '), "weight is a number, not a bool"),
    (swapped('of = ["chest_pain", ', 'of = ["symptom", '), "derived.symptom goes round"),
    (swapped('change_from = "phq9_best"', 'change_from = "age"'), "units or steps differ"),
    (swapped("phq9_rise = {", "phq9_rise = { percent = true,"), "must give it a step, in '%'"),
    (swapped("age = { age =", "weight = { age ="), "derived.weight: type, unit or step differ"),
    (swapped('table = "diazepam"', 'table = "tea"'), "equivalents.tea: None; write a table"),
    (swapped("N05BA12 = 0.5", "N05BA12 = 0"), "every dose is above 0"),
    (swapped('class = "antidepressant"', 'class = "tea"'), "class_facts.tea: None; write a table"),
    (swapped("[codes.aneurysm]", "[codes.tea]"), "'tea' is no bool"),
    (swapped('counts = "now"', 'counts = "then"'), "codes.psychosis.counts: 'then'"),
    (swapped('["I71", "I67.1"]', '["I71", "I71"]'), "each prefix once"),
    (swapped('["I71", "I67.1"]', "[]"), "each prefix once"),
    (swapped('["F00", "F03"], counts', "[], counts"), "each prefix once"),
    (
        swapped('any_code = "conditions"', 'any_code = "facts"'),
        "dementia.any_code: 'facts'",
    ),
    (TEXT + medication("TWO", '["N05BA"]'), "ATC 'N05BA' is empty or stands twice"),
    (TEXT + medication("TWO", '[""]'), "is empty or stands twice"),
    (TEXT + medication("two", '["X"]'), "a tag is capitals"),
    (TEXT + medication("TWO", '["X"]', severity="dire"), "severity: 'dire'"),
    (TEXT + rule("M-BZD", "P", 'when = "symptom"', "defer", AGAIN), "rule.M-BZD stands twice"),
    (TEXT + rule("x", "P", 'when = "symptom"', "defer", AGAIN), "an id is letters"),
    (TEXT + rule("X", "Q", 'when = "symptom"', "defer", AGAIN), "rule.X.level: 'Q'"),
    (TEXT + rule("X", "P", 'when = "symptom"', "maybe", AGAIN), "rule.X.verdict: 'maybe'"),
    (TEXT + rule("X", "P", 'when = "symptom"', "defer"), "defer says when to ask again"),
    (TEXT + rule("X", "P", 'when = "symptom"', "eligible_with_conditions"), "names a condition"),
    (TEXT + rule("X", "P", 'when = "symptom"', "eligible"), "level N and verdict eligible"),
    (TEXT + rule("X", "N", 'require = "symptom"', "eligible"), "a note is a `when`"),
    (TEXT + rule("X", "I", 'when = "symptom"', "need_more_information"), "level I goes with"),
    (TEXT + rule("X", "I", "needs = []", "need_more_information"), "needs nothing"),
    (TEXT + rule("X", "P", 'colour = "red"', "defer", AGAIN), "rule.X: unknown key colour"),
    (TEXT + rule("X", "P", "", "defer", AGAIN), "exactly one of when, require, needs"),
    (
        TEXT + rule("X", "P", 'when = "symptom"\nonly_if = "symptom"', "defer", AGAIN),
        "only_if goes with needs",
    ),
    (TEXT + rule("X", "P", "when = 5", "defer", AGAIN), "rule.X.when: 5; write a text"),
    (TEXT + rule("X", "P", 'when = "A"', "defer", AGAIN), "rule.X.when: 'A', column 1"),
    (TEXT + rule("X", "P", 'when = "tea"', "defer", AGAIN), "rule.X: no fact is called 'tea'"),
    (TEXT + rule("X", "P", 'when = "age"', "defer", AGAIN), "rule.X: age is a number"),
    (TEXT + rule("X", "P", "needs = [5]", "defer", AGAIN), "write a list of texts"),
    (TEXT + rule("X", "P", 'when = "symptom"', "defer", AGAIN, stage="tea"), "stages: 'tea'"),
    (TEXT + rule("X", "P", 'when = "symptom"', "defer", AGAIN, stage="booster"), "'booster'"),
    (TEXT + rule("X", "P", 'when = "symptom"', "defer", "conditions = 1"), "write a list of {text"),
    (
        TEXT + rule("X", "P", 'when = "symptom"', "defer", 'conditions = [{ text = "a" }]'),
        "conditions.owner: None",
    ),
    (
        TEXT + rule("X", "P", 'when = "symptom"', "defer", AGAIN, 'audience = ["cat"]'),
        "audience: 'cat'",
    ),
    (
        TEXT + rule("X", "P", 'when = "symptom"', "defer", AGAIN, example("", "perhaps")),
        "expect: 'perhaps'",
    ),
    (
        TEXT + rule("X", "P", 'when = "days_since_cv_event < param.cv_block_d"', "defer", AGAIN),
        "days_since_cv_event stands only behind its guard",
    ),
    (
        TEXT + rule("X", "P", 'require = "days_since_cv_event > param.cv_block_d"', "defer", AGAIN),
        "only behind its guard",
    ),
    (
        TEXT + rule("X", "P", 'when = "minutes_since_stop < param.wait_min"', "defer", AGAIN),
        "minutes_since_stop has no guard",
    ),
    (
        TEXT + rule("X", "I", 'needs = ["days_since_cv_event"]', "need_more_information"),
        "only behind its guard",
    ),
    (TEXT + "[selfcheck]\nfacts = ['tea']\n", "selfcheck.facts: 'tea'"),
]


@pytest.mark.parametrize(("text", "said"), UNSOUND)
def test_an_unsound_file_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        small(text)


@pytest.mark.parametrize(
    "text",
    [
        "symptom and days_since_cv_event < param.cv_block_d",
        "symptom or days_since_cv_event < param.cv_block_d",
        "not days_since_cv_event < param.cv_block_d",
        "symptom and (symptom or not days_since_cv_event < param.cv_block_d)",
        "not cv_event and days_since_cv_event < param.cv_block_d",
        "cv_event or days_since_cv_event < param.cv_block_d",
        "(cv_event and symptom) or days_since_cv_event < param.cv_block_d",
    ],
)
def test_a_guarded_fact_is_refused_wherever_its_guard_does_not_stand(text: str) -> None:
    with pytest.raises(ProtocolError, match="only behind its guard"):
        small(TEXT + rule("X", "P", f'when = "{text}"', "defer", AGAIN))


@pytest.mark.parametrize(
    "body",
    [
        'when = "cv_event and days_since_cv_event < param.cv_block_d"',
        'when = "symptom or (days_since_cv_event < param.cv_block_d and cv_event)"',
        'when = "not (not cv_event or not (days_since_cv_event < param.cv_block_d))"',
        'require = "not cv_event or days_since_cv_event >= param.cv_block_d"',
        'require = "minutes_since_stop >= param.wait_min"',
        'needs = ["days_since_cv_event"]\nonly_if = "symptom and cv_event"',
        'needs = ["medications", "birth_date", "minutes_since_stop"]',
    ],
)
def test_a_guarded_fact_behind_its_guard_is_accepted(body: str) -> None:
    assert small(TEXT + rule("X", "P", body, "defer", AGAIN)).rule("X")


def test_the_public_selfcheck_names_its_facts() -> None:
    assert small(TEXT + "[selfcheck]\nfacts = ['aneurysm']\n").selfcheck_facts == ("aneurysm",)


# --- examples -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expect", "said"),
    [
        ("aneurysm = true", "quiet", "speaks \\(defer\\), not quiet"),
        ("aneurysm = false", "eligible", "no example in which it is `speaks`"),
        ("tea = true", "speaks", "given tea: no such fact"),
        ('systolic_mean = "high"', "speaks", "not a number"),
        ("systolic_mean = 140.3", "speaks", "not on its step"),
        ("weight = 70.05", "speaks", "finer than its step"),
    ],
)
def test_a_failing_example_is_named(given: str, expect: str, said: str) -> None:
    wrong = rule("X", "P", 'when = "aneurysm or weight < systolic_kg"', "defer", AGAIN)
    text = wrong.replace(" or weight < systolic_kg", "") + example(given, expect) + "\n"
    if "weight" in given:
        weigh = 'when = "weight > param.kg"'
        text = rule("X", "P", weigh, "defer", AGAIN) + example(given, expect)
    kg = 'factor = { value = 1.2, unit = "1", source = "clinic policy", mark = "D" }\n'
    more = kg.replace("factor", "kg").replace('"1"', '"kg"')
    failures = check(small(TEXT.replace(kg, kg + more) + text))
    assert len([f for f in failures if f.startswith("X: ")]) >= 1
    assert re.search(said, "\n".join(failures))


@pytest.mark.parametrize(
    ("body", "given", "expect"),
    [
        ('when = "aneurysm"', 'aneurysm = "unknown"', "unknown"),
        ('when = "symptom"', 'symptom = "unknown"', "eligible_with_conditions"),
        ('needs = ["medications"]', "medications = true", "quiet"),
        ('when = "cv_event and days_since_cv_event < param.cv_block_d"',
         'cv_event = true, cv_event_date = "2026-01-01"', "speaks"),
        ('when = "cv_event and days_since_cv_event < param.cv_block_d"',
         'cv_event = true, cv_event_date = "2025"', "unknown"),
        ('when = "indication in param.listed"', 'indication = "PTSD"', "speaks"),
    ],
)  # fmt: skip
def test_an_example_may_give_raw_and_derived_facts(body: str, given: str, expect: str) -> None:
    text = TEXT + rule("X", "P", body, "defer", AGAIN) + example(given, expect) + "\n"
    failures = [f for f in check(small(text)) if "no example in which" not in f]
    assert failures == []
