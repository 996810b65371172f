"""The embedded PostgreSQL server: made, hardened, started, stopped.

Everything lies in one folder, `CLINIC_DATA`:

    data/           the cluster (0700)          log/            the server's log, one week (0700)
    socket/         its only door (0700)        passwords.json  one random password a role (0600)
    server.lock     one starts or stops at a time
    users.lock      whoever uses the server holds it shared: the last one out stops the server

The wheel that brings the binaries trusts every local user, so none of its Python code runs here:
the cluster asks for SCRAM passwords from its first moment, listens on no network, and a start
that finds a sign-in without a password goes no further. Run by root, the server is a system user.
"""

import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from clinic.postgres_account import (
    MAJOR,
    Account,
    ServerError,
    locked,
    make_data_folder,
    parents_unchanged,
    programs,
    system_account,
    try_lock,
)
from clinic.postgres_roles import OWNER, ROLES, SUPERUSER, database_statements, role_statements

LONGEST_SOCKET_PATH = 100  # bytes; Linux allows 107, macOS 103
ORPHANS_PATIENCE_S = 15  # the app's statements end after 10 s
PORT = 5432  # names the socket's file; nothing listens on a network

# Written anew at each start. `terse` and the two lengths keep values of rows out of the log.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "dynamic_shared_memory_type": "posix",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgres-%a.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
    "log_file_mode": "0600",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
SIGN_IN_RULES = "# Afterglow writes this file at each start.\nlocal all all scram-sha-256\n"


