"""Which database this process uses, as whom, whether it may be trusted, and what time it is there.

`DATABASE_URL` (and `DATABASE_MIGRATE_URL`) name any PostgreSQL from 15 on; without them it is the
embedded server of `CLINIC_DATA` (`clinic.postgres`). Reading this module starts nothing:
`running_server` does, and commands enter it before they load the settings.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.db import connection as default_connection
from django.db.backends.base.base import BaseDatabaseWrapper

from clinic import zones
from clinic.postgres import Server
from clinic.postgres_account import data_folder as data_folder  # settings ask here
from clinic.postgres_roles import OWNER

EMBEDDED_DATABASE = "afterglow"
TEST_DATABASE_PREFIX = "test_"
OLDEST_SERVER = 15
PROCESS_ROLES = {"worker": "ag_worker", "owner": OWNER}  # the owner seeds a demonstration

# What the first migration makes of afterglow_now(); only a test database may replace it.
NOW_SOURCE = "SELECT clock_timestamp()"


class Connection(Protocol):
    """A connection of Django or of psycopg."""

    def cursor(self) -> Any:
        """Return a cursor that is a context manager."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold before records are entrusted to the database."""

    name: str
    ok: bool
    value: str
    needed: str
    only_warns: bool = False


# -- where ----------------------------------------------------------------------------------------


def embedded(environ: Mapping[str, str] = os.environ) -> Server | None:
    """Return the embedded server, not started; None where `DATABASE_URL` names another one."""
    return None if environ.get("DATABASE_URL") else Server(data_folder(environ))


@contextmanager
def running_server(environ: Mapping[str, str] = os.environ) -> Iterator[Server | None]:
    """Hold the embedded server running, with its database made; nothing where there is another.

    Enter it before the settings are loaded: they read the passwords that a first start makes.
    """
    server = embedded(environ)
    if server is None:
        yield None
        return
    with server:
        server.ensure_database(EMBEDDED_DATABASE)
        yield server


def databases(environ: Mapping[str, str] = os.environ) -> dict[str, dict[str, Any]]:
    """Return Django's DATABASES: `default` for the app or the worker, `migrate` for the owner.

    `CLINIC_PROCESS=worker` makes `default` sign in as `ag_worker`, `owner` as the owner. With
    `DATABASE_URL`, `migrate` is there only if `DATABASE_MIGRATE_URL` is: a server that serves pages
    needs no owner. Raises ImproperlyConfigured for a process of the owner without it.
    """
    urls = {
        "default": environ.get("DATABASE_URL"),
        "migrate": environ.get("DATABASE_MIGRATE_URL"),
    }
    is_owner = environ.get("CLINIC_PROCESS") == "owner"
    if urls["default"] and is_owner:
        if not urls["migrate"]:
            raise ImproperlyConfigured("set DATABASE_MIGRATE_URL: this command is the owner's")
        urls["default"] = urls["migrate"]
    if urls["default"]:
        return {alias: settings(**parse_url(url)) for alias, url in urls.items() if url}
    server = Server(data_folder(environ))
    role = PROCESS_ROLES.get(environ.get("CLINIC_PROCESS", ""), "ag_app")
    return {
        alias: settings(**server.parameters(name, EMBEDDED_DATABASE))
        for alias, name in (("default", role), ("migrate", OWNER))
    }


def settings(
    *, dbname: str, user: str, password: str, host: str, port: str, **options: str
) -> dict[str, Any]:
    """Return one entry of DATABASES; `options` go to libpq as they are.

    Connections end with their request: under ASGI each request has a thread of its own, and a kept
    connection would be kept for nobody (`pooled` hands them on). The access layer opens the
    transaction, not Django.
    """
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": dbname,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": 0,
        "ATOMIC_REQUESTS": False,
        "DISABLE_SERVER_SIDE_CURSORS": False,
        "TIME_ZONE": None,
        "OPTIONS": {"connect_timeout": 5, "application_name": "afterglow", **options},
    }


