"""The import rules of the house, as data, checked against every import that the source contains.

All imports count: at the top, inside functions, under TYPE_CHECKING, and `import_module` of a
constant. Not allowed means forbidden, so a package that the tables do not name fails.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "gridlab"

#: What each layer may import from gridlab: whole layers, or single modules (`app.facade`).
#: `errors` and `money` are the ground that everybody above them stands on, see GROUND.
LAYERS: dict[str, tuple[str, ...]] = {
    "_version": (),
    "errors": (),
    "clock": (),
    "money": (),
    "domain": (),
    "grid": ("domain",),
    "exchange": ("domain", "clock"),
    "store": ("domain", "clock"),
    "twin": ("exchange", "domain", "clock", "data"),
    "data": ("domain", "clock", "exchange.base", "exchange.budgets"),
    "research": (
        *("grid", "domain", "data", "clock", "_version"),
        *("exchange.base", "exchange.paper", "exchange.paper_futures", "exchange.replay"),
    ),
    "sentiment": ("domain", "clock", "llm"),
    "llm": ("domain", "clock"),
    "rl": ("grid", "domain", "research", "data"),
    "agents": (
        *("grid", "domain", "exchange.base", "store", "data", "clock"),
        *("research.indicators", "research.metrics", "sentiment", "llm", "rl.policy"),
    ),
    "app": (
        *("agents", "rl", "llm", "sentiment", "research", "data", "twin", "store", "exchange"),
        *("grid", "domain", "clock", "_version"),
    ),
    "api": ("app.facade", "domain", "clock", "_version"),
    "client": ("domain", "clock", "_version"),
    "widgets": ("app.facade", "client", "domain", "clock"),
    "testing": ("domain", "grid", "exchange", "clock", "twin"),
}
GROUND = ("errors", "money")
GROUND_FLOOR = {"_version": (), "errors": (), "clock": ("errors",), "money": ("errors",)}
#: The faces over everything: the command, and the lazy names of `import gridlab`.
FACES = ("__init__", "__main__", "cli")

#: What each layer may import from others, by import name; the standard library is open to all but
#: for what SINGLE_OWNER says.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    "twin": ("aiohttp", "numpy", "yaml"),
    "data": ("numpy", "pandas", "pyarrow", "httpx", "tqdm", "zstandard"),
    "research": ("numpy", "numba", "pandas", "talib", "plotly", "optuna", "tqdm", "distributed"),
    "sentiment": ("onnxruntime", "tokenizers", "praw", "prawcore", "httpx", "numpy"),
    "llm": ("ollama", "httpx"),
    "rl": ("gymnasium", "onnxruntime", "numpy"),
    "app": ("yaml", "pydantic", "pydantic_core", "psutil"),
    "api": ("flask", "werkzeug", "pydantic", "pydantic_core", "prometheus_client"),
    "widgets": ("ipywidgets", "anywidget", "traitlets", "IPython"),
    "client": ("httpx",),
    "testing": ("hypothesis", "pytest"),
}
#: Packages that single modules may import beyond their layer's list.
EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "exchange.binance": ("binance", "websockets", "aiohttp"),
    "testing.twin": ("aiohttp",),
    "rl.train": ("torch", "stable_baselines3"),
    "sentiment.training": ("sklearn", "scipy", "onnx", "vaderSentiment"),
    "rl.tabular": ("sklearn",),
}
#: Parts of the standard library that belong to one place.
SINGLE_OWNER: dict[str, tuple[str, ...]] = {
    "sqlite3": ("store",),
    "time": ("clock",),
}


class Edge(NamedTuple):
    """One import: who (dotted, without the package's name), whom (in full), and where."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source} (line {self.line}) imports {self.target}"


def module_files() -> dict[str, Path]:
    """Every module of the package by its dotted name below gridlab; packages by their folder's."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        if parts[-1] == "__init__" and len(parts) > 1:
            parts = parts[:-1]
        found[".".join(parts)] = path
    return found


MODULES = module_files()


def edges_of(name: str, source: str, modules: frozenset[str]) -> Iterator[Edge]:
    """Every import of one module, relative ones resolved."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Edge(name, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                is_package = (ROOT / PACKAGE / Path(*name.split("."))).is_dir()
                parents = [PACKAGE, *name.split(".")]
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                is_module = inner.removeprefix(f"{PACKAGE}.") in modules
                yield Edge(name, inner if is_module else base, node.lineno)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            called = called.id if isinstance(called, ast.Name) else called
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield Edge(name, node.args[0].value, node.lineno)


def layer_of(module: str) -> str:
    return module.split(".")[0]


def is_within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def problem_of(edge: Edge) -> str | None:
    """Why this import breaks the rules, or None."""
    layer = layer_of(edge.source)
    if layer not in LAYERS and layer not in FACES:
        return f"{edge.source}: the table does not know the layer {layer}"
    if edge.target == PACKAGE or edge.target.startswith(f"{PACKAGE}."):
        inner = edge.target.removeprefix(PACKAGE).removeprefix(".")
        return _inner_problem(edge, layer, inner)
    return _outer_problem(edge, layer, edge.target.split(".")[0])


def _inner_problem(edge: Edge, layer: str, inner: str) -> str | None:
    if not inner:
        return f"{edge}: the package's face; import the module that defines the name"
    if layer in FACES:
        return None
    allowed = GROUND_FLOOR.get(layer, (*LAYERS[layer], *GROUND))
    if layer_of(inner) == layer or is_within(inner, allowed):
        return None
    return f"{edge}: allowed are {', '.join(allowed) or 'nothing'}"


def _outer_problem(edge: Edge, layer: str, package: str) -> str | None:
    if layer in FACES:
        return None
    if package in SINGLE_OWNER and not is_within(edge.source, SINGLE_OWNER[package]):
        return f"{edge}: only {', '.join(SINGLE_OWNER[package])} may"
    if package in sys.stdlib_module_names:
        return None
    allowed = THIRD_PARTY.get(layer, ())
    for place, more in EXCEPTIONS.items():
        if is_within(edge.source, (place,)):
            allowed += more
    if package in allowed:
        return None
    return f"{edge}: of other packages it may import {', '.join(allowed) or 'none'}"


def cycle_in(graph: dict[str, set[str]]) -> list[str] | None:
    """One cycle of imports as a path that ends where it began, or None."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        path.append(name)
        for target in sorted(graph.get(name, ())):
            found = visit(target)
            if found:
                return found
        path.pop()
        done.add(name)
        return None

    for name in sorted(graph):
        found = visit(name)
        if found:
            return found
    return None


@cache
def all_edges() -> list[Edge]:
    names = frozenset(MODULES)
    return [
        edge
        for name, path in MODULES.items()
        for edge in edges_of(name, path.read_text(encoding="utf-8"), names)
    ]


def test_every_import_is_allowed() -> None:
    problems = [problem for edge in all_edges() if (problem := problem_of(edge))]
    assert not problems, "\n".join(problems)


def test_every_module_belongs_to_a_layer() -> None:
    unknown = sorted(
        name for name in MODULES if layer_of(name) not in LAYERS and layer_of(name) not in FACES
    )
    assert not unknown, f"name their layers in the table and in the architecture: {unknown}"


def test_no_module_imports_itself_round_about() -> None:
    graph: dict[str, set[str]] = {}
    for edge in all_edges():
        inner = edge.target.removeprefix(f"{PACKAGE}.")
        if edge.target.startswith(f"{PACKAGE}.") and inner != edge.source:
            graph.setdefault(edge.source, set()).add(inner)
    cycle = cycle_in(graph)
    assert cycle is None, " -> ".join(cycle or ())


#: Who gives advice, by whatever road: law 7.
ADVISERS = ("llm", "sentiment", "domain.advice", "agents.ai", "agents.ai_facts", "agents.pool")
#: Where an order could be made or sent.
ORDER_PATH = ("grid", "exchange", "agents.trader", "agents.bot", "agents.live", "app", "api")
#: What candles and indicators stand on: types and the counting of requests.
NO_ORDERS = ("exchange.base", "exchange.budgets", "exchange.weight_budget", "exchange.order_budget")


def reached_from(places: tuple[str, ...]) -> dict[str, str]:
    """Every module that `places` import, directly or through others, and who imported it first."""
    graph: dict[str, set[str]] = {}
    for edge in all_edges():
        if edge.target.startswith(f"{PACKAGE}."):
            graph.setdefault(edge.source, set()).add(edge.target.removeprefix(f"{PACKAGE}."))
    waiting = [name for name in MODULES if is_within(name, places)]
    found = dict.fromkeys(waiting, "")
    while waiting:
        name = waiting.pop()
        for target in graph.get(name, ()):
            if target not in found:
                found[target] = name
                waiting.append(target)
    return found


def test_advice_cannot_reach_an_order() -> None:
    """Law 7, for the whole of what an adviser imports and not for its own lines alone."""
    found = reached_from(ADVISERS)
    assert "llm.client" in found and "agents.ai" in found
    touched = {
        name: by
        for name, by in found.items()
        if is_within(name, ORDER_PATH) and not is_within(name, NO_ORDERS)
    }
    assert "grid.preflight" in reached_from(("agents.decisions",)), "the search sees nothing"
    assert not touched, f"advisers reach the order path (module: imported by): {touched}"


def test_layers_depend_downwards_only() -> None:
    """The table itself has no cycle between layers, so the code cannot have one either."""
    graph = {layer: {layer_of(place) for place in allowed} for layer, allowed in LAYERS.items()}
    cycle = cycle_in(graph)
    assert cycle is None, " -> ".join(cycle or ())


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("grid.engine", "def f():\n    from gridlab.exchange import base"),
        ("grid.engine", "if TYPE_CHECKING:\n    import gridlab.store.journal"),
        ("grid.engine", "import numpy"),
        ("domain.market", "from gridlab.clock import iso"),
        ("money", "from gridlab.domain import market"),
        ("sentiment.analyzer", "from ..grid import engine"),
        ("llm.tasks", "importlib.import_module('gridlab.exchange.base')"),
        ("rl.policy", "import torch"),
        ("agents.trader", "from gridlab.exchange.paper import PaperExchange"),
        ("exchange.paper", "import sqlite3"),
        ("exchange.paper", "import binance"),
        ("api.blueprint", "from gridlab.app import build"),
        ("client.http", "from gridlab.app.facade import GridLab"),
        ("store.journal", "from gridlab import GridLab"),
        ("grid.engine", "from time import monotonic"),
        ("newcomer.thing", "import gridlab.errors"),
    ],
)
def test_the_rules_see_what_they_forbid(module: str, source: str) -> None:
    edges = list(edges_of(module, source, frozenset(MODULES)))
    assert edges, "the import was not seen"
    assert any(problem_of(edge) for edge in edges)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("grid.engine", "from gridlab.domain import events, market"),
        ("grid.engine", "from . import ledger"),
        ("exchange.binance.rest", "from binance import AsyncClient"),
        ("rl.train", "def train():\n    import torch"),
        ("store.journal", "import sqlite3"),
        ("api.blueprint", "from gridlab.app.facade import GridLab\nimport flask"),
        ("clock", "import time\nfrom gridlab.errors import BugError"),
    ],
)
def test_the_rules_let_pass_what_they_allow(module: str, source: str) -> None:
    edges = edges_of(module, source, frozenset(MODULES))
    assert [problem for edge in edges if (problem := problem_of(edge))] == []


def test_cycles_are_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}}) is None
