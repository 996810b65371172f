"""What the database keeps by itself: no row of another site, and no change of what was recorded.

Raw SQL as the roles of the program, on a clone in which every table of a patient holds one row of
each site. The rows are made by the superuser with constraints dropped: only visibility is asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from psycopg.errors import InsufficientPrivilege

from clinic.guard import BareWrite, Recorded
from clinic.postgres import Server
from tests.conftest import clone_of

SITES = ("toronto", "vancouver")
PATIENTS = {site: uuid.uuid5(uuid.NAMESPACE_DNS, site) for site in SITES}
OURS = ("audit", "people", "course", "intake", "dosing", "outcomes", "therapy", "interop", "portal")
MODELS = [model for model in apps.get_models() if model._meta.app_label in OURS]
# Places and devices are not about a patient; every other table with a site holds patients' data.
NOT_A_PATIENTS = {
    *("people_site", "people_premisesapproval", "people_staff", "people_role", "people_room"),
    "dosing_device",
}


def columns_of(model: Any) -> set[str]:
    return {field.column for field in model._meta.fields}


TABLES = sorted(
    model._meta.db_table
    for model in MODELS
    if "site_id" in columns_of(model) and model._meta.db_table not in NOT_A_PATIENTS
)
RECORDED = {model._meta.db_table: model for model in MODELS if issubclass(model, Recorded)}


@pytest.fixture(scope="module")
def filled(server: Server, template_database: str, django_db_blocker: Any) -> Iterator[str]:
    """The name of a database in which each site has one row in every table of a patient."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock(), clone_of(server, template_database, name):
        with psycopg.connect(server.url("postgres", name)) as owner:
            owner.execute("SET session_replication_role = replica")
            for table in (*TABLES, "people_patient"):
                drop_constraints(owner, table)
                for site in SITES:
                    owner.execute(insertion(owner, table, site))
        yield name


def run(connection: Any, statement: str, *values: Any) -> Any:
    """Execute a statement put together from the tables' own names."""
    return connection.execute(statement, values or None)


def drop_constraints(owner: Any, table: str) -> None:
    """Drop what dummies would break: checks, references, uniqueness. The primary key stays."""
    for kind, found in (("CONSTRAINT", CONSTRAINTS), ("INDEX", UNIQUE)):
        for (name,) in run(owner, found, table).fetchall():
            where = f"ALTER TABLE {table} DROP" if kind == "CONSTRAINT" else "DROP"
            run(owner, f"{where} {kind} IF EXISTS {name} CASCADE")


CONSTRAINTS = (
    "SELECT conname FROM pg_constraint"
    " WHERE conrelid = %s::regclass AND contype IN ('c', 'f', 'u', 'x')"
)
UNIQUE = (
    "SELECT indexrelid::regclass::text FROM pg_index"
    " WHERE indrelid = %s::regclass AND indisunique AND NOT indisprimary"
)
DUMMIES = {
    "uuid": "gen_random_uuid()",
    "timestamp with time zone": "now()",
    "date": "'1990-01-01'",
    "boolean": "false",
    "jsonb": "'{}'",
    "character varying": "'x'",
    "text": "'x'",
    "bytea": "'x'",
}


def insertion(connection: Any, table: str, site: str) -> str:
    """Return an INSERT of a row of this site, with something in every column."""
    described = run(
        connection,
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s AND is_identity = 'NO'",
        table,
    ).fetchall()
    values = {name: DUMMIES.get(kind, "1") for name, kind in described}
    known = {"site_id": site, "patient_id": PATIENTS[site]}
    if table == "people_patient":
        known["id"] = PATIENTS[site]
    values |= {name: f"'{value}'" for name, value in known.items() if name in values}
    named, told = ", ".join(values), ", ".join(values.values())
    return f"INSERT INTO {table} ({named}) VALUES ({told})"


@pytest.fixture(params=["ag_app", "ag_worker"])
def program(request: pytest.FixtureRequest, server: Server, filled: str) -> Iterator[Any]:
    """A transaction as a role of the program, rolled back."""
    with psycopg.connect(server.url(request.param, filled)) as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def app(server: Server, filled: str) -> Iterator[Any]:
    """A transaction as the app."""
    with psycopg.connect(server.url("ag_app", filled)) as connection:
        yield connection
        connection.rollback()


def act_at(connection: Any, *sites: str) -> None:
    run(connection, "SELECT set_config('afterglow.sites', %s, true)", ",".join(sites))


def seen(connection: Any, table: str) -> list[str]:
    """Return the sites whose rows are seen (a Patient's, by the patient)."""
    if table != "people_patient":
        return [row[0] for row in run(connection, f"SELECT site_id FROM {table} ORDER BY 1")]
    rows = [row[0] for row in run(connection, "SELECT id FROM people_patient")]
    return sorted(site for site in SITES if PATIENTS[site] in rows)


def test_the_list_of_tables_is_the_programs() -> None:
    assert {"audit_event", "course_fact", "course_decision", "dosing_observation"} <= set(TABLES)
    assert len(TABLES) > 20


# -- row-level security ----------------------------------------------------------------------------


@pytest.mark.parametrize("table", [*TABLES, "people_patient"])
def test_row_level_security_is_on_and_binds_the_owner_too(app: Any, table: str) -> None:
    on = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass"
    assert run(app, on, table).fetchone() == (True, True)


@pytest.mark.parametrize("table", [*TABLES, "people_patient"])
def test_the_rows_are_there_for_who_is_not_bound(server: Server, filled: str, table: str) -> None:
    with psycopg.connect(server.url("postgres", filled)) as superuser:
        assert seen(superuser, table) == list(SITES)


