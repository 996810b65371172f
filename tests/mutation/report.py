"""The section of docs/reliability.md about mutants, and the same on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from tests.mutation.found import Found, Reckoning

HEAD = """\
A mutant is the product with one thing wrong. It is made wrong in every way of the tables below,
one at a time, and everything that should notice is asked: a mutant is *killed* when something does,
and *survives* when nothing does. A survivor without a reason fails the run, and so does a reason
without its survivor. What the numbers show is that such mistakes are noticed, not that there are
none; two mistakes at once are not made, nor is a mistake in a sentence.
"""
SECTIONS = {
    "data": (
        "Mutants of the protocols",
        """\
The newest version of each protocol; a mutant of a rule is in that rule alone. Asked are, the
quickest first: the *loader*, which refuses an unsound file; the *examples* that the rules bring;
the patients of *single rules* in `tests/spec/beside`; the *law of the unknown* (what turns a rule
by being known leaves it open by being unknown); the *tables* of
[the clinical behaviour](spec/README.md), with those of validity, notes and units; the *second
reading* of the clinical reference; the *obligations* that are [proven](algorithms/proof.md).
""",
    ),
    "code": (
        "Mutants of the safety core",
        """\
The modules that decide, and what they were split into. Asked are the tests of `tests/core` and
`tests/spec` that always ask the same, a module's own first; the table names the file of the first
that failed, `reading the module` where it could not even be imported, and `too long` where it
had to be stopped.
""",
    ),
}
Rows = Iterable[tuple[str, ...]]


def body(
    part: str, found: Collection[Found], reckoning: Reckoning, ground: Mapping[str, str]
) -> str:
    """Return the section of `part` ("data" or "code") as Markdown, without its heading."""
    held = list(found)
    return "\n".join(
        [
            HEAD,
            SECTIONS[part][1],
            *_table(("what", "value"), ground.items()),
            f"{_sum(held)}",
            "",
            *_table(("in", "made", "killed", "survive"), _counted(held, "area")),
            *_table(("kind", "made", "killed", "survive"), _counted(held, "kind")),
            *_table(("killed by", "mutants"), _killers(held)),
            *_survivors(reckoning),
        ]
    )


def _sum(found: list[Found]) -> str:
    killed = sum(1 for mutant in found if mutant.killer)
    return f"{len(found):,} made, {killed:,} killed, {len(found) - killed:,} survive."


def _counted(found: list[Found], key: str) -> Rows:
    for name in dict.fromkeys(getattr(mutant, key) for mutant in found):
        held = [mutant for mutant in found if getattr(mutant, key) == name]
        killed = sum(1 for mutant in held if mutant.killer)
        yield name, f"{len(held):,}", f"{killed:,}", f"{len(held) - killed:,}"


def _killers(found: list[Found]) -> Rows:
    counts = Counter(mutant.killer for mutant in found if mutant.killer)
    return ((name, f"{count:,}") for name, count in counts.most_common())


def _survivors(reckoning: Reckoning) -> Iterator[str]:
    if not reckoning.explained and reckoning.holds:
        yield from ("Nothing survives.", "")
        return
    rows = [(m.area, _code(m.key[1]), reason) for m, reason in reckoning.explained]
    rows += [(m.area, _code(m.key[1]), "**no reason given**") for m in reckoning.unexplained]
    rows += [(area, _code(name), "**does not survive**") for area, name in reckoning.stale]
    yield from _table(("in", "mutant", "why nothing notices"), sorted(rows))


def _code(text: str) -> str:
    """Return a name that may hold backticks and bars as a cell."""
    return text.replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Rows) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def lines(found: Collection[Found], reckoning: Reckoning) -> Iterator[str]:
    """Yield what a terminal shows: the counts, and every survivor that is not accounted for."""
    for area, made, killed, survive in _counted(list(found), "area"):
        yield f"{area:<18} {made:>6} made {killed:>6} killed {survive:>4} survive"
    for mutant in reckoning.unexplained:
        yield f"survives without a reason: {mutant.area}, {mutant.key[1]}"
    for area, name in reckoning.stale:
        yield f"has a reason and does not survive: {area}, {name}"
