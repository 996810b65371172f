"""Whether the protocol version behind an answer is signed: asked where the answer is shown."""

from __future__ import annotations

from django import template

from clinic.course.models import Signature
from kap.verdict import Verdict

register = template.Library()


@register.simple_tag(takes_context=True)
def is_unsigned(context: template.Context, verdict: Verdict | None) -> bool:
    """Return whether no medical director's signature on this version stands at the page's site.

    Without a site nobody can have signed.
    """
    if not verdict:
        return False
    site = getattr(context.get("site"), "pk", None)
    name = f"{verdict.protocol_id}@{verdict.version}"
    signatures = Signature.objects.filter(site=site, protocol=name, digest=verdict.digest)
    return site is None or not signatures.filter(withdrawal__isnull=True).exists()