@contextmanager
def pooled(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Keep the connections of this database for the next request, each checked before its use.

    For the process that serves pages, and for no other: whoever holds a session's lock or listens
    needs a connection of its own. What a transaction was told about its actor ends with it.
    """
    entry = connection.settings_dict
    before = dict(entry)
    connection.close()
    entry["CONN_HEALTH_CHECKS"] = True
    entry["OPTIONS"] = before["OPTIONS"] | {"pool": {"min_size": 2, "max_size": 16, "timeout": 5}}
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
        entry.update(before)


def parse_url(url: str) -> dict[str, str]:
    """Return the libpq parameters in a `postgresql://` URL.

    The socket's folder may stand as `?host=%2Ffolder`. Raises ImproperlyConfigured, which never
    repeats the URL: it holds a password.
    """
    form = "postgresql://role:password@host:5432/database"
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(
            f"DATABASE_URL begins with {parts.scheme or 'nothing'}://; Afterglow runs on"
            f" PostgreSQL only: {form}"
        )
    try:
        port = str(parts.port or "")
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL's port is no number: {form}") from error
    read = {
        "dbname": unquote(parts.path.removeprefix("/")),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": unquote(parts.hostname or ""),
        "port": port,
        **dict(parse_qsl(parts.query)),
    }
    if not (read["dbname"] and read["user"]):
        raise ImproperlyConfigured(f"DATABASE_URL names no database or no role: {form}")
    return read


# -- when -----------------------------------------------------------------------------------------


def now() -> datetime:
    """Return the instant the database says it is, in UTC: the one clock of every gate and wait."""
    with default_connection.cursor() as cursor:
        cursor.execute("SELECT afterglow_now()")
        instant: datetime = cursor.fetchone()[0]
    return instant


# -- whether --------------------------------------------------------------------------------------

READ_SETTINGS = """
    SELECT current_setting('fsync'), current_setting('synchronous_commit'),
           current_setting('full_page_writes'), current_setting('TimeZone'),
           current_setting('data_checksums'), current_setting('server_version_num')::int
"""
READ_ROLE = "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
# Also what a role owns through another that it may become.
READ_OWNED = """
    SELECT count(*) FROM pg_class AS seen JOIN pg_namespace AS place ON place.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm') AND nspname NOT IN ('pg_catalog', 'information_schema')
      AND nspname NOT LIKE 'pg_t%' AND pg_has_role(current_user, relowner, 'MEMBER')
"""
READ_NOW = """
    SELECT current_database(),
           (SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('afterglow_now()'))
"""


def checks(connection: Connection) -> list[Check]:
    """Return every boot check, asked over `connection` and of this process."""
    with connection.cursor() as cursor:
        return [
            *_durability(cursor),
            *_role(cursor),
            _clock(cursor),
            *_zones(),
        ]


def may_serve(seen: Iterable[Check]) -> bool:
    """Return whether no check fails, warnings aside."""
    return all(check.ok or check.only_warns for check in seen)


def _durability(cursor: Any) -> Iterator[Check]:
    cursor.execute(READ_SETTINGS)
    fsync, commit, pages, zone, checksums, number = cursor.fetchone()
    yield Check("fsync", fsync == "on", fsync, "on")
    durable = commit in ("on", "remote_apply")
    yield Check("synchronous_commit", durable, commit, "on or remote_apply")
    yield Check("full_page_writes", pages == "on", pages, "on")
    yield Check("TimeZone", zone == "UTC", zone, "UTC")
    major = number // 10_000
    yield Check("server_version", major >= OLDEST_SERVER, str(major), f">= {OLDEST_SERVER}")
    yield Check("data_checksums", checksums == "on", checksums, "on", only_warns=True)


def _role(cursor: Any) -> Iterator[Check]:
    cursor.execute(READ_ROLE)
    name, is_super, bypasses = cursor.fetchone()
    yield Check("role", not is_super, f"{name}{' (superuser)' if is_super else ''}", "no superuser")
    bound = "bypassed" if bypasses or is_super else "binding"
    yield Check("row_level_security", bound == "binding", bound, "binding")
    cursor.execute(READ_OWNED)
    (owned,) = cursor.fetchone()
    yield Check("owned_tables", owned == 0, str(owned), "0")


def _clock(cursor: Any) -> Check:
    cursor.execute(READ_NOW)
    database, source = cursor.fetchone()
    shipped = source is not None and source.strip() == NOW_SOURCE
    is_test = source is not None and database.startswith(TEST_DATABASE_PREFIX)
    value = "shipped" if shipped else "missing" if source is None else "replaced"
    return Check("afterglow_now", shipped or is_test, value, "shipped (test databases aside)")


def _zones() -> Iterator[Check]:
    wrong = list(zones.wrong_offsets())
    yield Check("zones", not wrong, "; ".join(wrong) or "as known", "as known")
    found, needed = zones.tzdata_version(), zones.NEEDED_TZDATA
    yield Check("tzdata", found >= needed, _dotted(found), f">= {_dotted(needed)}")


def _dotted(number: tuple[int, ...]) -> str:
    return ".".join(map(str, number))
