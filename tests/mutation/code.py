"""Mutants of a module: its syntax tree with one thing wrong.

Left alone: sentences (any text with a space in it, and what stands in an f-string), docstrings,
annotations, and `assert`, which tells the type checker what the code knows already.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Put = Callable[[ast.AST], None]

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_CALLED = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "floor": "ceil",
    "ceil": "floor",
}
_SKIPPED = {"annotation", "returns", "decorator_list", "bases", "keywords_of_class"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing wrong: of what kind, where and what, and how its tree is changed."""

    kind: str
    name: str
    line: int
    apply: Callable[[], None]


def changes(tree: ast.Module) -> list[Change]:
    """Return every change of a module, each with a name of its own, in the order of the text."""
    seen: Counter[str] = Counter()
    found = []
    for where, node, what, apply in _found(tree):
        name = f"{where}: {what}" if where else what
        seen[name] += 1
        told = name if seen[name] == 1 else f"{name} (no. {seen[name]})"
        found.append(Change(KINDS[type(node)], told, getattr(node, "lineno", 0), apply))
    return found


def mutated(source: str, place: int) -> ast.Module:
    """Return the tree of a module with its change number `place`."""
    tree = ast.parse(source)
    changes(tree)[place].apply()
    return ast.fix_missing_locations(tree)


Found = tuple[str, ast.AST, str, Callable[[], None]]


def _found(tree: ast.Module) -> Iterator[Found]:
    for node, where, put in _places(tree, ""):
        for what, new in _instead(node):
            yield where, node, what, _applied(put, new)


def _applied(put: Put, new: ast.AST) -> Callable[[], None]:
    return lambda: put(new)


def _places(node: ast.AST, where: str) -> Iterator[tuple[ast.AST, str, Put]]:
    """Yield what may be changed below a node, where it stands, and how another is put there."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        where = f"{where}.{node.name}" if where else node.name
    for name, held in ast.iter_fields(node):
        if name in _SKIPPED:
            continue
        parts = held if isinstance(held, list) else [held]
        for place, part in enumerate(parts):
            if not isinstance(part, ast.AST) or _is_left_alone(part):
                continue
            yield part, where, _putter(node, name, place if isinstance(held, list) else None)
            yield from _places(part, where)


def _putter(node: ast.AST, name: str, place: int | None) -> Put:
    def put(new: ast.AST) -> None:
        if place is None:
            setattr(node, name, new)
        else:
            getattr(node, name)[place] = new

    return put


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring, or the `...` of a shape
    if isinstance(node, ast.Assign) and (_is_of_types(node.value) or _is_all(node)):
        return True
    return isinstance(node, ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom)


def _is_all(node: ast.Assign) -> bool:
    return any(isinstance(name, ast.Name) and name.id == "__all__" for name in node.targets)


def _is_of_types(node: ast.AST) -> bool:
    """Return whether this is a union of types: `int | None`, `Callable[...]`."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_of_types(node.left)
    if isinstance(node, ast.Subscript):
        return _is_of_types(node.value)
    return (
        isinstance(node, ast.Name)
        and (
            node.id[:1].isupper() or node.id in ("bool", "int", "str", "date", "tuple", "datetime")
        )
        and not node.id.isupper()
    )


def _instead(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield (in words, what stands in its place) for each way in which a node can be wrong."""
    make: Any = _MAKERS.get(type(node))
    if make is not None:
        for new in make(node):
            yield f"`{_text(node)}` -> `{_text(new)}`", new


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.If):
        return f"if {ast.unparse(node.test)}"
    written = " ".join(ast.unparse(node).split())
    return written if len(written) <= 90 else f"{written[:87]}..."


def _compare(node: ast.Compare) -> Iterator[ast.AST]:
    for place, op in enumerate(node.ops):
        ops = [*node.ops[:place], _COMPARED[type(op)](), *node.ops[place + 1 :]]
        yield ast.Compare(node.left, ops, node.comparators)
        words = node.comparators[place]
        if isinstance(words, ast.Constant) and isinstance(words.value, str):
            others = [*node.comparators]
            others[place] = ast.Constant("mutant")
            yield ast.Compare(node.left, node.ops, others)


def _bool_op(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    for place in range(len(node.values)):
        rest = [*node.values[:place], *node.values[place + 1 :]]
        yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _unary(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


def _binary(node: ast.BinOp) -> Iterator[ast.AST]:
    if not _is_of_types(node) and not _is_text(node):
        yield ast.BinOp(node.left, _COMPUTED[type(node.op)](), node.right)


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in (node.left, node.right)
    )


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
        if node.value > 0:
            yield ast.Constant(node.value - 1)


def _call(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Name) and node.func.id in _CALLED:
        yield ast.Call(ast.Name(_CALLED[node.func.id], ast.Load()), node.args, node.keywords)


def _return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _nothing(_node: ast.stmt) -> Iterator[ast.AST]:
    yield ast.Pass()


def _test(node: ast.If | ast.IfExp) -> Iterator[ast.AST]:
    if isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
        return  # changed where they stand
    turned = ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.If):
        yield ast.If(turned, node.body, node.orelse)
    else:
        yield ast.IfExp(turned, node.body, node.orelse)


def _dict(node: ast.Dict) -> Iterator[ast.AST]:
    for place, value in enumerate(node.values):
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
            values = [*node.values]
            values[place] = ast.Constant("mutant")
            yield ast.Dict(node.keys, values)


def _pattern(node: ast.MatchValue) -> Iterator[ast.AST]:
    if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        yield ast.MatchValue(ast.Constant("mutant"))


def _slice(node: ast.Slice) -> Iterator[ast.AST]:
    if node.lower is not None:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper is not None:
        yield ast.Slice(node.lower, None, node.step)


def _loop_word(node: ast.Continue | ast.Break) -> Iterator[ast.AST]:
    yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()


def _filter(node: ast.comprehension) -> Iterator[ast.AST]:
    if node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async)


_MAKERS: dict[type[ast.AST], Any] = {
    ast.Compare: _compare,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.Constant: _constant,
    ast.Call: _call,
    ast.Return: _return,
    ast.Expr: _nothing,
    ast.Assign: _nothing,
    ast.AugAssign: _nothing,
    ast.Raise: _nothing,
    ast.If: _test,
    ast.IfExp: _test,
    ast.Dict: _dict,
    ast.MatchValue: _pattern,
    ast.Slice: _slice,
    ast.Continue: _loop_word,
    ast.Break: _loop_word,
    ast.comprehension: _filter,
}
KINDS: dict[type[ast.AST], str] = {
    ast.Compare: "comparison",
    ast.BoolOp: "and, or",
    ast.UnaryOp: "not, minus",
    ast.BinOp: "arithmetic",
    ast.Constant: "constant",
    ast.Call: "min, any, floor",
    ast.Return: "returns None",
    ast.Expr: "statement deleted",
    ast.Assign: "statement deleted",
    ast.AugAssign: "statement deleted",
    ast.Raise: "statement deleted",
    ast.If: "test turned",
    ast.IfExp: "test turned",
    ast.Dict: "word changed",
    ast.MatchValue: "word changed",
    ast.Slice: "slice",
    ast.Continue: "loop word",
    ast.Break: "loop word",
    ast.comprehension: "filter dropped",
}
