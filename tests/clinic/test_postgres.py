"""The embedded server trusts nobody, survives crashes, and changes no folder but its own."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import psutil
import psycopg
import pytest

from clinic import postgres_account
from clinic.database import parse_url
from clinic.postgres import Server
from clinic.postgres_account import (
    Account,
    ServerError,
    data_folder,
    locked,
    make_data_folder,
    parents_unchanged,
    programs,
    system_account,
)
from clinic.postgres_roles import ROLES, SUPERUSER, roles_sql


@pytest.fixture
def spare(server: Server) -> Iterator[Server]:
    """A server of this test alone, not started; stopped and removed afterwards."""
    folder = server.data / f"spare-{uuid.uuid4().hex[:6]}"
    made = Server(folder)
    yield made
    made.stop()
    if (folder / "data" / "PG_VERSION").exists() and made._postmaster():
        Server(folder).start().stop()
    if made.socket_folder.is_relative_to("/tmp"):
        shutil.rmtree(made.socket_folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:8]}"
    server.create_database(name)
    yield name
    server.drop_database(name)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def postmaster(server: Server) -> psutil.Process:
    pid = server._postmaster()
    assert pid is not None
    return psutil.Process(pid)


def not_yet_trusted(server: Server) -> bool:
    known = server.parameters(SUPERUSER, SUPERUSER) | {"require_auth": "none"}
    try:
        psycopg.connect(**known).close()
    except psycopg.OperationalError:
        return True
    return False


# -- nobody is trusted -----------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["", "guess"])
@pytest.mark.parametrize("role", [SUPERUSER, "ag_app", "ag_migrate", "stranger"])
def test_nobody_signs_in_without_the_password(server: Server, role: str, password: str) -> None:
    known = server.parameters(SUPERUSER, SUPERUSER)
    known |= {"user": role, "password": password, "passfile": str(server.data / "none")}
    del known["require_auth"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(**known)


def test_a_start_that_finds_a_trusted_sign_in_goes_no_further(spare: Server) -> None:
    rules = spare.start().data / "data" / "pg_hba.conf"
    Server(spare.data).start().stop()  # as made, it is accepted
    with spare.connect() as connection:
        rules.write_text("local all all trust\n")
        connection.execute("SELECT pg_reload_conf()")
        while not_yet_trusted(spare):
            time.sleep(0.01)
    with pytest.raises(ServerError, match="without a password"):
        Server(spare.data).start()
    spare.stop()
    spare.start()  # written anew
    spare.refuse_trust()


def test_a_rule_for_one_other_database_is_found_too(spare: Server) -> None:
    rules = spare.start().data / "data" / "pg_hba.conf"
    rules.write_text("local other all trust\nlocal all all scram-sha-256\n")
    with pytest.raises(ServerError, match="besides SCRAM"):
        spare.refuse_trust()


def test_the_server_listens_on_no_network(server: Server) -> None:
    with server.connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert not postmaster(server).net_connections("inet")


def test_nobody_else_may_read_the_folders_or_the_passwords(server: Server) -> None:
    for name in ("data", "socket", "log"):
        assert mode(server.data / name) == 0o700
    assert mode(server.data / "passwords.json") == 0o600
    assert mode(server.data) & 0o007 == 0


def test_root_leaves_the_server_to_a_system_user(server: Server) -> None:
    uids = postmaster(server).uids()
    assert uids.effective == system_account().uid != 0


def test_values_of_rows_stay_out_of_the_log(server: Server, database: str) -> None:
    with server.connect(database, "ag_migrate") as connection:
        connection.execute("CREATE TABLE seen (name text PRIMARY KEY)")
        connection.execute("INSERT INTO seen VALUES ('Marie Canary')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="Canary"):
            connection.execute("INSERT INTO seen VALUES ('Marie Canary')")
    said = "".join(path.read_text() for path in (server.data / "log").iterdir())
    assert "duplicate key" in said
    assert "Canary" not in said


# -- roles -----------------------------------------------------------------------------------------


def test_no_role_is_above_row_level_security(server: Server) -> None:
    with server.connect() as connection:
        found = connection.execute(
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolcanlogin"
            " FROM pg_roles WHERE rolname LIKE 'ag_%'"
        ).fetchall()
    assert {row[0] for row in found} == set(ROLES)
    assert {row[1:] for row in found} == {(False, False, False, False, True)}


@pytest.mark.parametrize(
    ("role", "statement", "lock", "idle"),
    [
        ("ag_app", "10s", "2s", "15s"),
        ("ag_worker", "10s", "2s", "15s"),
        ("ag_migrate", "0", "0", "0"),
    ],
)
def test_the_app_never_waits_long(
    server: Server, database: str, role: str, statement: str, lock: str, idle: str
) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
    with server.connect(database, role) as connection:
        found = [connection.execute(f"SHOW {name}").fetchone() for name in names]
    assert found == [(statement,), (lock,), (idle,), ("UTC",)]


@pytest.mark.parametrize(
    "order",
    [
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
        "SET ROLE ag_migrate",
        "SET session_replication_role = replica",
    ],
)
def test_the_app_may_build_nothing(server: Server, database: str, order: str) -> None:
    with (
        server.connect(database, "ag_app") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(order)


def test_the_owner_may_build_tables(server: Server, database: str) -> None:
    with server.connect(database, "ag_migrate") as connection:
        connection.execute("CREATE TABLE mine (a int)")


def test_the_app_may_not_enter_the_servers_own_database(server: Server) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        server.connect(SUPERUSER, "ag_app")


def test_the_script_for_another_postgresql_makes_the_same_roles(server: Server) -> None:
    script = [line for line in roles_sql("test_other").splitlines() if not line.startswith("\\")]
    script = [line.replace("ag_", "other_") for line in script if "SCHEMA" not in line]
    read = "SELECT rolname, rolsuper, rolbypassrls, rolconfig FROM pg_roles WHERE rolname LIKE %s"
    with server.connect() as connection:
        try:
            for line in script:
                connection.execute(line.encode())
            other = connection.execute(read, ("other_%",)).fetchall()
            ours = connection.execute(read, ("ag_%",)).fetchall()
        finally:
            server.drop_database("test_other")
            for role in ROLES:
                connection.execute(f"DROP ROLE IF EXISTS {role.replace('ag_', 'other_')}".encode())
    assert {(name.replace("other_", "ag_"), *rest[:2], *rest[2]) for name, *rest in other} == {
        (name, *rest[:2], *rest[2]) for name, *rest in ours
    }


# -- databases -------------------------------------------------------------------------------------


def test_a_clone_holds_what_its_template_holds(server: Server, database: str) -> None:
    with server.connect(database, "ag_migrate") as connection:
        connection.execute("CREATE TABLE told AS SELECT 7 AS a")
    clone = f"{database}_clone"
    server.create_database(clone, database)
    with server.connect(clone, "ag_migrate") as connection:
        assert connection.execute("SELECT a FROM told").fetchone() == (7,)
    server.drop_database(clone)
    assert not server.has_database(clone)


def test_ensuring_a_database_twice_keeps_it(server: Server, database: str) -> None:
    with server.connect(database, "ag_migrate") as connection:
        connection.execute("CREATE TABLE kept (a int)")
    server.ensure_database(database)
    with server.connect(database, "ag_migrate") as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_the_url_says_what_the_parameters_say(server: Server) -> None:
    url = server.url("ag_app", "a b")
    assert parse_url(url) == server.parameters("ag_app", "a b")


def test_letters_with_accents_have_case_on_every_machine(server: Server) -> None:
    with server.connect() as connection:
        assert connection.execute("SELECT lower('ÉLOÏSE')").fetchone() == ("éloïse",)


# -- start, stop, crash ----------------------------------------------------------------------------


def test_the_last_one_out_stops_the_server(spare: Server) -> None:
    other = Server(spare.start().data).start()
    spare.stop()
    other.connect().close()
    other.stop()
    assert other._postmaster() is None


def test_stopping_twice_or_unstarted_is_harmless(spare: Server) -> None:
    spare.stop()
    spare.start().start()
    spare.stop()
    spare.stop()


def test_what_was_stored_is_there_after_a_kill(spare: Server) -> None:
    spare.start().create_database("kept")
    postmaster(spare).send_signal(signal.SIGKILL)
    with Server(spare.data) as again:
        assert again.has_database("kept")


def test_a_start_waits_for_what_a_killed_server_left_running(spare: Server) -> None:
    with spare.start().connect() as session:
        session.execute("SET statement_timeout = '2s'")
        busy = Thread(target=count_for_long, args=(session,))
        busy.start()
        time.sleep(0.3)  # it counts
        postmaster(spare).send_signal(signal.SIGKILL)
        Server(spare.data).start().connect().close()
        busy.join()


def count_for_long(session: psycopg.Connection) -> None:
    with contextlib.suppress(psycopg.Error):
        session.execute("SELECT sum(i) FROM generate_series(1, 1000000000) AS i")


def test_patience_with_a_killed_server_ends(spare: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic.postgres.ORPHANS_PATIENCE_S", 0)
    with spare.start().connect() as session:
        session.execute("SET statement_timeout = '2s'")
        busy = Thread(target=count_for_long, args=(session,))
        busy.start()
        time.sleep(0.3)  # it counts
        postmaster(spare).send_signal(signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(ServerError, match="shared memory"):
            Server(spare.data).start()
        busy.join()


def test_a_strangers_process_number_in_the_pid_file_is_not_our_server(spare: Server) -> None:
    spare.start()
    pid_file = spare.data / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    spare.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with Server(spare.data) as again:
        assert postmaster(again).pid != os.getpid()


def test_two_processes_may_start_it_at_once(spare: Server) -> None:
    program = (
        "import sys, pathlib; from clinic.postgres import Server\n"
        "with Server(pathlib.Path(sys.argv[1])) as s: s.ensure_database('both')"
    )
    command = [sys.executable, "-c", program, str(spare.data)]
    both = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert not spare._postmaster()


def test_a_folder_with_a_long_path_gets_a_short_socket(server: Server, spare: Server) -> None:
    spare.data = server.data / spare.data.name / ("long-" * 20)
    spare._cluster = spare.data / "data"
    spare.data.parent.mkdir()
    shutil.copystat(server.data, spare.data.parent)
    os.chown(spare.data.parent, server.data.stat().st_uid, server.data.stat().st_gid)
    socket = spare.start().socket_folder
    assert len(os.fsencode(socket)) < 60
    assert mode(socket) == 0o700
    spare.stop()
    assert spare.start().socket_folder == socket
    spare.stop()
    shutil.rmtree(socket)  # as /tmp is emptied at boot
    assert spare.start().socket_folder != socket


def test_a_start_that_fails_says_what_the_server_said(spare: Server) -> None:
    spare.start().stop()
    (spare.data / "data" / "postgresql.auto.conf").write_text("max_connections = many\n")
    with pytest.raises(ServerError, match="max_connections"):
        spare.start()


def test_a_server_that_fails_its_own_check_is_stopped_again(
    spare: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trusting(_: Server) -> None:
        raise ServerError("lets everybody in")

    with monkeypatch.context() as patch:
        patch.setattr(Server, "refuse_trust", trusting)
        with pytest.raises(ServerError, match="lets everybody in"):
            spare.start()
    assert spare._postmaster() is None
    spare.start()


def test_lost_passwords_are_named(spare: Server) -> None:
    spare.start().stop()
    (spare.data / "passwords.json").unlink()
    with pytest.raises(ServerError, match=r"passwords\.json is gone; put it back"):
        spare.start()


def test_a_cluster_of_another_version_is_left_alone(spare: Server) -> None:
    spare.start().stop()
    (spare.data / "data" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ServerError, match="of PostgreSQL 16, this is 18: dump it"):
        spare.start()


# -- the machine -----------------------------------------------------------------------------------


def test_no_folder_above_the_data_changes_its_mode(spare: Server) -> None:
    before = {folder: mode(folder) for folder in spare.data.parents}
    spare.start()
    assert {folder: mode(folder) for folder in spare.data.parents} == before


def test_a_changed_mode_above_the_data_is_noticed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with (
        pytest.raises(ServerError, match=r"the mode of .* changed"),
        parents_unchanged(tmp_path / "d"),
    ):
        tmp_path.chmod(0o755)


def test_clinic_data_is_taken_from_the_environment(tmp_path: Path) -> None:
    assert data_folder({"CLINIC_DATA": str(tmp_path)}) == tmp_path


def test_data_lie_in_the_clone_except_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert data_folder({}) == Path(__file__).parents[2] / "var"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert data_folder({}).parent == postgres_account.STATE_FOLDER


def test_as_root_no_data_lie_in_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    with pytest.raises(ServerError, match="inside a home"):
        make_data_folder(tmp_path / "var", Account(1, 1))


def test_as_root_a_folder_the_server_may_not_pass_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *_: None)
    with pytest.raises(ServerError, match="may not pass"):
        make_data_folder(closed / "var", Account(1, 1))
    assert mode(closed) == 0o700


def test_programs_that_the_servers_user_cannot_read_are_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(postgres_account, "STATE_FOLDER", tmp_path / "state")
    monkeypatch.setattr(Account, "run", closed)
    first = programs(Account(1, 1))
    said = subprocess.run([first / "postgres", "--version"], capture_output=True, text=True)
    assert said.stdout.startswith("postgres (PostgreSQL) 18")
    made = first.stat().st_ctime_ns
    assert programs(Account(1, 1)) == first
    assert first.stat().st_ctime_ns == made


def test_without_the_wheel_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ServerError, match="make setup"):
        programs(Account(1, 1))


def test_a_machine_without_useradd_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_account, "SYSTEM_USER", "afterglow-nobody-made")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match="useradd --system afterglow-nobody-made"):
        system_account()


def test_the_server_never_runs_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_account, "SYSTEM_USER", "root")
    with pytest.raises(ServerError, match="never runs as root"):
        system_account()


def test_a_lock_that_is_held_is_named_after_a_while(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock"),
        pytest.raises(ServerError, match="another process holds"),
        locked(tmp_path / "lock", patience_s=0),
    ):
        pass
