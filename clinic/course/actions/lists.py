"""Keeping a list of conditions, medicines, allergies or trials as it was gone through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from clinic.audit import actions as audit
from clinic.audit.author import Author
from clinic.course import queries
from clinic.course.actions.asking import ask_after_a_fact
from clinic.course.actions.rows import Refused, written
from clinic.course.models import Allergy, Condition, ListItem, ListReview, Medication, Trial
from clinic.database import now
from kap.chart import ChartError

ITEM_MODELS: dict[str, type[ListItem]] = {
    "conditions": Condition,
    "medications": Medication,
    "allergies": Allergy,
    "antidepressant_trials": Trial,
}


@transaction.atomic
def review_list(
    *,
    of: Any,
    kind: str,
    complete: bool,
    items: Sequence[Mapping[str, Any]],
    by: Author,
    reviewed_at: datetime | None = None,
) -> ListReview:
    """Store a list as gone through. Not complete, it can make facts true, never false."""
    review = ListReview.add(
        **written(of, by), kind=kind, reviewed_at=reviewed_at or now(), complete=complete
    )
    for item in items:
        ITEM_MODELS[kind].add(**written(of, by), review=review, **item)
    try:
        queries.chart(review.patient, now())
    except ChartError as error:
        raise Refused(str(error)) from error
    audit.record(by=by, action="list.review", about=review, kind=kind, complete=complete)
    ask_after_a_fact(of=review, names=[kind], by=by)
    return review
