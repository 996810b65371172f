"""Writing what the phases share. Each action: load, ask the core, write, audit; one transaction."""

from clinic.course.actions.asking import Occasion, ask_again, asked_once
from clinic.course.actions.consents import sign_consent, withdraw_consent
from clinic.course.actions.day_before import ask_the_day_before
from clinic.course.actions.decisions import Lifted, decide
from clinic.course.actions.facts import Reading, correct_fact, record_facts
from clinic.course.actions.lists import review_list
from clinic.course.actions.opening import enrol_patient, open_course, open_patient
from clinic.course.actions.protocols import newest_protocol, register_protocols
from clinic.course.actions.rows import Refused, hold, written
from clinic.course.actions.sent import keep, repeated
from clinic.course.actions.sessions import plan_session
from clinic.course.actions.tasks import close_task, open_task

__all__ = [
    "Lifted",
    "Occasion",
    "Reading",
    "Refused",
    "ask_again",
    "ask_the_day_before",
    "asked_once",
    "close_task",
    "correct_fact",
    "decide",
    "enrol_patient",
    "hold",
    "keep",
    "newest_protocol",
    "open_course",
    "open_patient",
    "open_task",
    "plan_session",
    "record_facts",
    "register_protocols",
    "repeated",
    "review_list",
    "sign_consent",
    "withdraw_consent",
    "written",
]
