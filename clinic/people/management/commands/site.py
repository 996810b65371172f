"""`clinic site add | authorise | withdraw`: a site, its rooms, the approval of its premises."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from clinic.database import now
from clinic.people import access, actions
from clinic.people.management.commands.serve import check_schema
from clinic.people.models import Site


class Command(BaseCommand):
    """One site a run, as the owner of the database; the same run again changes nothing."""

    help = "Open a site, or record what its college says: clinic site add CODE --name NAME ..."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the code and what patients read about the place."""
        commands = parser.add_subparsers(dest="do", required=True)
        self._of_premises(commands)
        add = commands.add_parser("add")
        add.add_argument("code", help="small letters, digits and -: it is part of addresses")
        add.add_argument("--name", required=True, help="as patients read it")
        add.add_argument("--zone", required=True, help="like America/Toronto")
        add.add_argument("--jurisdiction", required=True, help=" or ".join(actions.JURISDICTIONS))
        add.add_argument("--phone", required=True)
        add.add_argument("--address", required=True)
        add.add_argument("--room", action="append", default=[], help="as on its door; again: more")

    def _of_premises(self, commands: Any) -> None:
        words = "the approval of a site's premises for a route"
        authorise = commands.add_parser("authorise", help=f"record {words}")
        authorise.add_argument("code")
        authorise.add_argument("--route", required=True, help="IV, or another of the jurisdiction")
        authorise.add_argument("--reference", required=True, help="the paper that says so")
        authorise.add_argument(
            "--from", dest="start", type=date.fromisoformat, help="default today"
        )
        authorise.add_argument(
            "--until", type=date.fromisoformat, help="its last day, if it has one"
        )
        withdraw = commands.add_parser("withdraw", help=f"end {words}")
        withdraw.add_argument("code")
        withdraw.add_argument("--route", required=True)
        withdraw.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **told: Any) -> None:
        """Do one of the three with its audit rows, or say what is wrong."""
        check_schema()
        try:
            with transaction.atomic():
                self.stdout.write(getattr(self, f"_{told['do']}")(told))
        except actions.Refused as refused:
            raise CommandError(str(refused)) from refused

    def _authorise(self, told: dict[str, Any]) -> str:
        site = _site(told["code"])
        row = actions.authorise(
            site=site,
            route=told["route"],
            reference=told["reference"],
            valid_from=told["start"] or now().astimezone(site.tz).date(),
            valid_until=told["until"],
            by=access.owner(),
        )
        until = f" until {row.valid_until}" if row.valid_until else ""
        return f"{site.code}: {row.route} {row.kind} from {row.valid_from}{until}: {row.reference}"

    def _withdraw(self, told: dict[str, Any]) -> str:
        site = _site(told["code"])
        ended = actions.withdraw_approval(
            site=site, route=told["route"], reason=told["reason"], by=access.owner()
        )
        return f"{site.code}: {ended} approval of {told['route']} ended; nothing starts by it now"

    def _add(self, told: dict[str, Any]) -> str:
        keys = ("code", "name", "zone", "jurisdiction", "phone", "address")
        site = actions.add_site(
            **{key: told[key] for key in keys}, rooms=told["room"], by=access.owner()
        )
        rooms = ", ".join(room.name for room in site.rooms.order_by("name")) or "none yet"
        return f"{site.code}: {site.name}, {site.zone}, rooms: {rooms}"


def _site(code: str) -> Site:
    found = Site.objects.filter(pk=code).first()
    if found is None:
        known = ", ".join(Site.objects.order_by("pk").values_list("pk", flat=True)) or "none yet"
        raise actions.Refused(f"no site {code!r}; there are: {known}")
    return found
