"""Fixtures of the hour. Models are imported inside: this file is read before Django is set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from clinic.postgres import Server
from tests.conftest import WORKER, clone_of, pointed_at

if TYPE_CHECKING:
    from tests.clinic.hour import Hour


@pytest.fixture(scope="session")
def world_template(server: Server, template_database: str, django_db_blocker: Any) -> Iterator[str]:
    """A database with the two sites and their staff, made once a worker, to be cloned."""
    from tests import world

    name = f"test_world_{WORKER or 'main'}"
    server.create_database(name, template_database)
    with django_db_blocker.unblock(), pointed_at(server, name):
        world.install()
    yield name
    server.drop_database(name)


@pytest.fixture
def world_database(server: Server, world_template: str, django_db_blocker: Any) -> Iterator[str]:
    """A database of this test alone, with sites and staff; it may commit."""
    name = f"test_{uuid4().hex[:12]}"
    with django_db_blocker.unblock(), clone_of(server, world_template, name):
        yield name


@pytest.fixture
def empty(server: Server, clone_database: str, settings: Any) -> Iterator[None]:
    """A clinical installation without a site; `default` signs in as the owner, as commands do."""
    settings.MODE = "clinical"
    with as_owner():
        yield
    assert server.has_database(clone_database)


@contextmanager
def as_owner() -> Iterator[None]:
    """Sign `default` in as the owner of the database, as its commands do."""
    from django.db import connections

    kept = dict(connections.settings["default"])
    connections["default"].close()
    connections.settings["default"].update(connections.settings["migrate"])
    yield
    connections["default"].close()
    connections.settings["default"].update(kept)


@pytest.fixture
def ready(world_database: str) -> Hour:
    """Marie, screened and consented, with a session now: committed."""
    from clinic.people import access
    from tests import world
    from tests.clinic import hour

    assert world_database
    with access.acting(world.author("alice")):
        return hour.marie()


@pytest.fixture
def running(ready: Hour) -> Hour:
    """Marie with her infusion running: committed."""
    from clinic.people import access
    from tests import world

    with access.acting(world.author("bob")):
        ready.start()
    return ready


@pytest.fixture(scope="session", autouse=True)
def static_folder() -> None:
    """The folder of collected static files: empty, but whitenoise warns when it is not there."""
    from django.conf import settings

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
