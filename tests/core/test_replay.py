"""A registry decided again: by columns, from files, old answers against new, and the command."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kap import cli
from kap.chart import Chart, Reason
from kap.cli_replay import Progress
from kap.compiled import Column, Names, ParameterValue, compile_formula
from kap.condition import Known, parse
from kap.protocol import Protocol
from kap.replay import FormulaReader, RegistryReader, disagreements
from kap.replay_columns import (
    AskedChart,
    ChartColumns,
    CodeColumn,
    KnownColumn,
    NumberColumn,
    ReplayError,
    TruthColumn,
    column_of,
    columns,
    numbers,
    pack,
    steps_in,
    unpack,
    whole,
)
from kap.replay_file import ChartBlock, read_lines
from kap.replay_matrix import Replay, derived_otherwise, replayed
from kap.replay_parquet import count_rows, passed_on, read_parquet
from kap.rule import Answer
from kap.value import TRUE, Value, number
from kap.verdict import ask
from tests.core.small_protocol import AT, TEXT, rule, small, told
from tests.core.test_condition import COLUMNS, NAMES, Seen
from tests.core.test_verdict import well

PROTOCOL = small()
WHEN = "2026-11-24T09:30:00-05:00"
MORE = (
    rule("DATED", "I", 'needs = ["cv_event_date", "conditions"]', "need_more_information",
         'examples = [{ given = { }, expect = "unknown" }]')
    + rule("RISE", "P", 'when = "phq9_rise - phq9_best > 3 or age == param.adult"',
           "eligible_with_conditions",
           'conditions = [{ text = "look", owner = "nurse", due = "start" }]',
           'examples = [{ given = { age = 18 }, expect = "speaks" }]')
)  # fmt: skip
WIDER = small(TEXT + MORE)
PEOPLE = {
    "well": well(),
    "unknown": Chart(),
    "aneurysm": well(told("aneurysm", True)),
    "left": well(told("left_handed", True)),
    "declined": well(told("si_intent", None, reason=Reason.DECLINED)),
    "partly": well(told("cv_event", True), told("cv_event_date", "2026-10")),
    "old": well(told("chest_pain", True), told("birth_date", "2008")),
    "sad": well(told("phq9", 12, 8 * 1440), told("phq9", 20), told("course_start", "2026-11-01")),
    "no list": replace(well(), medications=None),
}


def asked(people: dict[str, Chart] = PEOPLE) -> list[AskedChart]:
    return [AskedChart(name, chart, AT) for name, chart in people.items()]


def lines(*rows: Any) -> list[bytes]:
    return [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]


def line(name: str, chart: Chart, **more: Any) -> dict[str, Any]:
    return {"id": name, "asked_at": WHEN} | chart.to_json() | more


def block(rows: list[bytes], *protocols: Protocol, stage: str = "screening") -> ChartBlock:
    (found,) = read_lines(rows, protocols or (PROTOCOL,), stage)
    return found


# --- by columns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", sorted(WIDER.stages))
def test_the_registry_is_answered_as_each_chart_is_asked(stage: str) -> None:
    reader = RegistryReader(WIDER, stage)
    held = columns(WIDER, stage, asked())
    answers = reader.answers(held)
    said = [ask(WIDER, stage, chart, AT).answer.rank for chart in PEOPLE.values()]
    assert answers.tolist() == said
    assert disagreements(reader, held, answers) == []


def test_many_charts_are_read_in_blocks_and_none_is_lost() -> None:
    reader = RegistryReader(PROTOCOL, "screening")
    one = columns(PROTOCOL, "screening", asked())
    parts = list(one.blocks(8))
    assert [part.count for part in parts] == [8, 1]
    whole = reader.answers(one).tolist()
    assert [rank for part in parts for rank in reader.answers(part).tolist()] == whole


def test_no_charts_have_no_answers() -> None:
    reader = RegistryReader(PROTOCOL, "screening")
    none = columns(PROTOCOL, "screening", [])
    assert reader.answers(none).tolist() == []
    assert disagreements(reader, none, reader.answers(none)) == []


def test_a_fact_that_no_column_holds_is_unknown_in_every_chart() -> None:
    reader = RegistryReader(WIDER, "start")
    nothing = ChartColumns(3, {})
    assert reader.answers(nothing).tolist() == [Answer.NEED_MORE_INFORMATION.rank] * 3
    assert disagreements(reader, nothing, reader.answers(nothing)) == []
    assert set(reader.truths(nothing)["DATED"].tolist()) == {1}


class TwoValued(RegistryReader):
    """A broken reader: what is not known true is taken for false."""

    def _pairs(self, charts: ChartColumns) -> Any:
        return ((yes, ~yes) for yes, _ in super()._pairs(charts))


def test_a_reader_that_takes_unknown_for_no_is_caught() -> None:
    reader, held = TwoValued(PROTOCOL, "screening"), columns(PROTOCOL, "screening", asked())
    wrong = disagreements(reader, held, reader.answers(held))
    assert {"answer", "NOW-SI"} <= {one.what for one in wrong if one.by_chart != one.by_registry}


def test_each_kind_of_column_gives_its_values_back() -> None:
    values = [Value(code="TRD"), ChartColumns(1, {}).value("x", 0), Value(code="PTSD")]
    codes = column_of("x", Column(0, "code"), values)
    assert isinstance(codes, CodeColumn)
    assert [codes.value(place, "x").code for place in range(3)] == ["TRD", None, "PTSD"]
    known = KnownColumn(pack(np.array([True, False])))
    assert [known.value(place, "x").truth for place in range(2)] == [TRUE, 1]
    truths = TruthColumn(pack(np.array([1, 0, 0])), pack(np.array([0, 1, 0])))
    assert [truths.value(place, "x").truth for place in range(3)] == [2, 0, 1]


def test_numbers_are_kept_in_the_smallest_integers_and_ends_that_are_equal_once() -> None:
    exact = numbers("x", whole("x", [-1, 200]), whole("x", [-1, 200]), pack(np.ones(2, bool)))
    assert exact.low is exact.high
    assert exact.low.dtype == np.int16
    open_one = column_of("x", Column(0, "number"), [number(1, 2)])
    assert isinstance(open_one, NumberColumn)
    assert open_one.high is not open_one.low
    assert (open_one.value(0, "x").low, open_one.value(0, "x").high) == (1, 2)


def test_a_number_beyond_what_64_bits_can_sum_is_refused() -> None:
    with pytest.raises(ReplayError, match="x: 1099511627776 steps is beyond"):
        column_of("x", Column(0, "number"), [number(2**40, 2**40)])
    big = np.array([-(2**40)])
    with pytest.raises(ReplayError, match="x: a number is beyond"):
        numbers("x", big, big, pack(np.ones(1, bool)))
    fine = ParameterValue(Decimal("0.0000001"), "1")
    held = {"x": Column(0, "number", "1"), "y": Column(1, "number", "1")}
    with pytest.raises(ReplayError, match="too fine to be summed"):
        FormulaReader(Names(held, {"fine": fine})).place(parse("x * param.fine > y").tree)


HALVES: list[dict[str, Known]] = [
    {"x": Fraction(1, 2), "y": Fraction(28)},
    {"x": (Fraction(0), Fraction(1)), "y": (Fraction(20), Fraction(30))},
    {"x": Fraction(-1), "y": (Fraction(0), Fraction(1))},
    {"x": Fraction(3), "y": (Fraction(30), Fraction(31))},
    {},
]


@pytest.mark.parametrize(
    "text",
    [
        "y in param.doses",
        "x == param.odd",
        "x != param.odd",
        "x - y < param.odd",
        "code in param.codes",
    ],
)
def test_a_formula_is_read_as_the_closure_of_one_chart_reads_it(text: str) -> None:
    node = parse(text).tree
    seen = [Seen(one) for one in HALVES]
    held = {
        name: column_of(name, COLUMNS[name], [one.value(COLUMNS[name].slot) for one in seen])
        for name in ("x", "y")
    }
    reader = FormulaReader(NAMES)
    place = reader.place(node)
    yes, no = (unpack(bits, 5) for bits in reader.pairs(ChartColumns(5, held))[place])
    closure = compile_formula(node, NAMES)
    assert (1 + yes - no).tolist() == [closure(one) for one in seen]
    nothing = reader.pairs(ChartColumns(5, {}))[place]
    assert [unpack(bits, 5).any() for bits in nothing] == [False, False]


def test_an_amount_between_two_steps_is_refused() -> None:
    assert steps_in("x", Fraction(3, 2), Fraction(1, 2)) == 3
    with pytest.raises(ReplayError, match="x: 3/2 is not on its step of 1"):
        steps_in("x", Fraction(3, 2), Fraction(1))


# --- files ----------------------------------------------------------------------------------------


def test_lines_hold_charts_or_facts_already_derived() -> None:
    rows = [line(name, chart) for name, chart in PEOPLE.items()]
    facts = {"aneurysm": False, "systolic_mean": 140.5, "age": [39, 40], "indication": "TRD"}
    more = {"conditions": True, "cv_event_date": True, "left_handed": None}
    rows.append({"id": "derived", "derived": facts | more, "answer": "defer"})
    found = block(lines(*rows, b"  "), WIDER)
    assert found.ids == (*PEOPLE, "derived")
    assert found.told.tolist() == [0] * len(PEOPLE) + [Answer.DEFER.rank]
    assert sorted(found.charts) == list(range(len(PEOPLE)))
    assert found.bad == ()
    (held,) = found.facts
    last = {name: held.value(name, len(PEOPLE)) for name in held.facts}
    assert (last["age"].low, last["age"].high, last["systolic_mean"].low) == (39, 40, 281)
    assert (last["aneurysm"].truth, last["left_handed"].truth) == (0, 1)
    assert last["conditions"].reason is last["cv_event_date"].reason is None
    reader = RegistryReader(WIDER, "screening")
    charts = columns(WIDER, "screening", asked())
    assert reader.answers(held).tolist()[:-1] == reader.answers(charts).tolist()


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"{bad", "Expecting property name"),
        (b"[" * 100_000, "recursion"),
        (b"\xff", "codec can't decode"),
        ([1], "an object with an id"),
        ({"id": 7}, "an object with an id"),
        (b'{"id": "a", "id": "b"}', "stands twice"),
        ({"id": "a"}, "asked_at: write the instant"),
        ({"id": "a", "asked_at": "2026-11-24T09:30:00"}, "has no offset"),
        (line("a", Chart(), answer="perhaps"), "answer 'perhaps' is none of"),
        (line("a", Chart(), facts={"height": 1}), "no such fact"),
        ({"id": "a", "derived": {"aneurysm": 1}}, "aneurysm: 1 is no bool"),
        ({"id": "a", "derived": {"age": True}}, "age: True is no number"),
        ({"id": "a", "derived": {"age": [41, 40]}}, "age: .41, 40. is no number"),
        ({"id": "a", "derived": {"age": [41]}}, "age: .41. is no number"),
        ({"id": "a", "derived": {"age": 40.5}}, "age: 81/2 is not on its step of 1"),
        ({"id": "a", "derived": {"indication": 3}}, "indication: 3 is no code"),
        ({"id": "a", "derived": {"cv_event_date": "2014"}}, "cv_event_date: '2014' is no other"),
        ({"id": "a", "derived": {"nope": 1}}, "nope: no fact of small@1.0"),
        ({"id": "a", "derived": {}, "facts": {}}, "nothing beside it"),
        ({"id": "a", "derived": []}, "an object of facts"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(row: Any, why: str) -> None:
    found = block(lines(line("good", well()), row), WIDER)
    assert found.ids == ("good",)
    ((place, said),) = found.bad
    assert place == 2
    assert re.search(why, said)


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    """Write charts as Parquet through the writer, and return the path."""

    def write(protocol: Protocol = WIDER, *rows: Any) -> Path:
        path = tmp_path / "charts.parquet"
        told_ = rows or [line(name, chart, answer="defer") for name, chart in PEOPLE.items()]
        blocks = read_lines(lines(*told_), (protocol,), "screening")
        assert sum(1 for _ in passed_on(path, protocol, "screening", blocks)) == 1
        return path

    return write


def altered(path: Path, change: Callable[[pa.Table], pa.Table]) -> Path:
    """Write a changed table over a file."""
    pq.write_table(change(pq.read_table(path)), path)
    return path


def of_file(path: Path, *protocols: Protocol) -> ChartBlock:
    (found,) = read_parquet(path, protocols or (WIDER,), "screening")
    return found


def test_what_is_written_as_parquet_is_read_back_as_it_was(parquet: Callable[..., Path]) -> None:
    path = parquet()
    found, held = of_file(path), columns(WIDER, "screening", asked())
    assert count_rows(path) == len(PEOPLE)
    assert found.ids == tuple(PEOPLE)
    assert set(found.told.tolist()) == {Answer.DEFER.rank}
    for place in range(len(PEOPLE)):
        for name in held.facts:
            one, other = held.value(name, place), found.facts[0].value(name, place)
            assert (one.truth, one.low, one.high, one.code) == (
                (other.truth, other.low, other.high, other.code)
                if held.facts[name].__class__ is not KnownColumn
                else (one.truth, None, None, one.code)
            )
            assert (one.reason is None) == (other.reason is None)


def test_a_fact_that_a_block_lacks_is_written_as_unknown(tmp_path: Path) -> None:
    path = tmp_path / "none.parquet"
    empty = ChartBlock(("a", "b"), (ChartColumns(2, {}),), np.zeros(2, np.uint8), {}, ())
    assert list(passed_on(path, WIDER, "screening", [empty])) == [empty]
    held = of_file(path).facts[0]
    reasons = {held.value(name, 1).reason for name in held.facts}
    assert reasons == {Reason.NOT_KNOWN}
    assert len(held.facts) > 10


def test_a_slice_that_begins_within_a_byte_is_read_from_there(parquet: Callable[..., Path]) -> None:
    from kap.replay_parquet import _bits

    cell = pa.array([True, False, True, True, False, None, True, False, False, True])
    assert np.unpackbits(_bits(cell[3:], 1), count=2, bitorder="little").tolist() == [1, 0]
    assert _bits(cell, 1).size == 2
    assert count_rows(parquet()) == len(PEOPLE)


def test_a_file_without_ids_and_answers_counts_its_rows(parquet: Callable[..., Path]) -> None:
    path = altered(parquet(), lambda table: table.drop_columns(["id", "answer", "left_handed"]))
    found = of_file(path)
    assert found.ids[:2] == ("1", "2")
    assert found.told.tolist() == [0] * len(PEOPLE)
    assert "left_handed" not in found.facts[0].facts


def test_two_versions_read_the_same_column_once_and_other_steps_exactly(
    parquet: Callable[..., Path],
) -> None:
    finer = small((TEXT + MORE).replace("bp_n = { value = 2", "bp_n = { value = 4"))
    found = of_file(parquet(), WIDER, finer)
    one, other = (held.facts["systolic_mean"] for held in found.facts)
    assert (one.value(0, "x").low, other.value(0, "x").low) == (262, 524)
    assert found.facts[0].facts["aneurysm"] is found.facts[1].facts["aneurysm"]


def replaced(name: str, values: pa.Array, **meta: str) -> Callable[[pa.Table], pa.Table]:
    """Return a change of one column, its metadata kept but for what is given."""

    def change(table: pa.Table) -> pa.Table:
        field = table.schema.field(name)
        kept = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        said = pa.field(name, values.type, metadata=kept | meta)
        return table.set_column(table.schema.get_field_index(name), said, values)

    return change


COUNT = len(PEOPLE)


def test_a_column_in_which_all_is_known_has_no_unknown(parquet: Callable[..., Path]) -> None:
    told_ = pa.array([True] * (COUNT - 1) + [False])
    held = of_file(altered(parquet(), replaced("left_handed", told_))).facts[0].facts
    assert [held["left_handed"].value(place, "x").truth for place in (0, COUNT - 1)] == [2, 0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (replaced("id", pa.array([None] * COUNT, pa.string())), "id: a row has none"),
        (replaced("answer", pa.array(["perhaps"] * COUNT)), "answer 'perhaps' is none of"),
        (replaced("age", pa.array([0.5] * COUNT)), "age: double is no whole number"),
        (replaced("age", pa.array([9] * COUNT), unit="d"), "says number in 'd', the protocol"),
        (replaced("age", pa.array([9] * COUNT), kind=""), "says no kind in 'a'"),
        (replaced("age", pa.array([9] * COUNT), step="1/2"), "kept in steps of 1/2, needed in 1"),
        (replaced("age", pa.array([2**60] * COUNT), step="2"), "age: a number is beyond"),
        (replaced("age.high", pa.array([-9] * COUNT)), "age: .high is below, or missing"),
    ],
)
def test_a_column_that_does_not_fit_is_refused_whole(
    parquet: Callable[..., Path], change: Callable[[pa.Table], pa.Table], why: str
) -> None:
    with pytest.raises(ReplayError, match=why):
        of_file(altered(parquet(), change))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "charts.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(ReplayError, match="no Parquet file"):
        count_rows(path)


# --- old against new ------------------------------------------------------------------------------

STRICTER = small(TEXT.replace("hard_sbp = { value = 160", "hard_sbp = { value = 150"))
LOOSER = small(TEXT.replace('when = "left_handed"', 'when = "left_handed and aneurysm"'))


def test_who_moved_is_counted_with_examples_and_the_direction() -> None:
    rows = [line(f"left {n}", PEOPLE["left"]) for n in range(5)] + [line("well", well())]
    both = read_lines(lines(*rows), (LOOSER, PROTOCOL), "screening")
    found = replayed(both, "screening", LOOSER, PROTOCOL)
    assert [(t.old, t.new, t.count, t.examples, t.direction) for t in found.transitions] == [
        (Answer.ELIGIBLE, Answer.ELIGIBLE, 1, (), "same"),
        (Answer.DEFER, Answer.ELIGIBLE, 5, ("left 0", "left 1", "left 2"), "looser"),
    ]
    back = read_lines(lines(*rows), (PROTOCOL, LOOSER), "screening")
    turned = replayed(back, "screening", PROTOCOL, LOOSER).transitions
    assert [t.direction for t in turned] == ["same", "stricter"]
    assert (found.read, found.sampled, found.disagreed) == (6, 6, [])


def test_examples_are_gathered_over_blocks() -> None:
    found = Replay()
    for name in "abcd":
        found.add((name,), np.array([1], np.uint8), np.array([4], np.uint8))
    (turn,) = found.transitions
    assert (turn.count, turn.examples) == (4, ("a", "b", "c"))


def test_the_old_answers_may_be_those_of_the_file_but_none_is_guessed() -> None:
    rows = [line("a", well(), answer="contraindicated"), line("b", well())]
    found = replayed([block(lines(rows[0]))], "screening", PROTOCOL, None)
    assert [(t.old, t.new) for t in found.transitions] == [
        (Answer.CONTRAINDICATED, Answer.ELIGIBLE)
    ]
    with pytest.raises(ReplayError, match="b: the file gives no old answer"):
        replayed([block(lines(*rows))], "screening", PROTOCOL, None)


def test_a_reader_that_differs_from_ask_is_found_by_the_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kap.replay_matrix.RegistryReader", TwoValued)
    rows = lines(line("nobody asked", Chart(), answer="eligible"))
    found = replayed([block(rows)], "screening", PROTOCOL, None)
    assert {d.what for _, d in found.disagreed} >= {"answer", "kap.ask", "NOW-SI"}
    assert {name for name, _ in found.disagreed} == {"nobody asked"}


def test_a_file_with_nothing_good_in_it_moves_nobody() -> None:
    found = replayed([block(lines([1]))], "screening", PROTOCOL, None)
    assert (found.read, found.bad_count, found.transitions) == (0, 1, ())


def test_what_two_versions_derive_otherwise_is_named() -> None:
    assert derived_otherwise("screening", STRICTER, PROTOCOL) == ()
    nearer = TEXT.replace("gap_max = { value = 15", "gap_max = { value = 20")
    assert derived_otherwise("screening", small(nearer), PROTOCOL) == ("systolic_mean",)
    longer = small(TEXT.replace("mind_valid = { value = 7", "mind_valid = { value = 9"))
    assert derived_otherwise("screening", longer, PROTOCOL) == ("psychosis", "si_intent")
    wider = small(TEXT.replace('of = ["chest_pain", "dyspnoea"]', 'of = ["chest_pain"]'))
    assert derived_otherwise("screening", wider, PROTOCOL) == ("symptom",)


# --- the command ----------------------------------------------------------------------------------

IV, OLD = "iv-ketamine@2026.2", "iv-ketamine@2026.1"


@pytest.fixture
def kap(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["protocol", "replay", *words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Write three charts of derived facts as JSON lines."""
    path = tmp_path / "charts.jsonl"
    rows = [
        {"id": "a", "derived": {}, "answer": "eligible"},
        {"id": "b", "derived": {"aneurysm": True, "aneurysm_excluded": False}, "answer": "defer"},
        {"id": "c", "derived": {"aneurysm": True}, "answer": "refer_now"},
    ]
    path.write_bytes(b"\n".join(lines(*rows)))
    return path


