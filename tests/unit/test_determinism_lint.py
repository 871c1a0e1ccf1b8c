"""The core reads no clock, no randomness and no machine, and never depends on the order of a set.

Two processes with other hash seeds must make the same decisions from the same events, so in
`grid` and `domain` the sources of difference are forbidden by name, and walking through a set is
forbidden unless it goes through `sorted` or into something that has no order.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ("gridlab/grid", "gridlab/domain")
MODULES = frozenset(
    (
        *("time", "uuid", "random", "secrets", "os", "io", "sys", "platform", "socket"),
        *("threading", "multiprocessing", "concurrent", "asyncio", "queue", "subprocess"),
        *("tempfile", "pathlib", "shutil", "logging", "sqlite3", "numpy", "pandas", "weakref"),
        *("locale", "getpass", "urllib", "http", "signal", "gc", "contextvars", "calendar"),
    )
)
CALLS = frozenset(("hash", "id", "open", "input", "print", "globals", "eval", "exec", "object"))
NOW = frozenset(("now", "utcnow", "today", "fromtimestamp", "localtime"))
#: What may take a set whole: the answer does not depend on its order.
ORDERLESS = frozenset(
    ("sorted", "set", "frozenset", "len", "sum", "any", "all", "min", "max", "bool", "isinstance")
)
#: What walks through its argument in order.
WALKERS = frozenset(
    (
        *("list", "tuple", "iter", "next", "enumerate", "zip", "map", "filter", "reversed", "dict"),
        *("join", "extend", "fromkeys", "chain", "from_iterable", "deque", "reduce"),
    )
)
SET_METHODS = frozenset(("union", "intersection", "difference", "symmetric_difference", "copy"))


class Lint(ast.NodeVisitor):
    """Collects (line, sentence) for everything in one module that could differ between two runs."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self.sets = set(_names_of_sets(tree))
        self.visit(tree)

    def tell(self, node: ast.AST, sentence: str) -> None:
        self.found.append((getattr(node, "lineno", 0), sentence))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._module(node, node.module or "")
        if node.module == "gridlab":
            for alias in node.names:
                self._module(node, f"gridlab.{alias.name}")

    def _module(self, node: ast.AST, name: str) -> None:
        if name.split(".")[0] in MODULES or name == "gridlab.clock":
            self.tell(node, f"imports {name}")

    def visit_For(self, node: ast.For) -> None:
        self._walk(node.iter)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self._walk(node.iter)
        self.generic_visit(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        # From a set into a set: no order is made.
        self._inside_orderless(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._walk(node.value)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in NOW and isinstance(node.value, (ast.Name, ast.Attribute)):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if owner in ("datetime", "date"):
                self.tell(node, f"reads the clock by {owner}.{node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _called(node)
        if isinstance(node.func, ast.Name) and name in CALLS and hasattr(builtins, name):
            self.tell(node, f"calls {name}()")
        if name == "pop" and isinstance(node.func, ast.Attribute) and not node.args:
            self._walk(node.func.value)
        if name in WALKERS:
            for argument in node.args:
                self._walk(argument)
        if name in ORDERLESS:
            for argument in node.args:
                self._inside_orderless(argument)
            return
        self.generic_visit(node)

    def _inside_orderless(self, argument: ast.expr) -> None:
        """A generator over a set is fine here; what it computes for each item is still read."""
        if isinstance(argument, (ast.GeneratorExp, ast.ListComp, ast.SetComp)):
            for generator in argument.generators:
                if not self.is_set(generator.iter):
                    self.visit(generator.iter)
                for part in generator.ifs:
                    self.visit(part)
            self.visit(argument.elt)
        else:
            self.visit(argument)

    def _walk(self, node: ast.expr) -> None:
        if self.is_set(node):
            self.tell(node, f"walks through the set `{ast.unparse(node)}`; use sorted()")

    def is_set(self, node: ast.expr) -> bool:
        """Whether an expression is, as far as this module shows, a set."""
        if isinstance(node, (ast.Set, ast.SetComp)):
            return True
        if isinstance(node, (ast.Name, ast.Attribute)):
            return ast.unparse(node) in self.sets
        if isinstance(node, ast.BinOp) and isinstance(
            node.op, (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
        ):
            return self.is_set(node.left) or self.is_set(node.right)
        if isinstance(node, ast.IfExp):
            return self.is_set(node.body) or self.is_set(node.orelse)
        if isinstance(node, ast.Call):
            if _called(node) in ("set", "frozenset") and isinstance(node.func, ast.Name):
                return True
            if isinstance(node.func, ast.Attribute) and node.func.attr in SET_METHODS:
                return self.is_set(node.func.value)
        return False


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _says_set(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    words = ast.unparse(annotation).replace('"', "").replace("'", "")
    kind = words.split("[")[0].split(".")[-1]
    return kind in ("set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet")


def _names_of_sets(tree: ast.Module) -> Iterator[str]:
    """Names and `self.` attributes that the module annotates as a set or assigns one to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and _says_set(node.annotation):
            name = ast.unparse(node.target)
            yield name
            yield f"self.{name}"
        elif isinstance(node, ast.arg) and _says_set(node.annotation):
            yield node.arg
        elif isinstance(node, (ast.Assign, ast.NamedExpr)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value, (ast.Set, ast.SetComp)) or (
                isinstance(node.value, ast.Call) and _called(node.value) in ("set", "frozenset")
            ):
                yield from (ast.unparse(target) for target in targets)
        elif isinstance(node, ast.FunctionDef) and _says_set(node.returns):
            yield f"self.{node.name}"  # a property


def problems_in(source: str) -> list[str]:
    return [f"line {line}: {sentence}" for line, sentence in Lint(ast.parse(source)).found]


def core_files() -> list[Path]:
    return sorted(path for folder in CORE for path in (ROOT / folder).rglob("*.py"))


def test_the_core_is_deterministic() -> None:
    found = [
        f"{path.relative_to(ROOT)} {problem}"
        for path in core_files()
        for problem in problems_in(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_the_core_is_where_the_lint_looks() -> None:
    names = {path.name for path in core_files()}
    assert {"engine.py", "ledger.py", "lifecycle.py", "levels.py", "orders.py"} <= names


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.utcnow()",
        "from datetime import date\nx = date.today()",
        "def f():\n    import uuid",
        "from random import choice",
        "import os.path",
        "from gridlab.clock import SystemClock",
        "from gridlab import clock",
        "x = hash('a')",
        "x = id(y)",
        "for x in {1, 2}: f(x)",
        "for x in set(y): f(x)",
        "y = [x for x in frozenset(z)]",
        "y = {x: 1 for x in {1, 2}}",
        "y = list({1, 2})",
        "y = ', '.join(set(z))",
        "y = (*{1, 2},)",
        "x = {1, 2}\nfor y in x: f(y)",
        "x: set[int] = f()\nfor y in x: g(y)",
        "def f(x: frozenset[int]) -> list[int]:\n    return [y for y in x]",
        "class A:\n    def __init__(self):\n        self.x = set()\n"
        "    def f(self):\n        return tuple(self.x)",
        "class A:\n    x: set[int]\n    def f(self):\n        return next(iter(self.x))",
        "x = {1}\ny = x.pop()",
        "x = {1}\nfor y in x | z: f(y)",
        "x = {1}\nfor y in x.union(z): f(y)",
    ],
)
def test_the_lint_sees_what_it_forbids(source: str) -> None:
    assert problems_in(source)


@pytest.mark.parametrize(
    "source",
    [
        "for x in sorted({1, 2}): f(x)",
        "y = sorted(x for x in {1, 2})",
        "y = len({1, 2}) + sum(x for x in set(z))",
        "y = {x + 1 for x in {1, 2}}",
        "x = {1, 2}\ny = 3 in x",
        "for x in {'a': 1}: f(x)",
        "x = [1]\ny = x.pop()",
        "from datetime import timedelta",
        "import dataclasses, decimal, enum, typing",
    ],
)
def test_the_lint_lets_pass_what_has_no_order(source: str) -> None:
    assert problems_in(source) == []