class Server:
    """The server of one data folder. `start` may be called by many processes, `stop` by each."""

    def __init__(self, data: Path) -> None:
        self.data = Path(os.path.abspath(data))
        self._cluster = self.data / "data"
        self._hold: int | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Make the cluster if there is none, start it unless it runs, and hold it until `stop`.

        Raises ServerError where the folder, the user or the sign-in is not as safe as it must be.
        """
        if self._hold is not None:
            return self
        with parents_unchanged(self.data):
            account = system_account()
            make_data_folder(self.data, account)
            with locked(self.data / "server.lock"):
                self._bring_up(account, programs(account))
                self._hold = os.open(self.data / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._hold, fcntl.LOCK_SH)
        return self

    def stop(self) -> None:
        """Let go of the server; the last one to let go stops it."""
        if self._hold is None:
            return
        with locked(self.data / "server.lock"):
            if try_lock(self._hold, fcntl.LOCK_EX) and self._postmaster() is not None:
                account = system_account()
                self._control(programs(account), account, "stop", "--mode=fast")
            os.close(self._hold)
            self._hold = None

    def _bring_up(self, account: Account, bin_folder: Path) -> None:
        if not self.passwords():
            self._make_passwords()
        if not self._cluster.exists():
            self._make_cluster(account, bin_folder)
        made_by = (self._cluster / "PG_VERSION").read_text().strip()
        if made_by != str(MAJOR):
            raise ServerError(
                f"{self._cluster} is of PostgreSQL {made_by}, this is {MAJOR}: dump it with the"
                " version that made it and restore it into a new CLINIC_DATA"
            )
        if self._postmaster() is not None:
            self._secure()
            return
        self._configure(account, self._cluster, self._socket_folder(account))
        self._forget_a_strangers_number()
        self._start_after_a_crash(bin_folder, account)
        try:
            self._secure()
        except BaseException:
            self._control(bin_folder, account, "stop", "--mode=fast")
            raise

    def _secure(self) -> None:
        self.refuse_trust()
        self._make_roles()

    def _socket_folder(self, account: Account) -> Path:
        """Return the folder of the socket: `socket/`, or a short one made, checked and recorded."""
        usual = self.data / "socket"
        if len(os.fsencode(usual / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
            return usual
        recorded = self.socket_folder
        if recorded == usual or not recorded.exists() or not account.owns(recorded):
            recorded = Path(tempfile.mkdtemp(prefix="afterglow-", dir="/tmp"))
            account.make_folder(recorded)
            (self.data / "socket.path").write_text(str(recorded))
        return recorded

    def _make_cluster(self, account: Account, bin_folder: Path) -> None:
        """Make the cluster beside its place and move it there whole: a crash leaves no half."""
        fresh, word = self.data / "data.new", self.data / "socket" / "word"
        shutil.rmtree(fresh, ignore_errors=True)
        account.make_folder(fresh)
        account.write(word, self.passwords()[SUPERUSER])
        try:
            account.run(
                bin_folder / "initdb",
                f"--pgdata={fresh}",
                f"--username={SUPERUSER}",
                f"--pwfile={word}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",  # same order and case rules on every machine
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
            )
        finally:
            word.unlink()
        self._configure(account, fresh, self._socket_folder(account))
        fresh.rename(self._cluster)

    def _configure(self, account: Account, cluster: Path, socket: Path) -> None:
        places = {"unix_socket_directories": socket, "log_directory": self.data / "log"}
        lines = [f"{name} = '{value}'" for name, value in {**SETTINGS, **places}.items()]
        account.write(cluster / "postgresql.conf", "\n".join([*lines, ""]))
        account.write(cluster / "pg_hba.conf", SIGN_IN_RULES)

    def _postmaster(self) -> int | None:
        """Return the id of the running server's process, None if there is none.

        A crash leaves `postmaster.pid` behind, and a stranger may have its number since.
        """
        pid = _first_number(self._cluster / "postmaster.pid")
        try:
            command = psutil.Process(pid).cmdline() if pid else []
        except psutil.Error:
            return None
        return pid if str(self._cluster) in command else None

    def _forget_a_strangers_number(self) -> None:
        """Remove lock files whose process lives and is another one; PostgreSQL sees to the rest."""
        socket_lock = self.socket_folder / f".s.PGSQL.{PORT}.lock"
        for path in (self._cluster / "postmaster.pid", socket_lock):
            if (pid := _first_number(path)) and psutil.pid_exists(pid):
                path.unlink()

    def _start_after_a_crash(self, bin_folder: Path, account: Account) -> None:
        """Start, patient with sessions that a killed server left: each ends with its statement."""
        until = time.monotonic() + ORPHANS_PATIENCE_S
        while True:
            try:
                return self._control(bin_folder, account, "start")
            except ServerError as error:
                if "pre-existing shared memory" not in str(error) or time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def _control(self, bin_folder: Path, account: Account, order: str, *options: str) -> None:
        log = self.data / "log" / "start.log"
        if order == "start":
            log.unlink(missing_ok=True)
        where = (f"--pgdata={self._cluster}", f"--log={log}", "--wait", "--timeout=120", "--silent")
        try:
            account.run(bin_folder / "pg_ctl", order, *where, *options)
        except ServerError as error:
            tail = log.read_text()[-800:] if log.exists() else ""
            raise ServerError(f"{error}\n{tail}".strip()) from error

    # -- who may sign in ------------------------------------------------------------------------

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's socket."""
        recorded = self.data / "socket.path"
        return Path(recorded.read_text()) if recorded.exists() else self.data / "socket"

    def passwords(self) -> dict[str, str]:
        """Return the password of each role; none before the first start."""
        path = self.data / "passwords.json"
        if path.exists():
            known: dict[str, str] = json.loads(path.read_text())
            return known
        if self._cluster.exists():
            raise ServerError(f"{path} is gone; put it back, nobody can sign in without it")
        return {}

    def _make_passwords(self) -> None:
        made = {role: secrets.token_urlsafe(32) for role in (SUPERUSER, *ROLES)}
        fresh = self.data / "passwords.new"
        Account(os.geteuid(), os.getegid()).write(fresh, json.dumps(made, indent=1))
        fresh.rename(self.data / "passwords.json")

    def parameters(self, role: str, database: str) -> dict[str, str]:
        """Return what libpq needs to sign `role` in; by SCRAM the server proves itself too."""
        return {
            "host": str(self.socket_folder),
            "port": str(PORT),
            "user": role,
            "password": self.passwords().get(role, ""),
            "dbname": database,
            "require_auth": "scram-sha-256",
        }

    def url(self, role: str, database: str) -> str:
        """Return `parameters` as one URL, for DATABASE_URL."""
        seen = self.parameters(role, database)
        host = quote(seen["host"], safe="")
        word = quote(seen["password"], safe="")
        return (
            f"postgresql://{role}:{word}@/{quote(database, safe='')}"
            f"?host={host}&port={PORT}&require_auth=scram-sha-256"
        )

    def connect(self, database: str = SUPERUSER, role: str = SUPERUSER) -> psycopg.Connection:
        """Return a new connection in autocommit, as the superuser unless told otherwise."""
        return psycopg.connect(**self.parameters(role, database), autocommit=True)  # type: ignore[arg-type]  # psycopg types its keywords one by one

    def refuse_trust(self) -> None:
        """Raise ServerError if anyone can sign in without a password."""
        bare = {
            **self.parameters(SUPERUSER, SUPERUSER),
            "password": "",
            "passfile": str(self.data / "none"),
        }
        del bare["require_auth"]
        try:
            psycopg.connect(**bare).close()  # type: ignore[arg-type]  # as above
        except psycopg.OperationalError:
            pass
        else:
            raise ServerError(f"{self._cluster} lets {SUPERUSER} in without a password; refused")
        with self.connect() as connection:
            rules = connection.execute("SELECT auth_method, error FROM pg_hba_file_rules")
            if any(rule != ("scram-sha-256", None) for rule in rules):
                raise ServerError(f"{self._cluster}/pg_hba.conf has a rule besides SCRAM; refused")

    def _make_roles(self) -> None:
        with self.connect() as connection, connection.transaction():
            known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            if missing := [role for role in ROLES if role not in known]:
                connection.execute(f"REVOKE CONNECT ON DATABASE {SUPERUSER}, template1 FROM PUBLIC")
            for role in missing:
                connection.execute("\n".join(role_statements(role)).encode())
                word = self.passwords()[role].encode()
                secret = connection.pgconn.encrypt_password(word, role.encode(), b"scram-sha-256")
                statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
                connection.execute(statement.format(sql.Identifier(role), secret.decode()))

    # -- databases ------------------------------------------------------------------------------

    def has_database(self, name: str) -> bool:
        """Return whether a database of that name exists."""
        with self.connect() as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            return found.rowcount == 1

    def ensure_database(self, name: str) -> None:
        """Create a database unless it is there."""
        with locked(self.data / "database.lock"):
            if not self.has_database(name):
                self.create_database(name)

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database of `ag_migrate`, empty or a copy of `template` (no one signed in)."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template or "template0")
        )
        with self.connect() as connection:
            connection.execute(statement)
        with self.connect(name) as connection:
            connection.execute("\n".join(database_statements(name)).encode())

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, whoever is signed in."""
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with self.connect() as connection:
            connection.execute(statement)


def _first_number(path: Path) -> int | None:
    """Return the process id that a lock file of PostgreSQL begins with."""
    try:
        return int(path.read_text().split("\n")[0])
    except (FileNotFoundError, ValueError):
        return None
