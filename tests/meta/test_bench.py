"""The page of benchmarks says what was measured, and says so when a target is missed."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest

from kap.condition import evaluate
from kap.logic import Truth
from tests.bench import engines
from tests.bench.beds import Bed
from tests.bench.engines import Engine, Engines
from tests.bench.ground import Failed
from tests.bench.pages import PageTime
from tests.bench.peers import Peer
from tests.bench.report import Run, page, rates
from tests.bench.spread import Spread
from tests.bench.stream import VALUES, Open, Rate

FAST, SLOW = Spread.of([12.0] * 40), Spread.of([12.0] * 30 + [612.0] * 10)
GOOD = Run(
    ground={"cores": "2"},
    pages=[PageTime("today", FAST)],
    rates=[Rate(asked_per_s=240, sent_per_s=240, ms=FAST, in_chromium_ms=FAST, lost=0)],
    ask={
        f"ask_{chart}_{kind}_per_s": 11_000.0
        for chart in ("full", "empty")
        for kind in ("best", "median")
    },
    start_s={"serve": 2.0},
    engines=Engines(
        "iv-ketamine@1",
        92,
        98,
        8,
        [
            Engine("Afterglow", "1", "no value", 9e6, Counter(unknown=8)),
            Engine("other", "2", "null", 50, Counter(false=2, unknown=5, error=1)),
        ],
        [],
    ),
    replay={"replay_per_s": 6e6, "replay_file_per_s": 2e5, "screen_start_s": 0.3},
    proof_s={"iv-ketamine@1": 2.5, "iv-ketamine@2": 9.9},
)


def test_a_percentile_is_a_time_that_was_measured() -> None:
    spread = Spread.of([float(time) for time in range(100, 0, -1)])
    assert (spread.count, spread.p50, spread.p95, spread.p99) == (100, 50, 95, 99)
    assert spread.worst == 100


def test_no_times_are_no_result() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Spread.of([])


def test_the_page_says_that_all_targets_are_met() -> None:
    text = page(GOOD)
    assert "NOT met" not in text
    assert text.count(": met.") == 6
    assert "| iv-ketamine@1 | 2.5 |" in text
    assert "| today | 40 | 12.0 | 12.0 | 12.0 |" in text


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (replace(GOOD, pages=[PageTime("today", SLOW)]), "NOT met by today."),
        (replace(GOOD, rates=[replace(GOOD.rates[0], ms=SLOW)]), "sent and shown: NOT met."),
        (replace(GOOD, rates=[replace(GOOD.rates[0], lost=1)]), "sent and shown: NOT met."),
        (replace(GOOD, rates=[replace(GOOD.rates[0], sent_per_s=90)]), "sent and shown: NOT met."),
        (
            replace(GOOD, replay=GOOD.replay | {"replay_per_s": 4e6}),
            "charts a second from memory: NOT met.",
        ),
        (replace(GOOD, replay=GOOD.replay | {"screen_start_s": 0.5}), "at most 0.4 s: NOT met."),
        (replace(GOOD, proof_s=GOOD.proof_s | {"iv-ketamine@1": 10.1}), "a version: NOT met."),
        (replace(GOOD, ask=dict.fromkeys(GOOD.ask, 9999.0)), "full chart: NOT met."),
    ],
)
def test_a_missed_target_is_said(run: Run, said: str) -> None:
    assert said in page(run)


def test_the_page_begins_with_ratios_to_the_targets() -> None:
    slow = replace(GOOD.rates[0], ms=SLOW, sent_per_s=120)
    head = page(replace(GOOD, rates=[GOOD.rates[0], slow])).split("## ")[0]
    assert "612 ms at 240 a second | at most 500 ms | 1.22 |" in head
    assert "120 of 240 a second | at least 95% | 0.50 |" in head
    assert "(today), p95, to its target | 12.0 ms | at most 60 ms | 0.20 |" in head
    assert "11,000 a second | at least 10,000 a second | 1.10 |" in head
    assert "12.0 and 12.0 ms | none | 1.00 |" in head


def test_the_page_leads_with_what_is_reported_as_absent() -> None:
    head = page(GOOD).split("| ratio |")[0]
    assert "reported as absent: Afterglow 0.0%, other 25.0%." in head
    row = "| other | 2 | **25.0%** | 62.5% | 12.5% | 0.0% | 50 | null |"
    assert row in page(GOOD)
    assert "All peers were installed." in page(GOOD)
    alone = replace(GOOD.engines, missing=["cqlpy"])
    assert "not measured: cqlpy." in page(replace(GOOD, engines=alone))


def two_valued(says):
    """Return a peer that asks our own evaluator, and takes what it cannot know for no."""

    def rule(node, parameters):
        return lambda chart: says(evaluate(node, chart, parameters))

    def chart(known):
        return {k: Truth.of(v) if isinstance(v, bool) else told(v) for k, v in known.items()}

    def told(value):
        return value if isinstance(value, str) else Fraction(value)

    return Peer("two-valued", "absent", chart, rule, "1")


def test_an_engine_that_takes_unknown_for_no_is_shown_to_do_so(monkeypatch) -> None:
    monkeypatch.setattr(engines, "SECONDS", 0.01)
    monkeypatch.setattr(engines, "COLUMN_CHARTS", 1)
    monkeypatch.setattr(engines, "CHARTS", 16)
    yes_or_no = two_valued(lambda truth: "true" if truth is Truth.TRUE else "false")
    monkeypatch.setattr(engines, "found", lambda: ([yes_or_no], ["cqlpy"]))
    run = engines.measure()
    assert {one.name: one.absent for one in run.engines} == {
        "Afterglow, one chart": 0,
        "Afterglow, columns": 0,
        "two-valued": 1,
    }
    assert [one.told.total() for one in run.engines] == [run.unknown] * 3
    assert run.unknown > 0
    assert run.missing == ["cqlpy"]


def test_an_engine_that_was_told_another_rule_is_not_measured(monkeypatch) -> None:
    monkeypatch.setattr(engines, "SECONDS", 0.01)
    monkeypatch.setattr(engines, "CHARTS", 16)
    monkeypatch.setattr(engines, "found", lambda: ([two_valued(lambda _: "true")], []))
    with pytest.raises(AssertionError, match="was told another rule"):
        engines.measure()


def test_one_part_can_be_told_alone() -> None:
    assert "\n".join(rates(GOOD.rates)) in page(GOOD)


# -- a page's number and the message it comes from ------------------------------------------------


def opened() -> Open:
    return Open(Bed("a session", "a chart number", "a device", "0011223344556677"))


def test_no_number_is_said_twice_to_a_page() -> None:
    one = opened()
    said = [one.sends(at=0) for _ in range(VALUES - 1)]
    assert len(set(said)) == len({text for _, text in one.waiting}) == VALUES - 1
    assert 60 < min(said) < max(said) < 95  # no alarm speaks
    with pytest.raises(Failed, match="come again"):
        one.sends(at=0)


def test_a_number_shown_counts_for_its_message_and_those_it_overtook() -> None:
    one = opened()
    for at in (10.0, 11.0, 12.0, 13.0):
        one.sends(at=at)
    one.shows("60.003", at=14.0)
    assert one.taken_ms == [4000, 3000, 2000]
    one.shows("60.004", at=14.5)
    assert one.taken_ms[3:] == [1500]
    assert not one.waiting


@pytest.mark.parametrize("text", ["60.001", "72", "--", ""])
def test_a_number_that_was_shown_before_or_never_sent_counts_for_nothing(text: str) -> None:
    one = opened()
    one.sends(at=10.0)
    one.shows("60.001", at=10.5)
    one.sends(at=20.0)
    one.shows(text, at=19.0)  # drawn before: with numbers that come again this was -1000 ms
    assert one.taken_ms == [500]
    assert [text for _, text in one.waiting] == ["60.002"]


def test_with_numbers_that_come_again_an_older_text_is_taken_for_a_newer_message() -> None:
    """The negative control: what made a median of minus seven seconds."""
    one = opened()
    one.sends(at=20.0)
    one.number = 0
    one.waiting.clear()
    one.sends(at=30.0)
    one.shows("60.001", at=23.0)
    assert one.taken_ms == [-7000]


def test_a_browser_that_showed_nothing_is_said() -> None:
    run = replace(GOOD, rates=[replace(GOOD.rates[0], in_chromium_ms=None)])
    assert page(run).count("none shown") == 2
