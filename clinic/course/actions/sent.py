"""A form that was sent before: what it led to, kept beside what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course.actions.rows import Refused, hold


def repeated(*, key: str, body: Mapping[str, Any], by: Author) -> str:
    """Return where this form led when it was sent before, "" when it is new.

    Raises Refused when the key came with other answers: what was typed is not stored.
    """
    hold(f"form {by.id} {key}")
    try:
        kept = audit.receipt(principal=by.id, key=_named(key), body=body)
    except audit.OtherRequest as error:
        audit.record(by=by, action="form.repeat", outcome="refused")
        raise Refused(
            _("This form was sent before with other answers, which are stored. Fill it in anew.")
        ) from error
    if kept is None:
        return ""
    audit.record(by=by, action="form.repeat")
    return str(kept["led_to"])


def keep(*, key: str, body: Mapping[str, Any], led_to: str, by: Author) -> None:
    """Keep that this form was sent, and where it led, beside what it wrote."""
    audit.keep_receipt(principal=by.id, key=_named(key), body=body, result={"led_to": led_to})


def _named(key: str) -> str:
    # Apart from the receipts of the actions themselves, which a form's key may name too.
    return f"form {key}"
