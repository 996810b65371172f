"""`clinic staff add`: a member of staff with roles at a site, as the owner; the first one too."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.people import access, actions
from clinic.people.management.commands.serve import check_schema
from clinic.people.models import Role, Site, Staff


class Command(BaseCommand):
    """One person a run; the same run again changes nothing and prints a link while none was used.

    `link` is for an administrator who lost their password: nobody on the pages could help.
    """

    help = "Add staff: clinic staff add MAIL --name NAME --site CODE --role ROLE ..."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take who it is, where, and in which roles."""
        do = parser.add_subparsers(dest="do", required=True)
        add = do.add_parser("add")
        add.add_argument("mail", help="also the user name")
        add.add_argument("--name", required=True, help="as colleagues read it")
        add.add_argument("--licence-number", default="")
        add.add_argument("--site", required=True, help="a site's code")
        add.add_argument("--role", action="append", required=True, help=", ".join(Role.Name.values))
        link = do.add_parser("link")
        link.add_argument("mail")
        link.add_argument("--site", required=True, help="a site's code")

    def handle(self, *_args: Any, **told: Any) -> None:
        """Write the person and the roles with their audit rows and print the link once."""
        check_schema()
        site = self._site(told["site"])
        try:
            made = self._add(site, told) if told["do"] == "add" else self._link(site, told["mail"])
        except actions.Refused as refused:
            raise CommandError(str(refused)) from refused
        held = made.staff.roles.filter(site=site).order_by("role")
        roles = ", ".join(str(role.get_role_display()) for role in held)
        self.stdout.write(f"{made.staff.user.get_username()}: {roles} at {site.name}")
        self.stdout.write(
            f"Works once, for three days: {made.address}"
            if made.address
            else "There is a password already; the sign-in stays as it is."
        )

    def _site(self, code: str) -> Site:
        found = Site.objects.filter(pk=code).first()
        if found is None:
            known = ", ".join(Site.objects.order_by("code").values_list("code", flat=True))
            raise CommandError(
                f"there is no site {code!r}; there are: {known or 'none; run clinic site add'}"
            )
        return found

    def _add(self, site: Site, told: dict[str, Any]) -> actions.Invited:
        return actions.invite(
            site=site,
            mail=told["mail"],
            name=told["name"],
            licence_number=told["licence_number"],
            roles=told["role"],
            by=access.owner(),
        )

    def _link(self, site: Site, mail: str) -> actions.Invited:
        row = Staff.objects.filter(user__username=mail.strip().lower()).first()
        if row is None:
            raise actions.Refused(f"nobody signs in as {mail!r}; add them with clinic staff add")
        return actions.forget_password(staff=row, site=site, by=access.owner())