def test_the_command_prints_old_against_new(kap: Any, registry: Path, tmp_path: Path) -> None:
    code, said, _ = kap(IV, "--charts", str(registry))
    assert code == 0
    assert said.startswith(f"3 charts at screening: the answers in the file against {IV}\n")
    assert "stricter defer -> contraindicated: 1, as b" in said
    assert "looser   refer_now -> need_more_information: 1, as c" in said
    assert "3 charts answered one by one as well: exact agreement" in said
    kept = tmp_path / "kept.parquet"
    code, said, _ = kap(IV, "--charts", str(registry), "--old", OLD, "--save", str(kept))
    assert (code, "derived otherwise by the two" in said) == (0, True)
    code, again, _ = kap(IV, "--charts", str(kept), "--old", OLD)
    assert (code, again) == (0, said)


def test_the_command_tells_a_program_the_same(kap: Any, registry: Path) -> None:
    code, said, _ = kap(IV, "--charts", str(registry), "--old", OLD, "--json")
    found = json.loads(said)
    assert (code, found["charts"], found["sampled"], found["disagreements"]) == (0, 3, 3, [])
    assert (found["old"]["version"], found["new"]["version"]) == ("2026.1", "2026.2")
    assert sum(turn["count"] for turn in found["transitions"]) == 3
    found = json.loads(kap(IV, "--charts", str(registry), "--json")[1])
    assert (found["old"], found["transitions"][0]["direction"]) == (None, "stricter")


