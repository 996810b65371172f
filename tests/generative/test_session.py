"""Any log, in any order, replayed any number of times, gives one state and no exception."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kap.dose import plan_infusion
from kap.session import KINDS, Event, fold

PLAN = plan_infusion(mg_per_kg="0.5", weight_kg="68.0", minutes=40, vial_mg_per_ml=10, final_ml=50)
TWO = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
END = TWO + timedelta(hours=5)
ids = st.sampled_from([*"abcdefgh"])
moments = st.integers(0, 240).map(lambda minute: TWO + timedelta(minutes=minute))
junk = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 90_000), st.sampled_from(["", "yes", "noon"])
)
replacements = st.one_of(
    junk,
    st.fixed_dictionaries(
        {}, optional={"observed_at": moments.map(datetime.isoformat) | junk, "data": junk}
    ),
)
data = st.fixed_dictionaries(
    {},
    optional={
        "rate_ul_h": junk,
        "signal": st.sampled_from(["spo2", "bp"]) | junk,
        "level": junk,
        "void": junk,
        "replacement": replacements,
        "second": st.sampled_from(["nurse", "bob"]) | junk,
    },
)
events = st.builds(
    Event,
    kind=st.sampled_from([*KINDS, "sneezed"]),
    observed_at=moments,
    recorded_at=moments,
    id=ids,
    author=st.just("nurse"),
    data=data,
    corrects=st.none() | ids,
)
logs = st.lists(events, max_size=12)

BEGUN = [
    Event("arrived", TWO, TWO, "arrived"),
    Event("checked", TWO, TWO, "checked"),
    Event("authorised", TWO, TWO, "v-authorised"),
    Event("started", TWO, TWO, "w-started"),
]


@given(logs, st.randoms(use_true_random=False))
def test_the_order_of_arrival_never_matters(log, dice):
    shuffled = [*log]
    dice.shuffle(shuffled)
    assert fold(shuffled, plan=PLAN) == fold(log, plan=PLAN)


@given(logs)
def test_a_replay_changes_nothing(log):
    assert fold([*log, *log], plan=PLAN) == fold(log, plan=PLAN)


@given(logs)
def test_no_log_raises_and_the_dose_stays_within_the_syringe(log):
    state = fold([*BEGUN, *log], plan=PLAN)
    minutes = [TWO + timedelta(minutes=minute) for minute in range(0, 301, 30)]
    delivered = [state.delivered_ug(at) for at in minutes]
    assert delivered == sorted(delivered)
    assert 0 <= delivered[0] <= delivered[-1] <= PLAN.dose_ug
    assert state.waste_ug(END) == PLAN.dose_ug - state.delivered_ug(END)


@given(logs)
def test_a_wait_never_starts_before_any_stop_that_counts(log):
    state = fold([*BEGUN, *log], plan=PLAN)
    if state.stopped_at is not None:
        assert state.clock_stop >= state.stopped_at


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6))
def test_pause_and_resume_give_the_sum_of_the_runs(lengths):
    at, log, ran = TWO, [*BEGUN], 0
    for number, minutes in enumerate(lengths):
        end = at + timedelta(minutes=minutes)
        ran += minutes
        at = end + timedelta(minutes=3)
        log.append(Event("paused", end, end, f"p{number}"))
        log.append(Event("resumed", at, at, f"r{number}"))
    log.append(Event("stopped", at, at, "stop"))
    state = fold(log, plan=PLAN)
    assert state.anomalies == ()
    assert state.running_minutes(END) == ran
    assert state.delivered_ug(END) == min(PLAN.dose_ug, PLAN.dose_ug * ran // 40)


@given(moments, moments, st.sampled_from(["", "nurse", "bob"]))
def test_a_corrected_stop_never_shortens_the_wait_on_one_signature(first, moved, second):
    log = [
        *BEGUN,
        Event("stopped", first, first, "x-stop"),
        Event(
            "correction",
            END,
            END,
            "fix",
            "nurse",
            {"replacement": {"observed_at": moved.isoformat()}, "second": second},
            "x-stop",
        ),
    ]
    state = fold(log, plan=PLAN)
    assert state.clock_stop == (moved if second == "bob" else max(first, moved))
