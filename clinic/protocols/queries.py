"""What a protocol says, and where it stands at a site: unsigned, proposed, signed, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from clinic.course.actions import Refused
from clinic.course.models import Course, Proposal, ProtocolVersion, Signature, Withdrawal
from clinic.people.models import Site
from kap.protocol import Protocol, ProtocolError, load


@dataclass(frozen=True)
class State:
    """Where a version stands at a site. `code` is unsigned, proposed, signed or withdrawn."""

    site: Site
    version: ProtocolVersion
    signature: Signature | None
    withdrawal: Withdrawal | None
    proposals: tuple[Proposal, ...]

    @property
    def code(self) -> str:
        """Return the state in one word."""
        if self.signature is not None:
            return "signed"
        if self.proposals:
            return "proposed"
        return "withdrawn" if self.withdrawal is not None else "unsigned"


def state(site: Site, version: ProtocolVersion) -> State:
    """Return where a version stands at a site. A withdrawal ends what was proposed before it."""
    signed = Signature.objects.filter(site=site, protocol=version, digest=version.digest)
    stands = signed.filter(withdrawal__isnull=True).select_related("director", "proposer").first()
    withdrawn = (
        Withdrawal.objects.filter(site=site, signature__protocol=version)
        .select_related("director", "signature__director")
        .order_by("-recorded_at")
        .first()
    )
    asked = Proposal.objects.filter(site=site, protocol=version, signature__isnull=True)
    if withdrawn is not None:
        asked = asked.filter(recorded_at__gt=withdrawn.recorded_at)
    waiting = () if stands else tuple(asked.select_related("proposer").order_by("recorded_at"))
    return State(site, version, stands, withdrawn, waiting)


def states(sites: Iterable[Site], version: ProtocolVersion) -> list[State]:
    """Return where a version stands at each of the sites."""
    return [state(site, version) for site in sites]


def text_of(version: ProtocolVersion) -> Protocol:
    """Return the protocol that was registered under this name.

    Raises Refused where its file is gone or is another one.
    """
    try:
        protocol = load(version.protocol_id, version.version)
    except ProtocolError as error:
        raise Refused(
            _("The file of %(name)s is not there; restore the released file.")
            % {"name": version.name}
        ) from error
    if protocol.digest != version.digest:
        raise Refused(
            _("The file of %(name)s is not the registered one; restore the released file.")
            % {"name": version.name}
        )
    return protocol


def open_to(course: Course) -> list[ProtocolVersion]:
    """Return the versions a course may be moved to: of its protocol, signed here (or a demo)."""
    others = (
        ProtocolVersion.objects.filter(protocol_id=course.protocol.protocol_id)
        .exclude(pk=course.protocol_id)
        .order_by("recorded_at", "name")
    )
    if settings.MODE == "demo":
        return list(others)
    return [each for each in others if state(course.site, each).code == "signed"]
