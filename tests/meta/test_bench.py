"""The page of benchmarks says what was measured, and says so when a target is missed."""

from dataclasses import replace

import pytest

from tests.bench.pages import PageTime
from tests.bench.report import Run, page
from tests.bench.spread import Spread
from tests.bench.stream import Rate

FAST, SLOW = Spread.of([12.0] * 40), Spread.of([12.0] * 30 + [612.0] * 10)
GOOD = Run(
    ground={"cores": "2"},
    pages=[PageTime("today", FAST)],
    rates=[Rate(asked_per_s=240, sent_per_s=240, ms=FAST, in_chromium_ms=FAST, lost=0)],
    ask={
        f"ask_{chart}_{kind}_per_s": 7000.0
        for chart in ("full", "empty")
        for kind in ("best", "median")
    },
    start_s={"serve": 2.0},
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
    assert text.count(": met.") == 3
    assert "| today | 40 | 12.0 | 12.0 | 12.0 |" in text


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (replace(GOOD, pages=[PageTime("today", SLOW)]), "NOT met by today."),
        (replace(GOOD, rates=[replace(GOOD.rates[0], ms=SLOW)]), "sent and shown: NOT met."),
        (replace(GOOD, rates=[replace(GOOD.rates[0], lost=1)]), "sent and shown: NOT met."),
        (replace(GOOD, rates=[replace(GOOD.rates[0], sent_per_s=90)]), "sent and shown: NOT met."),
        (replace(GOOD, ask=dict.fromkeys(GOOD.ask, 4999.0)), "full chart: NOT met."),
    ],
)
def test_a_missed_target_is_said(run: Run, said: str) -> None:
    assert said in page(run)


def test_a_browser_that_showed_nothing_is_said() -> None:
    run = replace(GOOD, rates=[replace(GOOD.rates[0], in_chromium_ms=None)])
    assert page(run).count("none shown") == 2
