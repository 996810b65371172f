"""The roles of the database, what each may do, and the SQL that makes them.

No role is a superuser or passes row-level security: `ag_migrate` owns tables and functions,
`ag_app` and `ag_worker` serve pages and watch, `ag_registry` reads de-identified views, `ag_backup`
reads all.
"""

SUPERUSER = "postgres"
OWNER = "ag_migrate"
ROLES = (OWNER, "ag_app", "ag_worker", "ag_registry", "ag_backup")
HURRIED_ROLES = ("ag_app", "ag_worker")
ROLE_DEFAULTS = {
    "statement_timeout": "10s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "15s",
}


def role_statements(role: str) -> list[str]:
    """Return the SQL that makes one role: no superuser, bound by row-level security."""
    limits = "NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT LOGIN"
    defaults = {"TimeZone": "UTC", **(ROLE_DEFAULTS if role in HURRIED_ROLES else {})}
    settings = [f"ALTER ROLE {role} SET {name} = '{value}';" for name, value in defaults.items()]
    return [f"CREATE ROLE {role} {limits};", *settings]


def database_statements(name: str) -> list[str]:
    """Return the SQL that closes database `name`, while signed in to it, to all but our roles."""
    quoted = '"' + name.replace('"', '""') + '"'
    return [
        f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC;",
        f"GRANT CONNECT ON DATABASE {quoted} TO {', '.join(ROLES)};",
        f"ALTER DATABASE {quoted} SET TimeZone = 'UTC';",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC;",
        f"GRANT CREATE ON SCHEMA public TO {OWNER};",
    ]


def roles_sql(database: str = "afterglow") -> str:
    """Return the psql script that prepares another PostgreSQL (>= 15) as the embedded one is."""
    roles = [line for role in ROLES for line in (*role_statements(role), f"\\password {role}")]
    return "\n".join(
        [
            "-- Run by psql as a superuser; it asks for a password for each role.",
            "SET password_encryption = 'scram-sha-256';",
            *roles,
            f"CREATE DATABASE {database} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8';",
            f"\\connect {database}",
            *database_statements(database),
            "",
        ]
    )
