"""Render the clinical tables into docs/spec: `python -m tests.spec.render`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from kap.protocol import load
from kap.rule import Rule
from tests.spec.alarm import page as alarm
from tests.spec.place import page as place
from tests.spec.table import BOTH, CELLS, NOW, Row, Table, tables

DOCS = Path(__file__).parents[2] / "docs" / "spec"
GENERATED = (
    "<!-- GENERATED from tests/spec by `python -m tests.spec.render`; change the tables there. -->"
)


def pages() -> dict[str, str]:
    """Return every page of docs/spec by file name."""
    by_topic: dict[str, list[Table]] = {}
    for table in tables():
        by_topic.setdefault(table.topic, []).append(table)
    shown = {f"{topic}.md": _page(found) for topic, found in by_topic.items()}
    protocol = load("iv-ketamine")
    alarms = alarm.page(f"{protocol.id} {protocol.version}")
    return {
        "README.md": _contents(by_topic),
        **shown,
        alarm.NAME: "\n".join([GENERATED, *alarms]),
        place.NAME: "\n".join([GENERATED, *place.page()]),
    }


def _contents(by_topic: dict[str, list[Table]]) -> str:
    links = (
        f"* [{topic.replace('_', ' ').capitalize()}]({topic}.md): "
        + "; ".join(table.title for table in found)
        for topic, found in by_topic.items()
    )
    return "\n".join(
        [
            GENERATED,
            "# What the protocols answer",
            "",
            f"Tables of {' and '.join(map(_named, BOTH))}, each row asked of the protocol "
            "by the tests. No clinician has reviewed them yet.",
            f"The question is put on {NOW:%Y-%m-%d} at {NOW:%H:%M}; `because` names the rules "
            "that made the answer, with a ? where a rule cannot be answered yet.",
            "",
            *links,
            alarm.link(),
            place.link(),
            "",
            "## How a cell is written",
            "",
            CELLS,
        ]
    )


def _named(protocol_id: str) -> str:
    protocol = load(protocol_id)
    return f"{protocol.id} {protocol.version} ({protocol.title[0].lower()}{protocol.title[1:]})"


def _page(found: list[Table]) -> str:
    title = f"# {found[0].topic.replace('_', ' ').capitalize()}"
    parts = [GENERATED, title, "", *(line for table in found for line in _table(table))]
    return "\n".join([*parts, "## The rules named above", "", *_legend(found), ""])


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.title}"
    yield ""
    drug = "both drugs" if table.protocols == BOTH else table.protocols[0]
    yield from filter(None, [f"Stage: {table.stage}. Protocol: {drug}.", table.text])
    yield ""
    yield _line([*table.columns, "verdict", "because"])
    yield _line("---" for _ in range(len(table.columns) + 2))
    for row in table.rows:
        yield _line(_cells(row))
    yield ""


def _cells(row: Row) -> list[str]:
    return [*row.cells.values(), row.verdict, ", ".join(row.because)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _legend(found: list[Table]) -> Iterator[str]:
    told = {(rule.rstrip("?"), t.protocols) for t in found for r in t.rows for rule in r.because}
    lines: dict[str, list[str]] = {}
    for rule_id, protocols in sorted(told):
        for protocol in protocols:
            line = _rule(load(protocol).rule(rule_id))
            if protocol not in lines.setdefault(line, []):
                lines[line].append(protocol)
    for line, drugs in lines.items():
        drug = "both drugs" if set(drugs) == set(BOTH) else drugs[0]
        yield f"{line} ({drug})"


def _rule(rule: Rule) -> str:
    return f"* **{rule.id}** ({rule.level}): {rule.why} [{rule.mark}; {rule.source}]"


def stale(folder: Path = DOCS) -> list[str]:
    """Return the names of pages that differ from the tables, or that no table makes any more."""
    wanted = pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(
        name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name)
    )


def write(folder: Path = DOCS) -> None:
    """Write every page, and take away those that no table makes any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in stale(folder):
        (folder / name).unlink(missing_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
