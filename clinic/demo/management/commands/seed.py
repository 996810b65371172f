"""`clinic seed`: write the two invented clinics into a new demonstration database, as its owner."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from clinic.audit import actions as audit
from clinic.audit.models import Event
from clinic.database import now
from clinic.demo.clock import stepped
from clinic.demo.life import Life
from clinic.demo.places import build
from clinic.people import access
from clinic.people.models import Site
from kap import synth

SEED = 2026


class Command(BaseCommand):
    """Everything in one transaction: either the demonstration is whole, or it is not there."""

    help = "Invent two clinics in an empty demonstration database."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Seed."""
        if settings.MODE != "demo":
            raise CommandError("only a demonstration is seeded; this is CLINIC_MODE=clinical")
        if Site.objects.exists():
            raise CommandError("this database has sites already; seed an empty one")
        with transaction.atomic():
            places = build()
            access.enter(access.worker("seed"))
            self._invent(places, now())
        while audit.seal():
            pass
        audit.walk(links=Event.objects.count())  # as the watch of a running clinic would have
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")  # so many rows at once: the server has not counted them yet

    def _invent(self, places: Any, at: datetime) -> None:
        people = synth.people(SEED, at, wall)
        with stepped(at - timedelta(days=400)) as clock:
            for number, person in enumerate(people, start=1):
                Life(person, places, clock, at).live()
                if self.stdout.isatty():
                    self.stdout.write(f"\r{number} of {len(people)} people", ending="")
                    self.stdout.flush()
        if self.stdout.isatty():
            self.stdout.write("")


def wall(site: str, day: date, at: time) -> datetime:
    """Return the instant of a wall time at a site, with the offset of that day."""
    return datetime.combine(day, at, tzinfo=Site.objects.get(code=site).tz)
