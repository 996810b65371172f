"""Which database, as whom, whether it may be trusted, what time it is there."""

import importlib.resources
import zoneinfo
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from clinic import database, zones
from clinic.postgres import Server
from tests.clock import Clock


def failing(seen: list[database.Check]) -> set[str]:
    return {check.name for check in seen if not check.ok}


# -- where -----------------------------------------------------------------------------------------


def test_without_an_address_it_is_the_embedded_server(server: Server) -> None:
    found = database.databases({"CLINIC_DATA": str(server.data)})
    assert {alias: entry["USER"] for alias, entry in found.items()} == {
        "default": "ag_app",
        "migrate": "ag_migrate",
    }
    assert found["default"]["HOST"] == str(server.data / "socket")
    assert found["default"]["PASSWORD"] == server.passwords()["ag_app"]


def test_a_worker_signs_in_as_the_worker(server: Server) -> None:
    found = database.databases({"CLINIC_DATA": str(server.data), "CLINIC_PROCESS": "worker"})
    assert found["default"]["USER"] == "ag_worker"


def test_reading_the_settings_makes_no_file_and_starts_nothing(tmp_path: Path) -> None:
    found = database.databases({"CLINIC_DATA": str(tmp_path / "data")})
    assert found["default"]["PASSWORD"] == ""
    assert list(tmp_path.iterdir()) == []


def test_an_address_names_another_server() -> None:
    found = database.databases(
        {"DATABASE_URL": "postgres://app:p%40ss@db:6543/kap?sslmode=require"}
    )
    assert set(found) == {"default"}
    entry = found["default"]
    assert [entry[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")] == [
        "kap",
        "app",
        "p@ss",
        "db",
        "6543",
    ]
    assert entry["OPTIONS"]["sslmode"] == "require"


def test_the_owner_signs_in_by_an_address_of_its_own() -> None:
    urls = {"DATABASE_URL": "postgres://app@/kap", "DATABASE_MIGRATE_URL": "postgres://own@/kap"}
    assert database.databases(urls)["migrate"]["USER"] == "own"


def test_a_command_of_the_owner_signs_in_as_the_owner_of_another_database_too() -> None:
    urls = {"DATABASE_URL": "postgres://app@/kap", "CLINIC_PROCESS": "owner"}
    own = database.databases(urls | {"DATABASE_MIGRATE_URL": "postgres://own@/kap"})
    assert {entry["USER"] for entry in own.values()} == {"own"}
    with pytest.raises(ImproperlyConfigured, match="set DATABASE_MIGRATE_URL"):
        database.databases(urls)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///secret.db", "PostgreSQL only"),
        ("secret", "PostgreSQL only"),
        ("postgresql://app:secret@db:port/kap", "port is no number"),
        ("postgresql://app:secret@db", "names no database or no role"),
        ("postgresql://db/kap?password=secret", "names no database or no role"),
    ],
)
def test_a_wrong_address_is_explained_and_not_repeated(url: str, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said) as error:
        database.parse_url(url)
    assert "secret" not in str(error.value)


def test_a_running_server_has_its_database(server: Server) -> None:
    with database.running_server({"CLINIC_DATA": str(server.data)}) as running:
        assert running is not None
        assert running.has_database(database.EMBEDDED_DATABASE)


def test_with_an_address_no_server_is_started() -> None:
    with database.running_server({"DATABASE_URL": "postgresql://app@db/kap"}) as running:
        assert running is None


# -- when ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("clone_database")
def test_the_database_says_what_time_it_is(clock: Clock) -> None:
    assert abs(database.now() - datetime.now(UTC)) < timedelta(seconds=5)
    clock.set(datetime(2026, 3, 8, 9, 59, tzinfo=UTC))
    clock.step(90)
    assert database.now() - datetime(2026, 3, 8, 10, 0, 30, tzinfo=UTC) < timedelta(seconds=5)
    assert database.now().utcoffset() == timedelta(0)


@pytest.mark.django_db
def test_a_stepped_clock_ends_with_its_transaction(clock: Clock) -> None:
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    clock.step(-86_400)
    assert clock.now() < datetime.now(UTC) - timedelta(hours=23)


test_the_next_test_has_the_true_time = test_a_stepped_clock_ends_with_its_transaction


# -- whether ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_app_on_the_embedded_server_may_serve() -> None:
    seen = database.checks(connection)
    assert failing(seen) == set()
    assert database.may_serve(seen)
    assert {check.name for check in seen} == {
        "fsync",
        "synchronous_commit",
        "full_page_writes",
        "TimeZone",
        "server_version",
        "data_checksums",
        "role",
        "row_level_security",
        "owned_tables",
        "afterglow_now",
        "zones",
        "tzdata",
    }


