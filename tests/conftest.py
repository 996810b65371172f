"""The ground of every test that needs one: an embedded server, a template database, its clones.

Tests in `PURE` folders run without Django. The others share one server a run, in a folder outside
the clone; each worker has a database of its own, cloned from a template that is migrated once.
`@pytest.mark.django_db` gives a transaction as `ag_app` that is rolled back; a test that must
commit takes `clone_database`.
"""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clinic.database import settings as database_settings
from clinic.postgres import Server
from clinic.postgres_account import STATE_FOLDER, locked, try_lock
from tests.clock import Clock, install_test_clock

if TYPE_CHECKING:
    from tests.world import World

HERE = Path(__file__).resolve().parent
PURE = ("core", "spec", "generative", "mutation")
TEMPLATE = "test_template"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")

IS_ROOT = os.geteuid() == 0
RUNS = STATE_FOLDER / "tests" if IS_ROOT else Path(tempfile.gettempdir(), f"ag-{os.geteuid()}")
held_runs: dict[Path, int] = {}


def pytest_configure(config: pytest.Config) -> None:
    if asks_only_pure_tests(config):
        return
    if not WORKER:
        os.environ["CLINIC_DATA"] = str(new_run())
    os.environ.pop("DATABASE_URL", None)
    os.environ.pop("DATABASE_MIGRATE_URL", None)
    os.environ.setdefault("SECRET_KEY", "of tests only")
    os.environ.setdefault("HASHED_STATIC", "false")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clinic.settings")
    import django

    django.setup()  # pytest-django then blocks the database until a test asks for it


def pytest_unconfigure() -> None:
    for folder, lock in list(held_runs.items()):
        remove_run(folder)
        os.close(held_runs.pop(folder, lock))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = item.get_closest_marker("django_db")
        if mark and (mark.kwargs.get("transaction") or any(mark.args)):
            raise pytest.UsageError(
                f"{item.nodeid}: the app may not TRUNCATE; take the fixture clone_database instead"
                " of transaction=True"
            )


def asks_only_pure_tests(config: pytest.Config) -> bool:
    asked = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    return all(any(path.is_relative_to(HERE / kind) for kind in PURE) for path in asked)


# -- the folder of a run ---------------------------------------------------------------------------


def new_run() -> Path:
    """Return a new folder for this run, and remove those of runs that were killed."""
    RUNS.mkdir(parents=True, exist_ok=True)
    with locked(RUNS / "lock"):
        for left in RUNS.iterdir():
            if left.is_dir() and (lock := hold(left)) is not None:
                remove_run(left)
                os.close(lock)
        folder = RUNS / uuid.uuid4().hex[:8]
        folder.mkdir(mode=0o700)
        lock = hold(folder)
        assert lock is not None
        held_runs[folder] = lock
    return folder


def hold(folder: Path) -> int | None:
    """Return the open lock of a run's folder, None while a living run holds it."""
    lock = os.open(folder / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    if try_lock(lock, fcntl.LOCK_EX):
        return lock
    os.close(lock)
    return None


def remove_run(folder: Path) -> None:
    """Stop the server of a run whose processes are gone, and remove its folder."""
    server = Server(folder)
    if server._postmaster() is not None:
        server.start().stop()
    if server.socket_folder.is_relative_to("/tmp"):
        shutil.rmtree(server.socket_folder, ignore_errors=True)
    shutil.rmtree(folder)


# -- the server and its databases ------------------------------------------------------------------


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The embedded server of this run, shared by its workers."""
    with Server(Path(os.environ["CLINIC_DATA"])) as running:
        yield running


@pytest.fixture(scope="session")
def template_database(server: Server, django_db_blocker: Any) -> str:
    """The name of the migrated database that clones are made of; nobody is signed in to it."""
    with locked(server.data / "template.lock", patience_s=300), django_db_blocker.unblock():
        if not server.has_database(TEMPLATE):
            server.create_database(TEMPLATE)
            try:
                migrate_template(server)
            except BaseException:
                server.drop_database(TEMPLATE)
                raise
    return TEMPLATE


def migrate_template(server: Server) -> None:
    """Migrate as the owner, as `clinic migrate` does, then put the test clock in."""
    from django.core.management import call_command
    from django.db import connections

    with pointed_at(server, TEMPLATE):
        call_command("migrate", database="migrate", verbosity=0, interactive=False)
        install_test_clock(connections["migrate"])


@contextmanager
def pointed_at(server: Server, database: str) -> Iterator[None]:
    """Make both aliases of Django sign in to `database`, in every thread; sign out at the end."""
    from django.db import connections

    before = {alias: dict(connections.settings[alias]) for alias in ("default", "migrate")}
    connections.close_all()
    for alias, role in (("default", "ag_app"), ("migrate", "ag_migrate")):
        entry = database_settings(**server.parameters(role, database))
        connections.settings[alias].update(entry)
    try:
        yield
    finally:
        connections.close_all()
        for alias, entry in before.items():
            connections.settings[alias].update(entry)


@contextmanager
def signed_in_as(server: Server, role: str, database: str) -> Iterator[None]:
    """Make `default` sign in to `database` as another role: the watch seals as `ag_worker`."""
    from django.db import connections

    before = dict(connections.settings["default"])
    connections["default"].close()
    del connections["default"]
    connections.settings["default"].update(database_settings(**server.parameters(role, database)))
    try:
        yield
    finally:
        connections["default"].close()
        del connections["default"]
        connections.settings["default"].update(before)


@contextmanager
def clone_of(server: Server, template: str, name: str) -> Iterator[str]:
    """Clone `template`, sign in to the clone, drop it."""
    server.create_database(name, template)
    try:
        with pointed_at(server, name):
            yield name
    finally:
        server.drop_database(name)


@pytest.fixture(scope="session")
def django_db_setup(
    server: Server, template_database: str, django_db_blocker: Any
) -> Iterator[None]:
    """The worker's own database with the world's sites and staff, for tests marked `django_db`."""
    from django.db import connections

    from tests.world import install

    with clone_of(server, template_database, f"test_{WORKER or 'main'}"):
        with django_db_blocker.unblock():
            install()
        yield
        with django_db_blocker.unblock():
            connections.close_all()


@pytest.fixture
def clone_database(server: Server, template_database: str, django_db_blocker: Any) -> Iterator[str]:
    """A database of this test alone, where it may commit; `server.url(role, name)` opens it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with django_db_blocker.unblock(), clone_of(server, template_database, name):
        yield name


@pytest.fixture
def clock() -> Clock:
    """The clock of the database that this test is signed in to."""
    from django.db import connection

    return Clock(connection)


@pytest.fixture
def world(request: pytest.FixtureRequest, settings: Any) -> "World":
    """Marie at Toronto, Alice acting; in demo mode, where a password alone signs staff in."""
    from tests.world import arrive

    request.getfixturevalue("db")
    settings.MODE = "demo"
    return arrive()
