"""`clinic audit verify`: look at every link of every chain, and at heads noted elsewhere."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from clinic.audit import actions, chain
from clinic.audit.chain import Chain, Place
from clinic.audit.models import Head
from clinic.database import now
from clinic.people import access

NOTED = re.compile(r"(?P<site>[a-z0-9-]*):(?P<seq>\d+):(?P<hash>[0-9a-f]{64})")


def noted(text: str) -> tuple[str, Place]:
    """Return a head as this command and the audit page print it: SITE:NUMBER:HASH."""
    found = NOTED.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no head; write SITE:NUMBER:HASH as it was printed")
    return found["site"], Place(int(found["seq"]), found["hash"])


class Command(BaseCommand):
    """Walk, say what holds, note it for the watch and the pages; fail where a chain is broken."""

    help = (
        "Look at the whole audit chain of every site; with --head, also at heads noted elsewhere."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the word `verify` and any number of noted heads."""
        parser.add_argument("do", choices=["verify"])
        parser.add_argument("--head", action="append", default=[], type=noted)

    def handle(self, *_args: Any, head: list[tuple[str, Place]], **_options: Any) -> None:
        """Verify."""
        with access.acting(access.worker("audit")) as by:
            began_at = now()
            sites = {*by.sites, *Head.objects.values_list("site_id", flat=True), ""}
            seen = chain.whole(sorted(sites))
            for each in seen:
                actions.record_whole(each, began_at=began_at)
            said = [_problem(each) for each in seen if each.broken is not None]
            said += [
                f"{site}: the head noted at link {place.seq} is not in the chain"
                for site, place in head
                if not chain.holds(site, place)
            ]
        for each in seen:
            if each.broken is None and each.head.seq:
                self.stdout.write(f"{each.noted}  {each.head.seq} links hold")
        if said:
            raise CommandError("; ".join(said))


def _problem(seen: Chain) -> str:
    assert seen.broken is not None
    return f"{seen.site or '-'}: {seen.broken.why}"