@pytest.mark.parametrize(
    ("setting", "value", "check"),
    [
        ("synchronous_commit", "off", "synchronous_commit"),
        ("synchronous_commit", "local", "synchronous_commit"),
        ("TimeZone", "America/Toronto", "TimeZone"),
    ],
)
def test_a_setting_that_risks_the_record_is_found(
    server: Server, clone_database: str, setting: str, value: str, check: str
) -> None:
    with server.connect(clone_database, "ag_app") as session:
        assert failing(database.checks(session)) == set()
        session.execute(f"SET {setting} = '{value}'".encode())
        seen = database.checks(session)
    assert failing(seen) == {check}
    assert not database.may_serve(seen)


class Told:
    """A connection that answers `READ_SETTINGS` with what it is told, the rest truly."""

    def __init__(self, session: psycopg.Connection, answer: tuple[Any, ...]) -> None:
        self._session, self._answer = session, answer

    def cursor(self) -> "Told":
        return self

    def __enter__(self) -> "Told":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, statement: str) -> None:
        self._is_settings = statement == database.READ_SETTINGS
        self._rows = self._session.execute(statement.encode())

    def fetchone(self) -> Any:
        return self._answer if self._is_settings else self._rows.fetchone()


@pytest.mark.parametrize(
    ("answer", "check", "serves"),
    [
        (("off", "on", "on", "UTC", "on", 180004), "fsync", False),
        (("on", "on", "off", "UTC", "on", 180004), "full_page_writes", False),
        (("on", "on", "on", "UTC", "on", 140010), "server_version", False),
        (("on", "remote_apply", "on", "UTC", "off", 150000), "data_checksums", True),
    ],
)
def test_a_server_that_may_lose_the_record_is_found(
    server: Server, clone_database: str, answer: tuple[Any, ...], check: str, serves: bool
) -> None:
    with server.connect(clone_database, "ag_app") as session:
        seen = database.checks(Told(session, answer))
    assert failing(seen) == {check}
    assert database.may_serve(seen) is serves


def test_the_owner_may_not_serve(server: Server, clone_database: str) -> None:
    with server.connect(clone_database, "ag_migrate") as session:
        assert failing(database.checks(session)) == {"owned_tables"}


def test_a_superuser_may_not_serve(server: Server, clone_database: str) -> None:
    with server.connect(clone_database) as session:
        assert failing(database.checks(session)) >= {"role", "row_level_security", "owned_tables"}


def test_a_replaced_clock_is_found_outside_a_test_database(server: Server) -> None:
    name = "clock_of_a_clinic"
    server.create_database(name)
    try:
        with (
            server.connect(name, "ag_migrate") as owner,
            server.connect(name, "ag_app") as session,
        ):
            assert failing(database.checks(session)) == {"afterglow_now"}
            made = "CREATE FUNCTION afterglow_now() RETURNS timestamptz LANGUAGE sql"
            owner.execute(f"{made} AS '{database.NOW_SOURCE}'".encode())
            assert failing(database.checks(session)) == set()
            owner.execute(
                "CREATE OR REPLACE FUNCTION afterglow_now() RETURNS timestamptz LANGUAGE sql"
                " AS 'SELECT clock_timestamp() - interval ''1 hour'''"
            )
            assert failing(database.checks(session)) == {"afterglow_now"}
    finally:
        server.drop_database(name)


@pytest.mark.django_db
def test_the_migrations_ship_the_clock_that_the_check_knows() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT shipped FROM test_clock")
        assert cursor.fetchone() == (database.NOW_SOURCE,)


# -- zones -----------------------------------------------------------------------------------------


def test_vancouver_stays_seven_hours_behind() -> None:
    assert list(zones.wrong_offsets()) == []
    assert zones.tzdata_version() >= zones.NEEDED_TZDATA


def test_an_old_copy_of_the_zones_is_found(tmp_path: Path) -> None:
    machine = tmp_path / "America"
    machine.mkdir()
    toronto = (importlib.resources.files("tzdata.zoneinfo.America") / "Toronto").read_bytes()
    (machine / "Vancouver").write_bytes(toronto)  # a machine that takes Vancouver for Toronto
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert [line.split(":")[0] for line in zones.wrong_offsets()] == [
            "America/Vancouver 2026-01-15",
            "America/Vancouver 2026-12-15",
        ]
    finally:
        zones.pin()
    assert list(zones.wrong_offsets()) == []
