"""Alarms beyond the told cases: limits from tables, latching, silence, breaks, state as JSON."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from kap.alarm import Alarm, AlarmError, Change, Level, Signal, loudest, signals
from kap.limit import Limit, Threshold
from kap.observation import Observation, stale_limits, vital
from kap.technical import Technical
from kap.watch import Watch

TWO = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def seconds(count):
    return TWO + timedelta(seconds=count)


def param(value, unit):
    return {"value": Decimal(value), "unit": unit, "source": "test", "mark": "D"}


TABLES = {
    "alarm": {
        "systolic": {
            "unit": "mm[Hg]",
            "strict": False,
            "advisory_high": 150,
            "advisory_rise_factor": Decimal("1.2"),
            "amber_high": 160,
            "red_high": 180,
            "critical_high": 200,
            "low": {"strict": True, "advisory": 100, "amber": 90, "red": 85, "critical": 70},
        },
        "heart_rate": {
            "unit": "/min",
            "strict": True,
            "advisory_high": 100,
            "amber_high": 120,
            "red_high": 130,
            "red_high_persistence_s": 300,
            "critical_high": 150,
        },
        "spo2": {
            "unit": "%",
            "strict": True,
            "low": {"strict": True, "advisory": 95, "amber": 94, "red": 90, "critical": 85},
            "red_low_persistence_s": 30,
        },
        "respiratory_rate": {
            "unit": "/min",
            "strict": True,
            "advisory_high": 24,
            "low": {"strict": True, "advisory": 12, "amber": 10, "red": 8},
            "apnoea_critical_s": 15,
        },
        "moaas": {
            "unit": "1",
            "strict": False,
            "low": {"strict": False, "advisory": 4, "amber": 3, "red": 2, "critical": 1},
        },
        "dissociation": {"unit": "1", "strict": False, "advisory_rise": 3},
        "pump_rate": {"unit": "1", "strict": True, "red_high": Decimal("1.1")},
    },
    "alarm_param": {
        "persistence_advisory": param(30, "s"),
        "persistence_amber": param(20, "s"),
        "persistence_red": param(10, "s"),
        "persistence_critical": param(10, "s"),
        "persistence_gap": param(10, "s"),
        "red_repeat_min": param(2, "min"),
        "red_repeat_max": param(5, "min"),
        "hysteresis_bp": param(5, "mm[Hg]"),
        "hysteresis_hr": param(5, "/min"),
        "hysteresis_spo2": param(1, "%"),
        "hysteresis_rr": param(2, "/min"),
        "hysteresis_hold": param(30, "s"),
        "worsening_bp": param(10, "mm[Hg]"),
        "worsening_hr": param(10, "/min"),
        "worsening_spo2": param(2, "%"),
        "worsening_rr": param(2, "/min"),
        "silence": param(2, "min"),
        "break_max": param(10, "min"),
        "no_link": param(8, "s"),
        "stale_stream": param(10, "s"),
        "nibp_cycle": param(10, "min"),
        "nibp_fresh_extra": param(1, "min"),
        "nibp_due_factor": param("1.5", "1"),
    },
}
PARAMS = TABLES["alarm_param"]
SIGNALS = signals(TABLES)


def seen(code, value, at, source="device"):
    return Observation(code, Decimal(value), vital(code).unit, seconds(at), seconds(at), source)


def alarm(name, *readings):
    found = Alarm.of(SIGNALS[name])
    for code, value, at in readings:
        found, _ = found.after(seen(code, value, at))
    return found


def stream(found, code, value, start, end):
    """Feed one value a second; return the alarm and every event."""
    events = []
    for second in range(start, end + 1):
        found, event = found.after(seen(code, value, second))
        events += [event] if event else []
    return found, events


# --- limits from the tables -----------------------------------------------------------------


def test_systolic_and_diastolic_are_one_signal():
    both = deepcopy(TABLES)
    both["alarm"]["diastolic"] = {"unit": "mm[Hg]", "strict": False, "advisory_high": 95}
    assert signals(both)["blood_pressure"].vitals == {"systolic", "diastolic"}


def test_an_alarm_for_no_vital_sign_is_refused():
    odd = {**TABLES, "alarm": {"mood": {"unit": "1", "strict": False, "amber_high": 7}}}
    with pytest.raises(AlarmError, match=r"alarm\.mood: no such vital sign"):
        signals(odd)


def test_a_missing_parameter_is_named():
    odd = deepcopy(TABLES)
    del odd["alarm_param"]["silence"]
    with pytest.raises(AlarmError, match=r"alarm_param\.silence is missing"):
        signals(odd)


def test_the_rise_counts_only_where_it_speaks_earlier():
    low_base = signals(TABLES, {"systolic": Decimal(110)})["blood_pressure"].limits[0]
    high_base = signals(TABLES, {"systolic": Decimal(140)})["blood_pressure"].limits[0]
    assert low_base.thresholds[Level.ADVISORY].value == 132
    assert high_base.thresholds[Level.ADVISORY].value == 150


def test_a_signed_offset_moves_advisory_and_amber_and_never_red():
    (low,) = signals(TABLES, spo2_offset=Decimal(-3))["spo2"].limits
    values = {level: bound.value for level, bound in low.thresholds.items()}
    assert values == {
        Level.ADVISORY: 92,
        Level.AMBER: 91,
        Level.RED: 90,
        Level.CRITICAL: 85,
    }


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("blood_pressure", 149, Level.NONE),
        ("blood_pressure", 150, Level.ADVISORY),
        ("blood_pressure", 159, Level.ADVISORY),
        ("blood_pressure", 160, Level.AMBER),
        ("blood_pressure", 180, Level.AMBER),
        ("blood_pressure", 199, Level.AMBER),
        ("blood_pressure", 200, Level.CRITICAL),
        ("blood_pressure", 100, Level.NONE),
        ("blood_pressure", 99, Level.ADVISORY),
        ("blood_pressure", 89, Level.AMBER),
        ("blood_pressure", 84, Level.AMBER),
        ("blood_pressure", 69, Level.CRITICAL),
        ("moaas", 5, Level.NONE),
        ("moaas", 4, Level.ADVISORY),
        ("moaas", 3, Level.AMBER),
        ("moaas", 2, Level.RED),
        ("moaas", 1, Level.CRITICAL),
        ("moaas", 0, Level.CRITICAL),
    ],
)
def test_one_reading_on_each_side_of_every_threshold(name, value, level):
    code = "systolic" if name == "blood_pressure" else name
    assert alarm(name, (code, value, 0)).level is level


@pytest.mark.parametrize(
    ("code", "value", "after", "level"),
    [
        ("heart_rate", 100, 400, Level.NONE),
        ("heart_rate", 101, 29, Level.NONE),
        ("heart_rate", 101, 30, Level.ADVISORY),
        ("heart_rate", 121, 20, Level.AMBER),
        ("heart_rate", 131, 300, Level.AMBER),
        ("heart_rate", 131, 301, Level.RED),
        ("heart_rate", 151, 9, Level.NONE),
        ("heart_rate", 151, 10, Level.CRITICAL),
        ("spo2", 89, 30, Level.AMBER),
        ("spo2", 89, 31, Level.RED),
        ("respiratory_rate", 25, 30, Level.ADVISORY),
        ("respiratory_rate", 7, 10, Level.RED),
        ("respiratory_rate", 0, 14, Level.RED),
        ("respiratory_rate", 0, 15, Level.CRITICAL),
    ],
)
def test_a_stream_speaks_once_it_has_lasted(code, value, after, level):
    found, _ = stream(Alarm.of(SIGNALS[code]), code, value, 0, after)
    assert found.level is level


def test_a_typed_value_of_a_stream_counts_at_once_and_clears_at_once():
    quiet = Alarm.of(SIGNALS["spo2"])
    typed, event = quiet.after(seen("spo2", 93, 0, source="staff"))
    assert (typed.level, event.change) == (Level.AMBER, Change.RAISED)
    well, event = typed.after(seen("spo2", 97, 60, source="staff"))
    assert (well.level, event.change) == (Level.NONE, Change.CLOSED)


def test_one_low_sample_is_no_alarm():
    found, events = stream(Alarm.of(SIGNALS["spo2"]), "spo2", 84, 0, 0)
    found, more = stream(found, "spo2", 97, 1, 60)
    assert (found.level, events, more) == (Level.NONE, [], [])


def test_a_value_within_the_hysteresis_keeps_the_level():
    found, _ = stream(Alarm.of(SIGNALS["heart_rate"]), "heart_rate", 125, 0, 30)
    found, events = stream(found, "heart_rate", 117, 31, 120)
    assert (found.level, events) == (Level.AMBER, [])
    found, events = stream(found, "heart_rate", 115, 121, 151)
    assert [(one.change, one.level, one.at) for one in events] == [
        (Change.EASED, Level.ADVISORY, seconds(151))
    ]


def test_a_rise_from_set_to_set_is_an_advisory_until_the_next():
    assert alarm("dissociation", ("dissociation", 2, 0)).level is Level.NONE
    assert alarm("dissociation", ("dissociation", 2, 0), ("dissociation", 4, 900)).level == 0
    risen = alarm("dissociation", ("dissociation", 2, 0), ("dissociation", 5, 900))
    assert risen.level is Level.ADVISORY
    assert risen.after(seen("dissociation", 6, 1800))[0].level is Level.NONE


def test_a_level_has_its_word_and_its_priority():
    assert [(one.word, one.priority) for one in Level] == [
        ("none", ""),
        ("advisory", "low"),
        ("amber", "medium"),
        ("red", "high"),
        ("critical", "high"),
    ]


def test_a_reading_of_another_vital_changes_nothing():
    quiet = Alarm.of(SIGNALS["spo2"])
    assert quiet.after(seen("systolic", 250, 0)) == (quiet, None)
    wrong, right = seen("systolic", 250, 0), seen("systolic", 120, 0)
    assert quiet.corrected(wrong, right, seconds(5)) == (quiet, None)


# --- latching, silence, causes --------------------------------------------------------------


def red_heart():
    return stream(Alarm.of(SIGNALS["heart_rate"]), "heart_rate", 155, 0, 10)[0]


def test_high_latches_until_it_is_acknowledged_and_amber_does_not():
    high, events = stream(red_heart(), "heart_rate", 80, 11, 60)
    assert (high.level, high.present, events) == (Level.CRITICAL, Level.NONE, [])
    amber, _ = stream(Alarm.of(SIGNALS["heart_rate"]), "heart_rate", 125, 0, 20)
    amber, events = stream(amber, "heart_rate", 80, 21, 60)
    assert [one.change for one in events] == [Change.CLOSED]


def test_an_acknowledged_high_alarm_stays_open_while_it_lasts():
    heard, event = red_heart().acknowledge(seconds(11))
    assert (heard.level, heard.is_open, heard.is_sounding) == (Level.CRITICAL, True, False)
    assert event.kind == "alarm_acknowledged"
    heard, events = stream(heard, "heart_rate", 155, 12, 60)
    assert (heard.level, events) == (Level.CRITICAL, [])


def test_a_fall_and_a_new_rise_sound_again():
    heard, _ = red_heart().acknowledge(seconds(11))
    heard, events = stream(heard, "heart_rate", 125, 12, 42)
    assert [one.change for one in events] == [Change.EASED]
    heard, events = stream(heard, "heart_rate", 155, 43, 53)
    assert [(one.change, one.level) for one in events] == [(Change.WORSENED, Level.CRITICAL)]
    assert heard.is_sounding


def test_a_quiet_alarm_has_nothing_to_acknowledge():
    quiet = Alarm.of(SIGNALS["spo2"])
    assert quiet.acknowledge(seconds(0)) == (quiet, None)


def test_a_new_limit_of_the_same_alarm_breaks_the_silence():
    high = alarm("blood_pressure", ("systolic", 162, 0))
    heard, _ = high.acknowledge(seconds(5))
    low, event = heard.after(seen("systolic", 89, 60))
    assert (event.change, event.limit) == (Change.SOUNDS_AGAIN, "systolic low")
    assert low.is_sounding


def test_a_score_has_no_worsening_step_but_the_next_level():
    heard, _ = alarm("moaas", ("moaas", 1, 0)).acknowledge(seconds(5))
    assert heard.after(seen("moaas", 0, 60))[1] is None


def test_a_cause_is_asked_and_kept_until_it_closes():
    heard, _ = red_heart().acknowledge(seconds(11), cause="rate_down")
    heard = heard.with_cause("treated")
    heard, events = stream(heard, "heart_rate", 80, 12, 42)
    assert [(one.change, one.cause) for one in events] == [(Change.CLOSED, "treated")]


def test_a_cause_that_is_not_on_the_list_is_refused():
    with pytest.raises(AlarmError, match="use one of artefact"):
        red_heart().acknowledge(seconds(11), cause="boredom")
    with pytest.raises(AlarmError):
        red_heart().with_cause("boredom")


def test_an_event_tells_the_log_what_happened():
    _, event = Alarm.of(SIGNALS["blood_pressure"]).after(seen("systolic", 172, 0))
    assert event.kind == "alarm_raised"
    assert event.data() == {
        "signal": "blood_pressure",
        "change": "raised",
        "level": "amber",
        "limit": "systolic high",
        "value": "172",
    }
    _, opened = Technical.of_baseline(PARAMS, TWO)
    assert opened.data()["note"] == "no_baseline"
    assert "value" not in opened.data()


# --- symptoms, late and corrected values ----------------------------------------------------


def test_a_symptom_with_low_pressure_is_red_and_leaves_with_the_symptom():
    low = alarm("blood_pressure", ("systolic", 95, 0))
    worse, event = low.with_symptom(True, seconds(5))
    assert (event.change, event.level, event.note) == (Change.WORSENED, Level.RED, "symptom")
    heard, _ = worse.acknowledge(seconds(6))
    assert heard.with_symptom(False, seconds(7))[0].level is Level.ADVISORY


def test_a_symptom_without_raised_pressure_is_no_pressure_alarm():
    calm = alarm("blood_pressure", ("systolic", 120, 0))
    assert calm.with_symptom(True, seconds(5))[0].level is Level.NONE


def test_a_late_reading_speaks_only_when_critical():
    calm = alarm("blood_pressure", ("systolic", 120, 600))
    assert calm.after(seen("systolic", 190, 0)) == (calm, None)
    late, event = calm.after(seen("systolic", 211, 0))
    assert (event.level, event.note, late.late_for) == (Level.CRITICAL, "late", seconds(0))


def test_a_watch_is_not_turned_back_by_an_older_reading():
    watch = Watch(SIGNALS["blood_pressure"].limits[0]).after(seen("systolic", 120, 60))
    assert watch.after(seen("systolic", 250, 0)) is watch


def test_a_late_sample_of_a_stream_changes_nothing():
    calm = alarm("heart_rate", ("heart_rate", 80, 60))
    assert calm.after(seen("heart_rate", 200, 0)) == (calm, None)


def test_a_struck_late_value_takes_its_alarm_with_it():
    calm = alarm("blood_pressure", ("systolic", 120, 600))
    wrong = seen("systolic", 211, 0)
    late, _ = calm.after(wrong)
    well, event = late.corrected(wrong, None, seconds(700))
    assert (event.change, event.cause) == (Change.CLOSED, "value_corrected")
    assert well.leading.value == 120


def test_a_struck_red_takes_its_repeat_with_it():
    wrong = seen("systolic", 182, 0)
    pending, _ = Alarm.of(SIGNALS["blood_pressure"]).after(wrong)
    assert pending.note == "repeat_due"
    well, event = pending.corrected(wrong, seen("systolic", 128, 0), seconds(60))
    assert (event.change, well.repeat_by) == (Change.CLOSED, None)
    assert well.at(seconds(400))[1] is None


def test_a_struck_value_that_is_still_too_high_stays_open():
    wrong = seen("systolic", 215, 0)
    critical, _ = Alarm.of(SIGNALS["blood_pressure"]).after(wrong)
    left, event = critical.corrected(wrong, seen("systolic", 165, 0), seconds(60))
    assert (event.change, left.level) == (Change.EASED, Level.AMBER)


def test_a_repeat_that_comes_after_the_time_is_overdue_first():
    pending = alarm("blood_pressure", ("systolic", 182, 0))
    _, event = pending.after(seen("systolic", 184, 400))
    assert event.level is Level.RED
    calm, _ = pending.after(seen("systolic", 140, 400))
    assert (calm.present, calm.repeat_by) == (Level.NONE, None)


def test_from_critical_it_eases_to_red_without_a_repeat():
    critical, _ = alarm("blood_pressure", ("systolic", 202, 0)).acknowledge(seconds(5))
    eased, event = critical.after(seen("systolic", 190, 60))
    assert (event.change, eased.level, eased.note) == (Change.EASED, Level.RED, "")


def test_a_critical_reading_is_a_first_one_for_the_next_red():
    critical, _ = alarm("blood_pressure", ("systolic", 202, 0)).acknowledge(seconds(5))
    calm, _ = critical.after(seen("systolic", 150, 60))
    again, event = calm.after(seen("systolic", 184, 180))
    assert (event.change, again.level) == (Change.WORSENED, Level.RED)


def test_an_overdue_red_is_told_once():
    pending = alarm("blood_pressure", ("systolic", 182, 0))
    overdue, event = pending.at(seconds(300))
    assert (event.level, event.note) == (Level.RED, "repeat_overdue")
    assert overdue.at(seconds(301)) == (overdue, None)


# --- age, loudness, state -------------------------------------------------------------------


def test_a_value_is_unknown_when_there_is_none_or_it_is_too_old():
    limits = stale_limits(PARAMS)
    assert Alarm.of(SIGNALS["spo2"]).is_value_unknown(TWO, limits)
    fresh = alarm("spo2", ("spo2", 97, 0))
    assert not fresh.is_value_unknown(seconds(10), limits)
    assert fresh.is_value_unknown(seconds(11), limits)


def test_only_the_loudest_is_heard():
    amber = alarm("blood_pressure", ("systolic", 165, 0))
    critical = red_heart()
    assert loudest([amber, critical]) is critical
    heard, _ = critical.acknowledge(seconds(11))
    assert loudest([amber, heard]) is amber
    assert loudest([Alarm.of(SIGNALS["spo2"])]) is None


def test_the_state_travels_as_json_and_keeps_the_countdown():
    heard, _ = alarm("blood_pressure", ("systolic", 182, 0)).acknowledge(seconds(10))
    back = Alarm.from_json(heard.signal, json.loads(json.dumps(heard.to_json())))
    assert back == heard
    assert back.at(seconds(129))[1] is None
    assert back.at(seconds(130))[1].change is Change.SOUNDS_AGAIN
    late, _ = alarm("blood_pressure", ("systolic", 120, 600)).after(seen("systolic", 211, 0))
    assert Alarm.from_json(late.signal, json.loads(json.dumps(late.to_json()))) == late


def test_no_state_is_a_quiet_alarm_and_a_new_limit_a_new_watch():
    assert Alarm.from_json(SIGNALS["spo2"], {}) == Alarm.of(SIGNALS["spo2"])
    held = alarm("spo2", ("spo2", 97, 0)).to_json()
    limit = Limit("spo2 high", "spo2", "%", True, {Level.RED: Threshold(Decimal(100), True)})
    signal = SIGNALS["spo2"]
    wider = Signal("spo2", (*signal.limits, limit), signal.silence, signal.repeat)
    assert Alarm.from_json(wider, held).watches[1] == Watch(limit)


# --- technical alarms -----------------------------------------------------------------------


def spo2_technical():
    return Technical.of_vital("spo2", timedelta(seconds=10), PARAMS, TWO)


def test_no_value_at_all_becomes_stale_too():
    quiet = spo2_technical()
    assert quiet.at(seconds(10)) == (quiet, None)
    stale, event = quiet.at(seconds(11))
    assert (stale.level, event.note, event.signal) == (Level.AMBER, "stale", "spo2/technical")
    assert stale.is_open
    assert stale.is_sounding


def test_a_value_that_arrives_too_old_does_not_make_it_well():
    stale, _ = spo2_technical().at(seconds(60))
    old = Observation("spo2", Decimal(97), "%", seconds(20), seconds(61))
    still, event = stale.after(old)
    assert (still.reason, event) == ("stale", None)
    assert still.after(old) == (still, None)
    well, event = still.after(seen("spo2", 97, 62))
    assert (well.reason, event.change, event.level) == ("", Change.CLOSED, Level.NONE)


def test_a_value_of_another_vital_changes_no_technical_alarm():
    stale, _ = spo2_technical().at(seconds(60))
    assert stale.after(seen("systolic", 120, 61)) == (stale, None)


def test_a_device_that_says_no_value_is_believed():
    empty, event = spo2_technical().no_value(seconds(3))
    assert (empty.reason, event.change) == ("no_value", Change.RAISED)
    assert empty.no_value(seconds(4)) == (empty, None)


def test_a_technical_alarm_is_silenced_for_two_minutes_at_most():
    stale, _ = spo2_technical().at(seconds(60))
    heard, event = stale.acknowledge(seconds(61), cause="repositioned")
    assert (event.change, event.cause) == (Change.ACKNOWLEDGED, "repositioned")
    assert heard.acknowledge(seconds(62)) == (heard, None)
    assert heard.at(seconds(180))[1] is None
    assert heard.at(seconds(181))[1].change is Change.SOUNDS_AGAIN


def test_a_lost_link_is_never_muted():
    link = Technical.of_link(PARAMS, TWO)
    link, _ = link.heard(seconds(1))
    assert link.at(seconds(9))[1] is None
    lost, event = link.at(seconds(10))
    assert event.signal == "link/technical"
    with pytest.raises(AlarmError, match="takes no break"):
        lost.on_break("toilet", seconds(11))
    heard, _ = lost.acknowledge(seconds(11))
    assert heard.at(seconds(12))[1].change is Change.SOUNDS_AGAIN
    assert heard.heard(seconds(13))[1].change is Change.CLOSED


def test_a_break_needs_a_reason_and_its_renewal_another():
    with pytest.raises(AlarmError, match="needs a reason"):
        spo2_technical().on_break("  ", TWO)
    away = spo2_technical().on_break("toilet", TWO)
    with pytest.raises(AlarmError, match="new reason"):
        away.on_break("toilet", seconds(600))
    assert away.on_break("sick", seconds(600)).break_from == seconds(600)


def test_a_break_lasts_ten_minutes_at_most():
    away = spo2_technical().on_break("toilet", TWO)
    assert away.break_elapsed(seconds(180)) == timedelta(minutes=3)
    assert away.break_elapsed(seconds(600)) is None
    assert spo2_technical().break_elapsed(TWO) is None


def test_a_break_mutes_no_artefact():
    away = spo2_technical().on_break("toilet", TWO)
    flagged, _ = away.artefact(seconds(5))
    assert flagged.is_sounding


def test_the_baseline_that_is_found_closes_its_alarm():
    missing, event = Technical.of_baseline(PARAMS, TWO)
    assert event.note == "no_baseline"
    found, event = missing.known(seconds(60))
    assert event.change is Change.CLOSED
    assert found.known(seconds(61)) == (found, None)
    assert found.at(seconds(7200)) == (found, None)


def test_a_technical_state_travels_as_json():
    away, _ = spo2_technical().after(seen("spo2", 97, 1))
    away, _ = away.on_break("toilet", seconds(2)).at(seconds(30))
    again = spo2_technical().with_json(json.loads(json.dumps(away.to_json())))
    assert again == away
    assert spo2_technical().with_json({}) == spo2_technical()
