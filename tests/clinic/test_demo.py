"""The demonstration: invented people through the real gates, and processes that end together."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction

from clinic.audit import chain
from clinic.course import actions as course_actions
from clinic.course.models import Course, Referral
from clinic.database import now
from clinic.database import settings as database_settings
from clinic.demo.clock import stepped
from clinic.demo.life import Life
from clinic.demo.management.commands import demo, seed
from clinic.demo.places import build
from clinic.dosing.models import Infusion
from clinic.people import access
from clinic.people.models import Site
from clinic.postgres import Server
from clinic.therapy.models import Note
from kap import synth

PHASES = ("referred", "running", "mid-series")
WHEN = (
    "2026-11-24T00:05-05:00",
    "2026-11-24T03:30-05:00",
    "2026-11-24T07:55-05:00",
    "2026-11-24T12:00+00:00",
    "2026-11-24T23:55-08:00",
    "2026-11-24T23:55+00:00",
    "2026-11-01T01:30-05:00",  # the second time that night
    "2026-11-01T03:30-05:00",
    "2027-03-14T03:30-04:00",
    "2027-03-14T05:05-04:00",
)


@pytest.fixture
def owner(server: Server, clone_database: str, settings: Any) -> Iterator[None]:
    """Sign in to an empty database as its owner, as `clinic seed` does, in demo mode."""
    from django.db import connections

    settings.MODE = "demo"
    before = dict(connections.settings["default"])
    connections["default"].close()
    entry = database_settings(**server.parameters("ag_migrate", clone_database))
    connections.settings["default"].update(entry)
    del connections["default"]
    yield
    connections["default"].close()
    connections.settings["default"].update(before)
    del connections["default"]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Invent the first person of a few phases only, and keep their sign-ins nowhere."""
    everybody = synth.people
    chosen: list[str] = []

    def people(*given: Any) -> list[synth.Person]:
        cast = everybody(*given)
        found = [next((p for p in cast if p.phase == phase), None) for phase in PHASES]
        some = [person for person in found if person is not None]
        chosen.extend(person.phase for person in some)
        return some

    monkeypatch.setattr(synth, "people", people)
    monkeypatch.setattr("clinic.demo.places._keep", lambda _people: None)
    return chosen


@pytest.mark.usefixtures("owner")
def test_invented_people_pass_the_real_gates(few: list[str]) -> None:
    before = now()
    course_actions.register_protocols()
    call_command("seed", stdout=StringIO())
    assert "referred" in few
    with access.acting(access.worker("test")):
        assert Referral.objects.count() == len(few)
        assert Course.objects.count() == len(few) - 1
        assert Infusion.objects.exists()
        assert Note.objects.exists()
        assert chain.verify(["toronto", "vancouver", ""]) == []
    assert now() >= before  # the clock is put back
    with pytest.raises(CommandError, match="has sites already"):
        call_command("seed")


def of_today(at: datetime) -> list[synth.Person]:
    """Return the people whose dose is of this day at each site, with that dose alone."""
    cast = synth.people(seed.SEED, at, seed.wall)
    today = [person for person in cast if person.phase in ("in-session", "discharged-today")]
    return [replace(person, doses=person.doses[-1:]) for person in today]


@pytest.mark.usefixtures("owner")
def test_whenever_it_is_seeded_those_of_today_pass_every_gate() -> None:
    """At midnight and noon of the sites and of UTC, and on the nights when the clocks change."""
    course_actions.register_protocols()
    for hour in WHEN:
        at = datetime.fromisoformat(hour).astimezone(UTC)
        with transaction.atomic():
            places = build(write_sign_ins=False)
            access.enter(access.worker("seed"))
            people = of_today(at)
            assert {person.site for person in people} == {"toronto", "vancouver"}
            with stepped(at - timedelta(days=400)) as clock:
                for person in people:
                    Life(person, places, clock, at).live()
            states = Infusion.objects.values_list("state", flat=True)
            assert sorted(states) == ["running", "running", "stopped", "stopped"], hour
            assert Infusion.objects.filter(discharged_at__isnull=False).count() == 2, hour
            transaction.set_rollback(True)


@pytest.mark.usefixtures("clone_database")
def test_a_database_stays_in_the_mode_it_was_made_in(settings: Any) -> None:
    settings.MODE = "clinical"
    call_command("migrate", verbosity=0)
    settings.MODE = "demo"
    with pytest.raises(CommandError, match="created in clinical mode"):
        call_command("migrate", verbosity=0)


def test_only_a_demonstration_is_seeded_or_run(settings: Any) -> None:
    settings.MODE = "clinical"
    for command in ("seed", "demo"):
        with pytest.raises(CommandError, match="demo"):
            call_command(command)


def test_a_wall_time_is_the_sites(world: Any) -> None:
    day = date(2026, 7, 1)
    assert world.site == Site.objects.get(pk="toronto")
    assert seed.wall("toronto", day, time(9)).isoformat() == "2026-07-01T09:00:00-04:00"


# -- the processes ---------------------------------------------------------------------------------


class Child:
    """A process that ends with `code` when it is looked at, or goes on (None) until ended."""

    codes: dict[str, int] = {}
    started: list[Child] = []

    def __init__(self, words: list[Any], **_options: Any) -> None:
        self.name, self.ended, self.waited = str(words[1]), False, False
        Child.started.append(self)

    def poll(self) -> int | None:
        return Child.codes.get(self.name)

    def terminate(self) -> None:
        self.ended = True

    def wait(self, timeout: float) -> int:
        assert self.ended
        assert timeout
        self.waited = True
        return 0


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Child]]:
    """Start no real process, and put the signal's handler back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Child, "started", [])
    monkeypatch.setattr(Child, "codes", {})
    monkeypatch.setattr("subprocess.Popen", Child)
    yield Child.started
    signal.signal(signal.SIGTERM, before)


def test_when_one_process_ends_the_others_are_ended(children: list[Child]) -> None:
    Child.codes = {"mllp": 1}
    with pytest.raises(CommandError, match="clinic mllp ended"):
        demo.run_all([("simulate",)])
    assert sorted(child.name for child in children) == ["mllp", "serve", "simulate", "watch"]
    assert all(child.ended and child.waited for child in children)


def test_a_monitor_may_end_and_a_signal_ends_all(
    children: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    Child.codes = {"simulate": 0}
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("time.sleep", nap)
    demo.run_all([("simulate",)])
    assert len(naps) == 2  # the monitor's end alone stopped nothing
    assert all(child.ended and child.waited for child in children)