def test_bad_rows_are_counted_named_and_end_the_command_with_4(kap: Any, registry: Path) -> None:
    registry.write_bytes(registry.read_bytes() + b"\n{" * 25)
    code, said, _ = kap(IV, "--charts", str(registry))
    assert code == 4
    assert "25 bad rows were not decided:\n  row 4: Expecting property name" in said
    assert "\n  and 5 more\n" in said
    registry.write_bytes(b"{")
    code, said, _ = kap(IV, "--charts", str(registry))
    assert (code, said.splitlines()[0][:9], " more" in said) == (4, "0 charts ", False)


def test_a_file_without_old_answers_needs_an_old_version(kap: Any, registry: Path) -> None:
    registry.write_bytes(b'{"id": "a", "derived": {}}')
    code, _, complaint = kap(IV, "--charts", str(registry))
    assert (code, "a: the file gives no old answer; name a version" in complaint) == (4, True)


def test_facts_that_the_file_does_not_hold_are_named(
    kap: Any, registry: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.parquet"
    kap(IV, "--charts", str(registry), "--save", str(kept))
    altered(kept, lambda table: table.drop_columns(["aneurysm"]))
    assert (
        "not in the file, unknown in every chart: aneurysm\n" in kap(IV, "--charts", str(kept))[1]
    )


def test_a_disagreement_ends_the_command_with_1_and_names_the_chart(
    kap: Any, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kap.replay_matrix.RegistryReader", TwoValued)
    code, said, _ = kap(IV, "--charts", str(registry))
    assert code == 1
    assert "DISAGREEMENT\n  a: " in said


def test_a_version_from_a_file_may_be_replayed_before_it_is_shipped(
    kap: Any, registry: Path, tmp_path: Path
) -> None:
    from importlib import resources

    text = resources.files("kap").joinpath("protocols/iv-ketamine/2026.2.toml").read_text("utf-8")
    draft = tmp_path / "draft.toml"
    draft.write_text(text.replace('version = "2026.2"', 'version = "2027.1"'), encoding="utf-8")
    code, said, _ = kap(str(draft), "--charts", str(registry), "--old", IV)
    assert (code, "against iv-ketamine@2027.1" in said) == (0, True)
    draft.write_text("nothing", encoding="utf-8")
    code, _, complaint = kap(str(draft), "--charts", str(registry))
    assert (code, "draft.toml" in complaint) == (4, True)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--stage", "tomorrow"], 2, "has no stage 'tomorrow'"),
        (["--old", "iv-ketamine@1"], 2, "no protocol iv-ketamine@1"),
        (["--charts", "nowhere.jsonl"], 4, "nowhere.jsonl: No such file"),
        (["--charts", "nowhere.parquet"], 4, "nowhere.parquet"),
        (["--save", "nowhere/kept.parquet"], 4, "nowhere/kept.parquet"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    kap: Any, registry: Path, words: list[str], code: int, complaint: str
) -> None:
    found, _, said = kap(IV, "--charts", str(registry), *words)
    assert (found, complaint in said) == (code, True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_shows_after_a_second_five_times_a_second_and_goes_away() -> None:
    times = iter([0.0, 0.9, 1.1, 1.2, 1.4])
    out = Terminal()
    progress = Progress(lambda: next(times), out)
    for share in (0.1, 0.2, 0.3):
        progress.at(share)
    assert out.getvalue() == f"\r[{'#' * 6}{'.' * 24}]  20% "
    progress.at(0.5)
    progress.done()
    assert out.getvalue().endswith(f" 50% \r{' ' * 40}\r")


def test_no_progress_is_written_where_nobody_waits() -> None:
    out = io.StringIO()
    progress = Progress(iter([0.0, 5.0]).__next__, out)
    progress.at(0.5)
    progress.done()
    assert out.getvalue() == ""
