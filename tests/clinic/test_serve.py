"""`clinic serve` and `mllp` refuse what they cannot stand on, and begin to serve otherwise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from clinic.database import Check
from clinic.interop.management.commands import mllp
from clinic.people.management.commands import serve
from tests.clinic import hour


@pytest.fixture(autouse=True)
def routes_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether routes and policy agree is another test's question."""
    monkeypatch.setattr(serve.access, "check", lambda: None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What uvicorn was asked to serve."""
    asked: list[dict[str, Any]] = []

    def run(_app: str, **given: Any) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT 1")
        pool = connections["default"].pool
        asked.append(given | {"kept": pool is not None and pool.get_stats()["pool_size"]})

    monkeypatch.setattr(serve.uvicorn, "run", run)
    return asked


@pytest.mark.usefixtures("world_database")
def test_it_serves_on_the_loopback_address_only(served: list[dict[str, Any]]) -> None:
    hour.owner_installs("demo")
    with override_settings(MODE="demo", PORT=8123):
        call_command("serve")
    [asked] = served
    assert (asked["host"], asked["port"]) == ("127.0.0.1", 8123)
    assert asked["kept"] >= 1
    assert connections["default"].pool is None  # whatever runs after it


@pytest.mark.usefixtures("world_database")
def test_a_database_of_another_mode_is_refused(served: list[dict[str, Any]]) -> None:
    hour.owner_installs("demo")
    with override_settings(MODE="clinical"), pytest.raises(CommandError, match="mode demo"):
        call_command("serve")
    assert served == []


@pytest.mark.usefixtures("world_database")
@pytest.mark.parametrize(("mode", "starts"), [("clinical", False), ("demo", True)])
def test_a_failed_check_stops_a_clinic_and_is_said_in_a_demonstration(
    served: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    starts: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hour.owner_installs(mode)
    failed = [Check("fsync", False, "off", "on")]
    monkeypatch.setattr(serve.database, "checks", lambda _connection: failed)
    with override_settings(MODE=mode):
        if starts:
            call_command("serve")
            assert "fsync is off, not on" in capsys.readouterr().err
        else:
            with pytest.raises(CommandError, match="fsync is off"):
                call_command("serve")
    assert len(served) == int(starts)


@pytest.mark.usefixtures("world_database")
def test_a_database_behind_the_program_is_refused(
    served: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve.MigrationExecutor, "migration_plan", lambda *_: ["one"])
    with pytest.raises(CommandError, match="clinic migrate"):
        call_command("serve")
    assert served == []


def test_the_listener_serves_until_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def briefly(work: Any) -> None:
        async def scene() -> None:
            await asyncio.wait_for(work, 0.2)

        with pytest.raises(TimeoutError), asyncio.Runner() as runner:
            runner.run(scene())

    monkeypatch.setattr(mllp.asyncio, "run", briefly)
    call_command("mllp", "--port", "0")
    assert "listening for HL7 v2 on 127.0.0.1:" in capsys.readouterr().out
