"""Settings are read by helpers that fail loudly; each command says its mode and process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clinic import commands, database, settings
from clinic.postgres_roles import roles_sql


@pytest.mark.parametrize(("said", "read"), [("true", True), ("TRUE", True), ("false", False)])
def test_a_flag_is_true_or_false(monkeypatch: pytest.MonkeyPatch, said: str, read: bool) -> None:
    monkeypatch.setenv("DEBUG", said)
    assert settings.flag("DEBUG", not read) is read


def test_what_is_no_flag_or_no_choice_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG", "yes")
    monkeypatch.setenv("CLINIC_MODE", "production")
    with pytest.raises(ValueError, match="DEBUG='yes': say true or false"):
        settings.flag("DEBUG", False)
    with pytest.raises(ValueError, match="say one of clinical, demo"):
        settings.choice("CLINIC_MODE", "clinical", {"demo", "clinical"})
    monkeypatch.delenv("CLINIC_MODE")
    assert settings.choice("CLINIC_MODE", "clinical", {"demo", "clinical"}) == "clinical"


def test_the_secret_is_made_once_and_read_by_its_owner_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setattr(database, "data_folder", lambda: tmp_path / "data")
    first = settings._secret()
    assert len(first) > 50
    assert settings._secret() == first
    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("SECRET_KEY", "given")
    assert settings._secret() == "given"


@pytest.mark.parametrize(
    ("words", "mode", "process"),
    [
        (["demo"], "demo", None),
        (["watch"], None, "worker"),
        (["mllp"], None, "worker"),
        (["site", "add"], None, "owner"),
        (["staff", "add"], None, "owner"),
        (["audit", "verify"], None, "worker"),
        (["serve"], None, None),
    ],
)
def test_a_command_runs_while_the_server_is_held_up(
    monkeypatch: pytest.MonkeyPatch, words: list[str], mode: str | None, process: str | None
) -> None:
    told: list[Any] = []

    @contextmanager
    def held() -> Iterator[None]:
        told.append("up")
        yield
        told.append("down")

    monkeypatch.setattr(os, "environ", {"PATH": "", "DJANGO_SETTINGS_MODULE": "clinic.settings"})
    monkeypatch.setattr(sys, "argv", ["clinic", *words])
    monkeypatch.setattr(database, "running_server", held)
    monkeypatch.setattr("django.core.management.execute_from_command_line", told.append)
    commands.main()
    assert told == ["up", ["clinic", *words], "down"]
    assert (os.environ.get("CLINIC_MODE"), os.environ.get("CLINIC_PROCESS")) == (mode, process)


def test_the_roles_of_another_postgresql_are_printed_before_there_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["clinic", "roles-sql", "harbour"])
    monkeypatch.setattr(database, "running_server", None)  # asked, it would fail
    commands.main()
    assert capsys.readouterr().out == roles_sql("harbour")


def test_allauth_counts_no_failed_sign_in_beside_axes() -> None:
    from allauth.account import app_settings

    assert (app_settings.RATE_LIMITS["login"], app_settings.RATE_LIMITS["login_failed"]) == (
        None,
        None,
    )
    assert settings.EMAIL_TIMEOUT
