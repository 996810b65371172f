"""Render the clinical tables into docs/spec: `python -m tests.spec.render`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from kap.protocol import Protocol, load
from tests.spec.table import CELLS, NOW, Row, Table, tables

DOCS = Path(__file__).parents[2] / "docs" / "spec"
GENERATED = (
    "<!-- GENERATED from tests/spec by `python -m tests.spec.render`; change the tables there. -->"
)


def pages() -> dict[str, str]:
    """Return every page of docs/spec by file name."""
    protocol = load("iv-ketamine")
    by_topic: dict[str, list[Table]] = {}
    for table in tables():
        by_topic.setdefault(table.topic, []).append(table)
    shown = {f"{topic}.md": _page(found, protocol) for topic, found in by_topic.items()}
    return {"README.md": _contents(by_topic, protocol), **shown}


def _contents(by_topic: dict[str, list[Table]], protocol: Protocol) -> str:
    links = (
        f"* [{topic.replace('_', ' ').capitalize()}]({topic}.md): "
        + "; ".join(table.title for table in found)
        for topic, found in by_topic.items()
    )
    return "\n".join(
        [
            GENERATED,
            "# What the protocol answers",
            "",
            f"Tables of protocol {protocol.id} {protocol.version}, each row asked of the protocol "
            "by the tests. No clinician has reviewed them yet.",
            f"The question is put on {NOW:%Y-%m-%d} at {NOW:%H:%M}; `because` names the rules "
            "that made the answer, with a ? where a rule cannot be answered yet.",
            "",
            *links,
            "",
            "## How a cell is written",
            "",
            CELLS,
        ]
    )


def _page(found: list[Table], protocol: Protocol) -> str:
    title = f"# {found[0].topic.replace('_', ' ').capitalize()}"
    parts = [GENERATED, title, "", *(line for table in found for line in _table(table))]
    named = (rule.rstrip("?") for table in found for row in table.rows for rule in row.because)
    told = sorted(set(named))
    return "\n".join([*parts, "## The rules named above", "", *_legend(told, protocol), ""])


def _table(table: Table) -> Iterator[str]:
    yield f"## {table.title}"
    yield ""
    yield from filter(None, [f"Stage: {table.stage}.", table.text])
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


def _legend(told: list[str], protocol: Protocol) -> Iterator[str]:
    for rule in map(protocol.rule, told):
        yield f"* **{rule.id}** ({rule.level}): {rule.why} [{rule.mark}; {rule.source}]"


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
