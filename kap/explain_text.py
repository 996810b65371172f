"""An explanation as a terminal and as JSON show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kap.explain import MOST_FACTS, Ask, Change, Explanation, Supposed

MOST_SHOWN = 8


def explanation_lines(found: Explanation) -> Iterator[str]:
    """Yield what would change the answer, what to ask next and when to ask again."""
    if found.takes_more:
        yield f"What would change it: more than {MOST_FACTS} facts."
    elif found.changes:
        yield "What would change it:"
        yield from (f"  {_change(change)}" for change in found.changes[:MOST_SHOWN])
        if len(found.changes) > MOST_SHOWN:
            yield f"  and {len(found.changes) - MOST_SHOWN} more ways (--json lists all)"
    if found.ask is not None:
        yield from _ask(found.ask)
    for again in found.again:
        when = "time alone does not lift it" if again.when is None else f"from {again.when}"
        yield f"Ask again: {again.rule_id}, {when}" + (f" ({again.text})" if again.text else "")


def _change(change: Change) -> str:
    return f"{' and '.join(map(_supposed, change.facts))}: {change.answer}"


def _supposed(fact: Supposed) -> str:
    return f"{fact.fact} {fact.then} {fact.unit}".rstrip() + f" (now {fact.now})"


def _ask(ask: Ask) -> Iterator[str]:
    yield f"Ask next: {ask.question.get('en', ask.fact)}"
    for outcome in ask.outcomes:
        reply = f"{outcome.reply} {ask.unit}".rstrip()
        yield f"  {reply}: {outcome.answer}, settles {outcome.settled} rules"


def explanation_json(found: Explanation) -> dict[str, Any]:
    """Return the same as JSON; `changes` is null when it takes more than three facts."""
    return {
        "changes": None if found.takes_more else [_change_json(c) for c in found.changes],
        "ask_next": None if found.ask is None else _ask_json(found.ask),
        "ask_again": [
            {"rule": a.rule_id, "text": a.text, "when": a.when and a.when.isoformat()}
            for a in found.again
        ],
    }


def _change_json(change: Change) -> dict[str, Any]:
    facts = [{"fact": s.fact, "now": s.now, "then": s.then, "unit": s.unit} for s in change.facts]
    return {"facts": facts, "answer": change.answer}


def _ask_json(ask: Ask) -> dict[str, Any]:
    replies = [{"reply": o.reply, "answer": o.answer, "settles": o.settled} for o in ask.outcomes]
    return {"fact": ask.fact, "unit": ask.unit, "question": dict(ask.question), "replies": replies}
