"""Whether the protocol version behind an answer is signed: asked where the answer is shown."""

from __future__ import annotations

from django import template

from clinic.course.models import Signature
from kap.verdict import Verdict

register = template.Library()


@register.simple_tag(takes_context=True)
def is_unsigned(context: template.Context, verdict: Verdict | None) -> bool:
    """Return whether no medical director's signature on this version stands at the page's site.

    Asked once a page for each version; without a site nobody can have signed.
    """
    if not verdict:
        return False
    site = getattr(context.get("site"), "pk", None)
    version = (f"{verdict.protocol_id}@{verdict.version}", verdict.digest)
    asked: dict[tuple[str, str], bool] = context.render_context.setdefault(is_unsigned, {})
    if version not in asked:
        asked[version] = site is None or not _signed(site, *version)
    return asked[version]


def _signed(site: str, name: str, digest: str) -> bool:
    signatures = Signature.objects.filter(site=site, protocol=name, digest=digest)
    return signatures.filter(withdrawal__isnull=True).exists()
