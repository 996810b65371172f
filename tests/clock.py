"""The clock of a test database: `afterglow_now()` shifted by a table that a test may write."""

from datetime import datetime
from typing import Any

from clinic.database import Connection

SHIFTED_NOW = """
CREATE TABLE test_clock AS
    SELECT interval '0' AS shift, prosrc AS shipped FROM pg_proc
    WHERE oid = 'afterglow_now()'::regprocedure;
GRANT SELECT, UPDATE ON test_clock TO ag_app, ag_worker;
CREATE OR REPLACE FUNCTION afterglow_now() RETURNS timestamptz LANGUAGE sql VOLATILE
    SECURITY DEFINER SET search_path = public, pg_temp
    AS 'SELECT clock_timestamp() + (SELECT shift FROM test_clock)';
"""


def install_test_clock(connection: Connection) -> None:
    """Replace `afterglow_now()` in the database that its owner, `connection`, is signed in to."""
    with connection.cursor() as cursor:
        cursor.execute(SHIFTED_NOW)


class Clock:
    """Sets and steps the time of the database that `connection` is signed in to.

    Time goes on from where it was put. Within a transaction the change ends with it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """Return the database's time, in UTC."""
        instant: datetime = self._execute("SELECT afterglow_now()")
        return instant

    def set(self, instant: datetime) -> None:
        """Make it `instant` now."""
        self._execute("UPDATE test_clock SET shift = %s - clock_timestamp() RETURNING 1", instant)

    def step(self, seconds: float) -> None:
        """Go `seconds` ahead, or back if negative."""
        change = "UPDATE test_clock SET shift = shift + make_interval(secs => %s) RETURNING 1"
        self._execute(change, seconds)

    def _execute(self, statement: str, *values: Any) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0]
