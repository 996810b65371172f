"""`clinic site add`: open a site with its rooms, as the owner of the database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from clinic.people import access, actions
from clinic.people.management.commands.serve import check_schema


class Command(BaseCommand):
    """One site a run; the same run again changes nothing."""

    help = "Open a site: clinic site add CODE --name NAME --zone ZONE ..."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the code and what patients read about the place."""
        add = parser.add_subparsers(dest="do", required=True).add_parser("add")
        add.add_argument("code", help="small letters, digits and -: it is part of addresses")
        add.add_argument("--name", required=True, help="as patients read it")
        add.add_argument("--zone", required=True, help="like America/Toronto")
        add.add_argument("--jurisdiction", required=True, help=" or ".join(actions.JURISDICTIONS))
        add.add_argument("--phone", required=True)
        add.add_argument("--address", required=True)
        add.add_argument("--room", action="append", default=[], help="as on its door; again: more")

    def handle(self, *_args: Any, **told: Any) -> None:
        """Write the site and its rooms with their audit rows, or say what is wrong."""
        check_schema()
        keys = ("code", "name", "zone", "jurisdiction", "phone", "address")
        try:
            with transaction.atomic():
                site = actions.add_site(
                    **{key: told[key] for key in keys}, rooms=told["room"], by=access.owner()
                )
        except actions.Refused as refused:
            raise CommandError(str(refused)) from refused
        rooms = ", ".join(room.name for room in site.rooms.order_by("name")) or "none yet"
        self.stdout.write(f"{site.code}: {site.name}, {site.zone}, rooms: {rooms}")
