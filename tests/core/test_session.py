"""A session's log: its state, what may follow what, corrections, and what does not fit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from kap.dose import plan_infusion
from kap.moment import MomentError
from kap.observation import Observation
from kap.session import KINDS, Event, Phase, SessionState, fold, may_follow, why_not

PLAN = plan_infusion(mg_per_kg="0.5", weight_kg="68.0", minutes=40, vial_mg_per_ml=10, final_ml=50)
TWO = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def at(minute):
    return TWO + timedelta(minutes=minute)


def event(kind, minute, id=None, recorded=None, **data):
    author, corrects = data.pop("author", "nurse"), data.pop("corrects", None)
    when = at(minute if recorded is None else recorded)
    return Event(kind, at(minute), when, id or f"{kind}-{minute}", author, data, corrects)


def begun(*more):
    return [
        event("arrived", -40),
        event("checked", -20),
        event("authorised", -5),
        event("started", 0),
        *more,
    ]


def correction(of, recorded, **data):
    return event("correction", recorded, f"fix-{of}-{recorded}", corrects=of, **data)


def moved(of, recorded, to, **data):
    return correction(of, recorded, replacement={"observed_at": at(to).isoformat()}, **data)


def reasons(state):
    return [odd.reason for odd in state.anomalies]


def test_a_log_without_lines_is_a_planned_session():
    assert fold([]) == SessionState()
    assert fold([]).phase is Phase.PLANNED
    assert fold([]).delivered_ug(TWO) == 0
    assert fold([]).waste_ug(TWO) == 0


def test_an_ordinary_hour_gives_the_whole_dose():
    state = fold(begun(event("stopped", 40)), plan=PLAN)
    assert state.phase is Phase.STOPPED
    assert (state.started_at, state.stopped_at, state.clock_stop) == (at(0), at(40), at(40))
    assert state.delivered_ug(at(60)) == 34_000
    assert state.running_minutes(at(60)) == 40
    assert state.waste_ug(at(60)) == 0
    assert state.anomalies == ()


def test_a_running_infusion_is_asked_with_the_instant():
    state = fold(begun(), plan=PLAN)
    assert state.phase is Phase.RUNNING
    assert state.delivered_ug(at(-5)) == 0
    assert state.delivered_ug(at(20)) == 17_000
    assert state.waste_ug(at(20)) == 17_000


def test_pauses_give_nothing_and_take_no_time():
    hour = begun(event("paused", 10), event("resumed", 15), event("stopped", 25))
    state = fold(hour, plan=PLAN)
    assert state.delivered_ug(at(60)) == 17_000
    assert state.running_minutes(at(60)) == 20
    assert fold(hour[:-1], plan=PLAN).phase is Phase.RUNNING
    assert fold(hour[:-2], plan=PLAN).phase is Phase.PAUSED


def test_a_rate_change_counts_from_when_it_was_made():
    state = fold(
        begun(event("rate_changed", 20, rate_ul_h=37_500), event("stopped", 40)), plan=PLAN
    )
    assert state.delivered_ug(at(60)) == 17_000 + 8_500


def test_a_rate_changed_in_a_pause_counts_from_the_resumption():
    hour = begun(
        event("paused", 20),
        event("rate_changed", 25, rate_ul_h=37_500),
        event("resumed", 30),
        event("stopped", 50),
    )
    assert fold(hour, plan=PLAN).delivered_ug(at(60)) == 17_000 + 8_500


@pytest.mark.parametrize("rate", [0, -1, "75", True, None])
def test_a_rate_that_is_none_is_an_anomaly(rate):
    state = fold(begun(event("rate_changed", 20, rate_ul_h=rate)), plan=PLAN)
    assert state.rate_ul_h == 75_000
    assert "whole microlitres an hour" in reasons(state)[0]


def test_a_rate_change_before_the_start_changes_nothing():
    state = fold([event("rate_changed", -10, rate_ul_h=1000)], plan=PLAN)
    assert state.rate_ul_h == 75_000
    assert len(state.anomalies) == 1


def test_two_stops_end_the_dose_at_the_first_and_start_the_clock_at_the_last():
    state = fold(begun(event("stopped", 20), event("stopped", 30)), plan=PLAN)
    assert (state.stopped_at, state.clock_stop) == (at(20), at(30))
    assert state.delivered_ug(at(60)) == 17_000
    assert state.has_two_stops
    assert len(state.anomalies) == 1


def test_a_stop_entered_after_discharge_moves_the_clock_and_leaves_the_discharge():
    hour = begun(event("stopped", 40), event("discharged", 105), event("stopped", 110))
    state = fold(hour, plan=PLAN)
    assert (state.phase, state.discharged_at) == (Phase.DISCHARGED, at(105))
    assert state.clock_stop == at(110)
    assert "stopped does not follow discharged" in reasons(state)[0]


def test_a_stop_without_a_start_is_an_anomaly_and_no_clock():
    state = fold([event("stopped", 0)])
    assert (state.phase, state.clock_stop) == (Phase.PLANNED, None)
    assert len(state.anomalies) == 1


def test_a_start_that_nobody_allowed_still_counts_and_is_an_anomaly():
    state = fold([event("arrived", -10), event("started", 0)], plan=PLAN)
    assert state.phase is Phase.RUNNING
    assert state.delivered_ug(at(20)) == 17_000
    assert len(state.anomalies) == 1


def test_a_start_without_authorisation_is_an_anomaly():
    hour = [event("arrived", -10), event("checked", -5), event("started", 0)]
    assert reasons(fold(hour, plan=PLAN)) == ["started needs an authorisation first"]


def test_a_second_start_gives_no_second_dose_but_moves_the_interval():
    state = fold(begun(event("stopped", 40), event("started", 50)), plan=PLAN)
    assert state.phase is Phase.STOPPED
    assert (state.started_at, state.clock_start) == (at(0), at(50))
    assert state.delivered_ug(at(90)) == 34_000
    assert len(state.anomalies) == 1


@pytest.mark.parametrize(
    "odd",
    [
        ("arrived", 5),
        ("checked", 5),
        ("authorised", 5),
        ("resumed", 5),
        ("gate_signed", 5),
        ("discharged", 5),
    ],
)
def test_a_line_that_does_not_fit_changes_nothing_and_is_shown(odd):
    kind, minute = odd
    plain, state = fold(begun(), plan=PLAN), fold(begun(event(kind, minute)), plan=PLAN)
    assert state.phase is Phase.RUNNING
    assert state.delivered_ug(at(20)) == plain.delivered_ug(at(20))
    assert [one.event_id for one in state.anomalies] == [f"{kind}-{minute}"]


def test_a_pause_within_a_pause_keeps_the_first():
    state = fold(begun(event("paused", 10), event("paused", 15)), plan=PLAN)
    assert state.delivered_ug(at(20)) == 8_500
    assert len(state.anomalies) == 1


def test_a_line_of_an_unknown_kind_is_an_anomaly():
    state = fold([event("sneezed", 0)])
    assert "is no line of a log" in reasons(state)[0]


def test_the_way_home_is_signed_and_dated():
    hour = begun(
        event("stopped", 40), event("gate_signed", 104, gate="GO-MIND"), event("discharged", 105)
    )
    state = fold(hour, plan=PLAN)
    assert state.gates == ("GO-MIND",)
    assert (state.phase, state.discharged_at) == (Phase.DISCHARGED, at(105))


def test_scores_music_words_and_hand_over_are_kept():
    hour = begun(
        event("scored", 10, instrument="moaas", value=4),
        event("scored", 20, instrument="moaas", value=5),
        event("music", 5, phase="ascent"),
        event("said", 6, text="warm"),
        event("handed_over", 30, to="Bob"),
    )
    state = fold(hour, plan=PLAN)
    assert state.scores["moaas"].data["value"] == 5
    assert (state.music, state.nurse) == ("ascent", "Bob")
    assert state.anomalies == ()


def test_alarms_open_are_acknowledged_and_close():
    raised = event("alarm_raised", 10, signal="spo2", level="amber")
    worse = event("alarm_raised", 11, signal="spo2", level="red")
    heard = event("alarm_acknowledged", 12, signal="spo2")
    closed = event("alarm_closed", 13, signal="spo2")
    assert fold([raised, worse]).alarms["spo2"].level == "red"
    assert fold([raised, worse]).alarms["spo2"].raised_at == at(10)
    assert not fold([raised, worse]).alarms["spo2"].is_acknowledged
    assert fold([raised, worse, heard]).alarms["spo2"].is_acknowledged
    assert fold([raised, worse, heard, closed]).alarms == {}


def test_an_alarm_that_is_not_open_can_neither_be_acknowledged_nor_closed():
    state = fold([event("alarm_acknowledged", 1, signal="x"), event("alarm_closed", 2, signal="x")])
    assert reasons(state) == [
        "acknowledges an alarm that is not open",
        "closes an alarm that is not open",
    ]


def test_the_latest_reading_of_each_vital_is_kept():
    readings = [
        Observation("systolic", Decimal(value), "mm[Hg]", at(minute), at(minute))
        for value, minute in ((120, 0), (140, 20), (130, 10))
    ]
    assert fold([], readings).latest["systolic"].value == 140


# --- order and replay ---------------------------------------------------------------------------


def test_the_order_of_arrival_does_not_matter():
    lines = [
        event("started", 0),
        event("authorised", -5),
        event("paused", 10),
        event("resumed", 15),
        event("stopped", 25),
    ]
    states = [fold(order, plan=PLAN) for order in permutations(lines)]
    assert all(state == states[0] for state in states)


def test_a_replay_is_harmless():
    lines = begun(event("paused", 10))
    assert fold([*lines, *lines], plan=PLAN) == fold(lines, plan=PLAN)


def test_two_different_lines_with_one_id_are_an_anomaly_whatever_comes_first():
    one, other = event("paused", 10, id="x"), event("paused", 12, id="x")
    state = fold(begun(one, other), plan=PLAN)
    assert state == fold(begun(other, one), plan=PLAN)
    assert reasons(state) == ["two different lines have this id"]
    assert state.delivered_ug(at(60)) == 8_500


# --- corrections --------------------------------------------------------------------------------


def test_a_void_takes_a_line_out():
    state = fold(begun(event("paused", 10), correction("paused-10", 12, void=True)), plan=PLAN)
    assert state.phase is Phase.RUNNING
    assert state.anomalies == ()


def test_a_replacement_keeps_what_it_does_not_name():
    change = event("rate_changed", 20, rate_ul_h=37_500, note="nausea")
    fix = correction("rate_changed-20", 30, replacement={"data": {"rate_ul_h": 60_000}})
    state = fold(begun(change, fix), plan=PLAN)
    assert state.rate_ul_h == 60_000
    assert state.pumped[-1].start == at(20)


def test_a_later_stop_counts_at_once():
    state = fold(begun(event("stopped", 20), moved("stopped-20", 35, 30)), plan=PLAN)
    assert (state.stopped_at, state.clock_stop) == (at(30), at(30))


def test_an_earlier_stop_counts_for_the_dose_but_for_the_wait_only_once_signed_twice():
    stop = event("stopped", 40)
    alone = fold(begun(stop, moved("stopped-40", 45, 20)), plan=PLAN)
    assert (alone.stopped_at, alone.clock_stop) == (at(20), at(40))
    assert alone.delivered_ug(at(60)) == 17_000
    signed = fold(begun(stop, moved("stopped-40", 45, 20, second="Bob")), plan=PLAN)
    assert (signed.stopped_at, signed.clock_stop) == (at(20), at(20))


def test_nobody_signs_their_own_correction_a_second_time():
    own = moved("stopped-40", 45, 20, second="nurse")
    assert fold(begun(event("stopped", 40), own), plan=PLAN).clock_stop == at(40)


def test_a_void_of_the_later_stop_shortens_the_wait_only_once_signed_twice():
    stops = begun(event("stopped", 20), event("stopped", 30))
    assert fold([*stops, correction("stopped-30", 35, void=True)], plan=PLAN).clock_stop == at(30)
    signed = correction("stopped-30", 35, void=True, second="Bob")
    assert fold([*stops, signed], plan=PLAN).clock_stop == at(20)


def test_taking_back_a_longer_stop_is_shortening_too():
    lines = begun(event("stopped", 20), moved("stopped-20", 35, 30))
    taken_back = event("correction", 36, corrects="fix-stopped-20-35", void=True)
    state = fold([*lines, taken_back], plan=PLAN)
    assert (state.stopped_at, state.clock_stop) == (at(20), at(30))
    signed = event("correction", 36, corrects="fix-stopped-20-35", void=True, second="Bob")
    assert fold([*lines, signed], plan=PLAN).clock_stop == at(20)


def test_undoing_a_signed_undo_does_not_shorten_the_wait_either():
    lines = begun(
        event("stopped", 20),
        moved("stopped-20", 35, 10),
        event("correction", 36, "undo", corrects="fix-stopped-20-35", void=True, second="Bob"),
        event("correction", 37, "again", corrects="undo", void=True),
    )
    state = fold(lines, plan=PLAN)
    assert (state.stopped_at, state.clock_stop) == (at(10), at(20))


def test_an_unreadable_correction_of_a_stop_claims_nothing():
    state = fold(begun(event("stopped", 20), correction("stopped-20", 30)), plan=PLAN)
    assert (state.stopped_at, state.clock_stop) == (at(20), at(20))
    assert len(state.anomalies) == 1


def test_a_start_moved_earlier_does_not_shorten_the_interval_by_itself():
    earlier = moved("started-0", 5, -10)
    lines = [event("arrived", -40), event("checked", -20), event("authorised", -15)]
    state = fold([*lines, event("started", 0), earlier], plan=PLAN)
    assert (state.started_at, state.clock_start) == (at(-10), at(0))


def test_a_start_that_is_void_still_holds_the_interval_until_signed_twice():
    state = fold(begun(correction("started-0", 5, void=True)), plan=PLAN)
    assert (state.phase, state.started_at, state.clock_start) == (Phase.CHECKED, None, at(0))


def test_a_correction_that_was_voided_does_not_speak():
    lines = begun(event("stopped", 20), moved("stopped-20", 35, 38))
    undo = event("correction", 36, "undo", corrects="fix-stopped-20-35", void=True)
    assert fold([*lines, undo], plan=PLAN).stopped_at == at(20)


def test_of_two_corrections_the_later_stands_and_the_other_is_shown():
    lines = begun(event("paused", 10), moved("paused-10", 20, 11), moved("paused-10", 21, 12))
    state = fold(lines, plan=PLAN)
    assert state.pumped[0].end == at(12)
    assert reasons(state) == ["a later correction of the same line stands"]


@pytest.mark.parametrize(
    ("fix", "why"),
    [
        (correction("nobody", 20, void=True), "a line that is not here"),
        (event("correction", 20, void=True), "a line that is not here"),
        (correction("paused-10", 20), "neither void nor replacement"),
        (correction("paused-10", 20, void="yes"), "neither void nor replacement"),
        (correction("paused-10", 20, replacement=5), "neither void nor replacement"),
        (correction("paused-10", 20, replacement={"observed_at": "noon"}), "time"),
        (correction("paused-10", 20, replacement={"data": 5}), "data"),
    ],
)
def test_a_correction_that_cannot_be_read_changes_nothing_and_is_shown(fix, why):
    state = fold(begun(event("paused", 10), fix), plan=PLAN)
    assert state.pumped[0].end == at(10)
    assert why in reasons(state)[0]


def test_a_correction_can_be_voided_but_not_replaced():
    fix = moved("paused-10", 20, 11)
    on_top = event(
        "correction", 21, corrects=fix.id, replacement={"observed_at": at(12).isoformat()}
    )
    state = fold(begun(event("paused", 10), fix, on_top), plan=PLAN)
    assert reasons(state) == ["a correction can only be voided"]
    assert state.pumped[0].end == at(11)


def test_a_correction_of_itself_or_in_a_circle_ends():
    itself = event("correction", 20, "a", corrects="a", void=True)
    circle = [
        event("correction", 20, "a", corrects="b", void=True),
        event("correction", 21, "b", corrects="a", void=True),
    ]
    assert fold([itself]).phase is Phase.PLANNED
    assert fold(circle).phase is Phase.PLANNED


# --- which line may follow which -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "may"),
    [
        (fold([]), {"arrived"}),
        (fold(begun()[:1]), {"checked"}),
        (fold(begun()[:2]), {"checked", "authorised"}),
        (fold(begun()[:3]), {"checked", "authorised", "started"}),
        (fold(begun()), {"paused", "rate_changed", "stopped"}),
        (fold(begun(event("paused", 10))), {"resumed", "rate_changed", "stopped"}),
        (fold(begun(event("stopped", 10))), {"gate_signed", "discharged"}),
        (fold(begun(event("stopped", 10), event("discharged", 99))), set()),
    ],
    ids=lambda found: found.phase.value if isinstance(found, SessionState) else "",
)
def test_each_phase_takes_its_own_lines(state, may):
    always = {
        *("scored", "alarm_raised", "alarm_acknowledged", "alarm_closed", "said", "music"),
        *("handed_over", "correction"),
    }
    assert {kind for kind in KINDS if may_follow(state, kind)} == may | always


def test_a_refusal_says_the_way_out():
    assert why_not(fold([]), "started") == (
        "started does not follow planned: needs the checks and an authorisation,"
        " and happens once a day"
    )
    assert "use one of arrived" in why_not(fold([]), "sneezed")


def test_a_time_without_offset_is_refused():
    naive = datetime(2026, 11, 24, 14, 0)  # noqa: DTZ001  the point of the test
    with pytest.raises(MomentError):
        Event("arrived", naive, TWO, "x")
