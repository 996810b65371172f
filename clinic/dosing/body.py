"""A person's weight, height and sex for dosing, read once for a page: what a dose rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from clinic.course import queries as course_queries
from clinic.course.models import Fact, Session
from kap.ceilings import DoseError
from kap.weight import DosingWeight, dosing_weight

Body = Mapping[str, Fact]
BODY = ("weight", "height", "sex_male")


def body_of(session: Session, at: datetime) -> Body:
    """Return the newest rows of weight, height and sex for dosing, in date or not."""
    return course_queries.newest_facts(session.patient, at, *BODY)


def dosing_weight_of(body: Body) -> tuple[DosingWeight, Fact] | None:
    """Return the dosing weight and the weight's row; None where weight or height is missing."""
    weight, height, male = map(body.get, BODY)
    if weight is None or weight.value is None or height is None or height.value is None:
        return None
    try:
        return dosing_weight(
            str(weight.value), str(height.value), male.value if male is not None else None
        ), weight
    except DoseError:
        return None
