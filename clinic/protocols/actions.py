"""Signing a protocol version for a site, taking it back, and moving a course to another version."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries as course_queries
from clinic.course.actions import Refused, hold, written
from clinic.course.models import (
    Course,
    Proposal,
    ProtocolMove,
    ProtocolVersion,
    Signature,
    Withdrawal,
)
from clinic.database import now
from clinic.people.models import Role, Site, Staff
from clinic.protocols import queries
from kap.certificate import read_certificate
from kap.protocol import Protocol, ProtocolError


@transaction.atomic
def propose(
    *, version: ProtocolVersion, site: Site, proposer: Staff, reason: str, by: Author
) -> Proposal:
    """Ask the site's medical director to sign a version; the same again is the same proposal.

    Raises Refused for a version that is signed already, or whose file is not the registered one.
    """
    hold(f"signing at {site.pk}")
    stands = queries.state(site, version)
    if stands.signature is not None:
        raise Refused(_("This version is signed already and stands; withdraw it to sign anew."))
    queries.text_of(version)
    if mine := [each for each in stands.proposals if each.proposer_id == proposer.pk]:
        audit.record(by=by, action="protocol.propose", about=mine[0], outcome="repeated")
        return mine[0]
    row = Proposal.add(
        site=site,
        protocol=version,
        digest=version.digest,
        proposer=proposer,
        reason=reason,
        recorded_at=now(),
    )
    audit.record(by=by, action="protocol.propose", about=row, protocol=version.name)
    return row


def _demand_certificate(protocol: Protocol) -> None:
    """Refuse a version that nothing is proven of: the reasons are for developers, in English."""
    try:
        read_certificate(protocol)
    except ProtocolError as problem:
        said = _("This version cannot be signed: {problem}.").format(problem=problem)
        raise Refused(said) from None


@transaction.atomic
def sign(*, proposal: Proposal, director: Staff, by: Author) -> Signature:
    """Sign what another person proposed; from now on decisions are stored under it at the site.

    Raises Refused for one's own proposal, who is not the site's medical director or has no licence
    number, a proposal that no longer waits, another file, and a version without its certificate.
    """
    hold(f"signing at {proposal.site_id}")
    stands = queries.state(proposal.site, proposal.protocol)
    if stands.signature is not None and stands.signature.proposal_id == proposal.pk:
        audit.record(by=by, action="protocol.sign", about=stands.signature, outcome="repeated")
        return stands.signature
    if proposal not in stands.proposals:
        raise Refused(_("This proposal no longer waits for a signature; propose the version anew."))
    _check_director(proposal, director)
    _demand_certificate(queries.text_of(proposal.protocol))
    row = Signature.add(
        site=proposal.site,
        protocol=proposal.protocol,
        digest=proposal.digest,
        proposal=proposal,
        proposer=proposal.proposer,
        director=director,
        licence_number=director.licence_number,
        recorded_at=now(),
    )
    audit.record(by=by, action="protocol.sign", about=row, protocol=proposal.protocol_id)
    return row


def _check_director(proposal: Proposal, director: Staff) -> None:
    if proposal.proposer_id == director.pk:
        raise Refused(_("You proposed this version yourself; another medical director signs it."))
    _demand_director(proposal.site, director)
    if not director.licence_number:
        raise Refused(_("Your licence number is not kept; your administrator writes it down."))


def _demand_director(site: Site, director: Staff) -> None:
    if not director.roles.filter(site=site, role=Role.Name.MEDICAL_DIRECTOR).exists():
        raise Refused(_("Only a medical director of this site signs or withdraws."))


@transaction.atomic
def withdraw(*, signature: Signature, director: Staff, reason: str, by: Author) -> Withdrawal:
    """Take a signature back: no order and no start any more; who was dosed still goes home."""
    hold(f"signing at {signature.site_id}")
    _demand_director(signature.site, director)
    if found := Withdrawal.objects.filter(signature=signature).first():
        audit.record(by=by, action="protocol.withdraw", about=found, outcome="repeated")
        return found
    row = Withdrawal.add(
        site=signature.site,
        signature=signature,
        director=director,
        reason=reason,
        recorded_at=now(),
    )
    audit.record(by=by, action="protocol.withdraw", about=row, protocol=signature.protocol_id)
    return row


@transaction.atomic
def move_course(
    *, course: Course, to: ProtocolVersion, reason: str, key: UUID, by: Author
) -> ProtocolMove:
    """Pin a course to another version of its protocol. What was decided keeps its version.

    Raises Refused while a dose has begun and the person has not gone home, and for a version that
    is not signed at the site (outside a demonstration) or is not of this protocol.
    """
    hold(f"course {course.pk}")
    if found := ProtocolMove.objects.filter(pk=key, course=course).first():
        return found
    course.refresh_from_db()
    if course_queries.is_dosed(course.patient):
        raise Refused(_("A dose has begun; move the course once the person has gone home."))
    if to not in queries.open_to(course):
        raise Refused(
            _("%(name)s is not signed here, or the course is under it already.") % {"name": to.name}
        )
    queries.text_of(to)
    row = ProtocolMove.add(
        **written(course, by) | {"id": key},
        course=course,
        from_protocol=course.protocol,
        to_protocol=to,
        reason=reason,
    )
    course.refresh_from_db()
    audit.record(
        by=by,
        action="course.move",
        about=row,
        before=row.from_protocol_id,
        after=row.to_protocol_id,
    )
    return row
