"""Writing the hour: the order, the start, the log, the feed, the way home.

Each action: load, ask the core, write, audit; one transaction. A pause, a stop and an emergency
ask nobody.
"""

from clinic.dosing.actions.devices import add_device, retire_device
from clinic.dosing.actions.home import close_vial, discharge, leave_against_advice
from clinic.dosing.actions.log import emergency, pause, record_event, resume, say, stop, undo
from clinic.dosing.actions.monitor import (
    Heard,
    acknowledge,
    beat,
    bind,
    close_alarm,
    record_heard,
    record_observations,
    record_set,
    release,
    score,
    tick_alarms,
)
from clinic.dosing.actions.order import meet_condition, override, sign_order, tell_record
from clinic.dosing.actions.start import (
    AUTHORIZATION_LIFE,
    Changed,
    ask_at_the_chair,
    authorise,
    lock_patient,
    neutral,
    start_infusion,
)

__all__ = [
    "AUTHORIZATION_LIFE",
    "Changed",
    "Heard",
    "acknowledge",
    "add_device",
    "ask_at_the_chair",
    "authorise",
    "beat",
    "bind",
    "close_alarm",
    "close_vial",
    "discharge",
    "emergency",
    "leave_against_advice",
    "lock_patient",
    "meet_condition",
    "neutral",
    "override",
    "pause",
    "record_event",
    "record_heard",
    "record_observations",
    "record_set",
    "release",
    "resume",
    "retire_device",
    "say",
    "score",
    "sign_order",
    "start_infusion",
    "stop",
    "tell_record",
    "tick_alarms",
    "undo",
]
