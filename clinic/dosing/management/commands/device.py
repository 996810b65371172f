"""`clinic device add | list | retire`: the monitors of a site, as the owner of the database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.course.actions import Refused
from clinic.dosing import actions
from clinic.dosing.models import Device
from clinic.people import access
from clinic.people.management.commands.serve import check_schema
from clinic.people.models import Site

SENDER = "MSH-3 of its messages, like BEDMON^00A0B1FFFEC2D3E4^EUI-64"


class Command(BaseCommand):
    """One monitor a run; the same run again changes nothing."""

    help = "Register a monitor: clinic device add SENDER --site CODE --room ROOM --name NAME"

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is on the wire, and where it stands."""
        do = parser.add_subparsers(dest="do", required=True)
        add = do.add_parser("add", help="a monitor that will be heard from now on")
        add.add_argument("sender", help=SENDER)
        add.add_argument("--site", required=True, help="a site's code")
        add.add_argument("--room", required=True, help="one of the site's rooms")
        add.add_argument("--name", required=True, help="as it stands on the monitor")
        add.add_argument(
            "--authority",
            default="",
            help="who numbers the people in its messages (PID-3.4); without it anybody may",
        )
        told = do.add_parser("list", help="every monitor, retired ones too")
        told.add_argument("--site", help="of one site alone")
        retire = do.add_parser("retire", help="hear a monitor no more; what it said stays")
        retire.add_argument("sender", help=SENDER)

    def handle(self, *_args: Any, **told: Any) -> None:
        """Do one of the three with its audit row, or say what is wrong."""
        check_schema()
        try:
            self.stdout.write(getattr(self, f"_{told['do']}")(told))
        except Refused as refused:
            raise CommandError(str(refused)) from refused

    def _add(self, told: dict[str, Any]) -> str:
        keys = ("room", "sender", "name", "authority")
        row = actions.add_device(
            site=_site(told["site"]), **{key: told[key].strip() for key in keys}, by=access.owner()
        )
        return _line(row)

    def _list(self, told: dict[str, Any]) -> str:
        rows = Device.objects.order_by("site_id", "room", "retired_at", "sender")
        if told["site"]:
            rows = rows.filter(site=_site(told["site"]))
        return "\n".join(map(_line, rows)) or "no monitor yet; clinic device add registers one"

    def _retire(self, told: dict[str, Any]) -> str:
        return _line(actions.retire_device(sender=told["sender"].strip(), by=access.owner()))


def _line(row: Device) -> str:
    end = f", retired {row.retired_at:%Y-%m-%d %H:%M} UTC" if row.retired_at else ""
    numbers = f", people as {row.authority} numbers them" if row.authority else ""
    return f"{row.site_id} {row.room}: {row.name}, sends as {row.sender}{numbers}{end}"


def _site(code: str) -> Site:
    found = Site.objects.filter(pk=code).first()
    if found is None:
        known = ", ".join(Site.objects.order_by("pk").values_list("pk", flat=True))
        raise Refused(f"no site {code!r}; there are: {known or 'none; run clinic site add'}")
    return found
