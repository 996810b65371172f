"""Any hour of readings and acknowledgements: nothing is silent for long, nothing high is lost."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from kap.alarm import Alarm, Change, Level
from tests.core.test_alarm import SIGNALS, TWO, seconds, seen

PRESSURE = SIGNALS["blood_pressure"]
MOST_SILENT = timedelta(seconds=120)

# A step: the seconds that pass, then a reading or (None) an acknowledgement.
steps = st.lists(
    st.tuples(st.integers(1, 200), st.none() | st.integers(60, 240)), min_size=1, max_size=12
)


def hour(signal, told):
    """Yield (second, alarm, event) of each second and of each step."""
    alarm, now = Alarm.of(signal), 0
    for passed, value in told:
        for _ in range(passed):
            now += 1
            alarm, event = alarm.at(seconds(now))
            yield now, alarm, event
        if value is None:
            alarm, event = alarm.acknowledge(seconds(now))
        else:
            alarm, event = alarm.after(seen("systolic", value, now))
        yield now, alarm, event


def longest_silence(signal, told):
    """The longest time for which the alarm was open and did not sound."""
    longest, since = timedelta(0), None
    for now, alarm, _ in hour(signal, told):
        if not alarm.is_open or alarm.is_sounding:
            since = None
            continue
        since = seconds(now) if since is None else since
        longest = max(longest, seconds(now) - since)
    return longest


@given(steps)
@settings(deadline=None)  # an hour of seconds, on a machine that does other things
def test_an_open_alarm_is_never_silent_for_more_than_two_minutes(told):
    assert longest_silence(PRESSURE, told) <= MOST_SILENT


def test_an_alarm_that_stays_silent_is_found_out():
    deaf = replace(PRESSURE, silence=timedelta(hours=1))
    told = [(1, 165), (1, None), (200, 165)]
    assert longest_silence(PRESSURE, told) <= MOST_SILENT < longest_silence(deaf, told)


def lost(told):
    """The high alarms that closed although nobody had acknowledged them."""
    wants, found = False, []
    for _, alarm, event in hour(PRESSURE, told):
        if event is None:
            continue
        if event.change is Change.CLOSED and wants:
            found.append(event)
        if event.change is Change.ACKNOWLEDGED:
            wants = False
        elif event.change in (Change.RAISED, Change.WORSENED):
            wants = alarm.present >= Level.RED or wants
    return found


@given(steps)
@settings(deadline=None)  # an hour of seconds, on a machine that does other things
def test_a_high_alarm_never_closes_unacknowledged(told):
    assert lost(told) == []


@given(steps, st.integers(60, 240), st.integers(0, 60))
@settings(deadline=None)  # an hour of seconds, on a machine that does other things
def test_a_worse_pressure_never_gives_a_lower_level(told, value, more):
    alarm = Alarm.of(PRESSURE)
    for now, alarm, _ in hour(PRESSURE, told):  # noqa: B007  the last of them is wanted
        pass
    if value < 100:  # below, more is better
        return
    milder, _ = alarm.after(seen("systolic", value, now + 1))
    worse, _ = alarm.after(seen("systolic", min(300, value + more), now + 1))
    high = milder.watches[0].level, worse.watches[0].level
    assert high[0] <= high[1]


@given(steps)
@settings(deadline=None)  # an hour of seconds, on a machine that does other things
def test_the_state_read_back_behaves_as_the_state_kept(told):
    for now, alarm, _ in hour(PRESSURE, told):
        if now % 7:
            continue
        again = Alarm.from_json(PRESSURE, alarm.to_json())
        assert again == alarm
        assert again.at(seconds(now + 60)) == alarm.at(seconds(now + 60))


@given(st.lists(st.integers(70, 100), min_size=40, max_size=90))
def test_the_level_of_a_stream_never_passes_what_the_values_were(values):
    alarm = Alarm.of(SIGNALS["spo2"])
    limit = SIGNALS["spo2"].limits[0]
    worst = Level.NONE
    for second, value in enumerate(values):
        worst = max(worst, limit.level_of(Decimal(value)))
        alarm, _ = alarm.after(seen("spo2", value, second))
        assert alarm.level <= worst
    assert alarm.since is None or alarm.since >= TWO


@given(st.integers(70, 84), st.integers(0, 40))
def test_a_value_that_lasts_is_never_missed(value, before):
    alarm = Alarm.of(SIGNALS["spo2"])
    for second in range(before):
        alarm, _ = alarm.after(seen("spo2", 97, second))
    for second in range(before, before + 11):
        alarm, _ = alarm.after(seen("spo2", value, second))
    assert alarm.level is Level.CRITICAL
