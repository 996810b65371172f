"""What a database error means to a process that lives on: told by its SQLSTATE, never by its text.

The text of an error may hold a patient's values. Source: PostgreSQL, Appendix A (error codes).
"""

from __future__ import annotations

import psycopg
from django.db import InterfaceError, OperationalError

NOT_HEARD = (InterfaceError, OperationalError, psycopg.InterfaceError, psycopg.OperationalError)

# The classes and codes that a living process meets, the longer before the shorter.
MEANINGS = {
    "40P01": "two transactions waited for each other",
    "40001": "another transaction was first",
    "57014": "a statement was cancelled or took too long",
    "55P03": "a lock was not free in time",
    "53100": "the database's disk is full",
    "22": "a value did not fit",
    "23": "a constraint refused a row",
    "28": "the sign-in was refused",
    "42501": "a permission was refused",
    "42": "a statement does not fit the schema",
    "53": "the database is out of a resource",
    "58": "the database's machine failed",
    "XX": "the database reports damage or a defect",
}
AWAY = ("57P", "08")
# Nothing was wrong with the work: done again, it may succeed.
PASSING = ("40P01", "40001", "55P03")


def state_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error of Django or psycopg; empty where none was heard."""
    return str(getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or "")


def is_away(error: BaseException) -> bool:
    """Return whether the connection is gone: sign in again, and send nothing as stored."""
    state = state_of(error)
    if not state:  # the server said nothing at all
        return isinstance(error, NOT_HEARD)
    return state.startswith(AWAY)


def is_passing(error: BaseException) -> bool:
    """Return whether the same work may succeed at once: others were in its way."""
    return state_of(error) in PASSING


def told(error: BaseException) -> str:
    """Return what happened, in words for a log, without anybody's values."""
    state = state_of(error)
    if is_away(error):
        meaning = "the connection to the database was lost"
    else:
        known = (words for code, words in MEANINGS.items() if state.startswith(code))
        meaning = next(known, "the database refused") if state else "an error of the program"
    return f"{meaning} ({type(error).__name__}{f', SQLSTATE {state}' if state else ''})"
