"""Only actions write, and one function builds a StartAuthorization: read from the syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CLINIC = Path(__file__).resolve().parents[2] / "clinic"
# Not of the program at work: the mixin itself, the schema, the owner's commands and the places
# of a demonstration, which are written before anybody signs in.
OWNERS = (
    "guard.py",
    "demo/places.py",
    "demo/clock.py",
    "people/management/commands/migrate.py",
)
WRITES = {"bulk_create", "bulk_update", "get_or_create", "update_or_create", "create", "save"}
QUERIES = {"objects", "filter", "exclude", "all", "using"}
SQL = ("INSERT ", "UPDATE ", "DELETE ", "TRUNCATE ")


def modules() -> Iterator[Path]:
    """Yield the modules in which nothing may be written."""
    for path in sorted(CLINIC.rglob("*.py")):
        place = path.relative_to(CLINIC)
        is_action = place.name == "actions.py" or "actions" in place.parts[:-1]
        if not is_action and "migrations" not in place.parts and str(place) not in OWNERS:
            yield path


def writes(source: str) -> list[str]:
    """Return each call of a source that writes rows, as `line: text`."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [f"{call.lineno}: {ast.unparse(call)[:80]}" for call in calls if is_write(call)]


def is_write(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    on, name = call.func.value, call.func.attr
    if name in ("add", "add_all"):
        return isinstance(on, ast.Name) and on.id[:1].isupper()  # a model; a set is lower case
    if name in ("update", "delete"):
        return is_query(on)
    if name == "execute":
        told = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
        return any(str(text).lstrip().upper().startswith(SQL) for text in told)
    return name in WRITES and (is_query(on) or name in ("bulk_create", "save"))


def is_query(on: ast.expr) -> bool:
    """Return whether an expression is a chain on a model's manager."""
    while isinstance(on, ast.Call | ast.Attribute):
        if isinstance(on, ast.Attribute) and on.attr in QUERIES:
            return True
        on = on.func if isinstance(on, ast.Call) else on.value
    return False


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(CLINIC)))
def test_nothing_but_an_action_writes(path: Path) -> None:
    assert writes(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "Fact.add(name='weight')",
        "Observation.add_all([])",
        "Fact.objects.bulk_create([])",
        "Task.objects.filter(pk=1).update(text='x')",
        "Task.objects.all().delete()",
        "Site.objects.using('migrate').create(code='x')",
        "Site.objects.get_or_create(code='x')",
        "row.save()",
        "models.Model.save(row)",
        "cursor.execute('  insert into course_fact values (1)')",
        "cursor.execute('UPDATE course_fact SET name = 1')",
    ],
)
def test_the_reader_of_the_trees_sees_a_write(line: str) -> None:
    assert writes(line)


@pytest.mark.parametrize(
    "line",
    [
        "seen.add(reader)",
        "facts.update(more)",
        "del rows[0]",
        "Fact.objects.filter(name='weight')",
        "cursor.execute('SELECT 1')",
        "form.add_error(None, 'no')",
    ],
)
def test_the_reader_of_the_trees_leaves_the_rest(line: str) -> None:
    assert not writes(line)


def test_the_modules_that_are_read_are_those_of_the_program() -> None:
    read = {str(path.relative_to(CLINIC)) for path in modules()}
    assert {"intake/views.py", "dosing/views.py", "portal/self_check.py", "asgi.py"} <= read
    assert not {"course/actions/facts.py", "outcomes/actions.py"} & read


# -- the start -------------------------------------------------------------------------------------


def builders(source: str, model: str) -> list[str]:
    """Return the functions of a source in which a row of this model is built."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [f.name for f in functions if any(builds(node, model) for node in ast.walk(f))]


def builds(node: ast.AST, model: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    func = node.func
    on = func.value if isinstance(func, ast.Attribute) and func.attr != "filter" else func
    is_making = isinstance(func, ast.Name) or getattr(func, "attr", "") in ("add", "add_all")
    return is_making and isinstance(on, ast.Name) and on.id == model


@pytest.mark.parametrize(
    ("model", "only"), [("StartAuthorization", "authorise"), ("Infusion", "_insert")]
)
def test_one_function_builds_what_lets_a_dose_begin(model: str, only: str) -> None:
    found = [
        (str(path.relative_to(CLINIC)), name)
        for path in sorted(CLINIC.rglob("*.py"))
        if "migrations" not in path.parts
        for name in builders(path.read_text(encoding="utf-8"), model)
    ]
    assert found == [("dosing/actions/start.py", only)]


@pytest.mark.parametrize("made", ["StartAuthorization(x=1)", "StartAuthorization.add(x=1)"])
def test_a_second_builder_would_be_seen(made: str) -> None:
    assert builders(f"def forge():\n    {made}", "StartAuthorization") == ["forge"]