@pytest.mark.parametrize("table", [*TABLES, "people_patient"])
def test_without_a_site_no_row_is_seen(program: Any, table: str) -> None:
    assert seen(program, table) == []
    act_at(program)  # what is left of an earlier transaction's setting: an empty text
    assert seen(program, table) == []


@pytest.mark.parametrize("table", [*TABLES, "people_patient"])
def test_a_site_sees_its_own_rows_alone(program: Any, table: str) -> None:
    act_at(program, "toronto")
    assert seen(program, table) == ["toronto"]
    act_at(program, "vancouver")
    assert seen(program, table) == ["vancouver"]
    act_at(program, *SITES)
    assert seen(program, table) == list(SITES)


def test_the_setting_ends_with_its_transaction(app: Any) -> None:
    act_at(app, "toronto")
    assert seen(app, "course_fact") == ["toronto"]
    app.commit()
    assert seen(app, "course_fact") == []


OPEN_BY_TRIGGER = {"dosing_infusion"}  # a start asks its authorisation before its site


WRITTEN_BY_THE_WATCH = {"audit_seal", "audit_head", "audit_walk"}


@pytest.mark.parametrize("table", sorted(set(TABLES) - OPEN_BY_TRIGGER))
def test_a_row_of_another_site_cannot_be_written(server: Server, filled: str, table: str) -> None:
    role = "ag_worker" if table in WRITTEN_BY_THE_WATCH else "ag_app"
    with psycopg.connect(server.url(role, filled)) as writer:
        act_at(writer, "toronto")
        statement = insertion(writer, table, "vancouver")
        with pytest.raises(InsufficientPrivilege, match="row-level security"):
            writer.execute(statement)


@pytest.mark.parametrize("table", ["course_fact", "course_decision", "audit_event", "therapy_note"])
def test_the_same_row_of_the_own_site_can(app: Any, table: str) -> None:
    act_at(app, "toronto")
    app.execute(insertion(app, table, "toronto"))
    assert seen(app, table) == ["toronto", "toronto"]


def test_a_patient_is_written_only_by_who_acts_at_a_site(app: Any) -> None:
    statement = insertion(app, "people_patient", "toronto").replace(
        str(PATIENTS["toronto"]), str(uuid.uuid4())
    )
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        run(app, statement)
    app.rollback()
    act_at(app, "toronto")
    run(app, statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE course_fact DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE course_fact NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE course_fact DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "SET ROLE ag_migrate",
        "DROP POLICY course_fact_see ON course_fact",
        "INSERT INTO people_site (code, name, zone, jurisdiction, phone, address)"
        " VALUES ('x', 'x', 'x', 'x', 'x', 'x')",
        "UPDATE people_role SET role = 'prescriber'",
        "UPDATE people_installation SET mode = 'demo'",
    ],
)
def test_the_program_cannot_open_its_own_doors(app: Any, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        run(app, statement)


# -- append-only -----------------------------------------------------------------------------------

# Kept only to be locked: columns that may change, by grant. Each is held equal to a log elsewhere.
LOCK_ROWS = {
    "dosing_infusion",
    "dosing_loghead",
    "dosing_alarm",
    "dosing_association",
    "dosing_heartbeat",
}
APPENDED = sorted(set(RECORDED) - LOCK_ROWS - {"people_installation"})


@pytest.mark.parametrize("table", APPENDED)
@pytest.mark.parametrize("what", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_program_cannot_change_or_remove_what_was_recorded(
    app: Any, table: str, what: str
) -> None:
    act_at(app, *SITES)
    column = RECORDED[table]._meta.pk.column
    with pytest.raises(InsufficientPrivilege, match="permission denied"):
        run(app, what.format(table, column, column))


@pytest.mark.parametrize("table", sorted(set(APPENDED) & set(TABLES)))
@pytest.mark.parametrize("what", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_not_even_the_owner_changes_or_removes_what_was_recorded(
    server: Server, filled: str, table: str, what: str
) -> None:
    column = RECORDED[table]._meta.pk.column
    with psycopg.connect(server.url("ag_migrate", filled)) as owner:
        with pytest.raises(InsufficientPrivilege, match="append-only"):
            run(owner, what.format(table, column, column))
        owner.rollback()


@pytest.mark.parametrize("table", sorted(LOCK_ROWS))
def test_of_a_row_kept_to_be_locked_only_the_named_columns_change(app: Any, table: str) -> None:
    model = RECORDED[table]
    granted = {
        row[0]
        for row in run(
            app,
            "SELECT column_name FROM information_schema.column_privileges"
            " WHERE table_name = %s AND privilege_type = 'UPDATE' AND grantee = 'ag_app'",
            table,
        )
    }
    assert granted
    assert not granted & {model._meta.pk.column, "site_id", "patient_id", "recorded_at", "dose_ug"}
    with pytest.raises(InsufficientPrivilege, match="permission denied"):
        run(app, f"DELETE FROM {table}")


@pytest.mark.parametrize("table", sorted(RECORDED))
def test_a_bare_save_or_delete_is_refused_before_the_database(table: str) -> None:
    row = RECORDED[table]()
    with pytest.raises(BareWrite, match="append-only"):
        row.save()
    with pytest.raises(BareWrite, match="append-only"):
        row.delete()


def test_the_time_of_recording_is_the_servers_whatever_was_sent(app: Any) -> None:
    act_at(app, "toronto")
    statement = insertion(app, "course_task", "toronto").replace("now()", "'2001-01-01'")
    run(app, statement)
    latest = run(app, "SELECT max(recorded_at) - now() < interval '1 min' FROM course_task")
    assert latest.fetchone() == (True,)
    told = run(app, "SELECT count(*) FROM course_task WHERE recorded_at < '2002-01-01'")
    assert told.fetchone() == (0,)
