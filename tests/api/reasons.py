"""Every reason that the code can give, found by reading the code: templates with their holes.

A reason is what is put into a field, variable or argument that is known to carry one, or returned
by a function that is. Where a hole is one of a few words, each makes a template of its own; for any
other hole a mark stands, of which a translation may not know more.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import gridlab
from gridlab.domain.orders import Side, VenueStatus
from gridlab.grid.state import Phase

Choices: TypeAlias = Mapping[str, tuple[str, ...]]
ROOT: Final = Path(gridlab.__file__).parent
#: Layers whose reasons reach a reader.
PLACES: Final = (
    *("grid", "agents", "exchange", "app", "llm", "sentiment"),
    *("data/rest.py", "data/cache_core.py"),
)
#: Not read: reasons of these are made from others' words or go to logs and the command line alone.
PASSED_OVER: Final = (
    # Of the table of pairs, which test_messages has.
    *("agents/pair_filters.py", "agents/pairs.py", "agents/pair_scan.py"),
    "app/heed.py",  # made of parts; see test_reasons
    *("app/doctor.py", "app/doctor_venue.py", "app/config.py", "app/logs.py", "app/dashboards.py"),
    "app/ai_models.py",  # keys, and a model's words
    *("exchange/binance/key_rights.py", "exchange/binance/verbs.py"),  # a library's, not shown
)
#: Fields and variables that hold a reason.
NAMES: Final = frozenset(
    {"reason", "vacancy", "words", "ending", "halted", "trouble", "ghost_remedy", "problem"}
    | {"_reason", "_gap", "_held_for", "_renewal", "_ALARMS"}
)
#: Calls that take one: function -> places of the arguments.
CALLS: Final[dict[str, tuple[int, ...]]] = {
    **dict.fromkeys(("fail", "halt", "give_up", "renew", "note_gap", "_NoAnswer"), (0,)),
    **dict.fromkeys(("_lose", "_on_gap", "_replace", "Unknown", "NotSent", "_Unsent"), (0,)),
    **dict.fromkeys(
        ("ExchangeUnavailable", "VenueAway", "SocketRefused", "exchange_unavailable"), (0,)
    ),
    **dict.fromkeys(("_set_state", "Rejected", "StopRequested", "StreamHealth"), (1,)),
    **dict.fromkeys(("VenueHealth", "OrderRejected", "stop_grid", "_check"), (1,)),
    "doubt": (2,),
    "unusable": (1,),
    **dict.fromkeys(("ModelUnavailable", "ModelAnswerRefused", "SourceUnavailable"), (0,)),
    **dict.fromkeys(("Off", "Health"), (1,)),
    "by_template": (0,),
    **dict.fromkeys(("InvariantError", "LifecycleError"), (0,)),
}
CALLS["_check"] = (1, 2)
CALLS["OrderRejected"] = (3,)
#: Arguments by name.
KEYWORDS: Final = frozenset({"reason", "waiting", "words"})
#: Functions that return one.
FUNCTIONS: Final = frozenset(
    {"words", "beyond", "mismatch", "overdue", "_hedge_words", "refusal", "count_refusal"}
    | {
        "_price_problem",
        "_lot_problem",
        "_below",
        "_above",
        "_percent_problem",
        "keys_refused",
        "_send",
        "_unread",
    }
    | {
        "_off",
        "_not_asked",
        "_llm_state",
        "__str__",
        "_cache_performance",
        "misfit",
        "_object_misfit",
        "_size_misfit",
        "_number_misfit",
        "as_ours",
        "_price_source",
    }
)
#: Functions that yield one, or (rule, reason).
YIELDS: Final = frozenset(
    {"_price_rules", "_quantity_rules", "_notional_rules", "_band_rules"}
    | {"_books", "_equal", "_slot", "_window", "problems"}
)
#: Holes of which all words are known: file, or "" for any -> hole -> words.
CHOICES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "": {
        "grid.phase": tuple(Phase),
        "event.status": tuple(VenueStatus),
        "side": tuple(Side),
        "request.side": tuple(Side),
        "w.market": ("spot", "futures"),
        "written.values['trend']": ("up", "down", "sideways", "unknown"),
        "written.values['volatility']": ("low", "normal", "high", "unknown"),
    },
    "grid/invariants.py": {
        "what": ("inventory base", "inventory cost", "dust base", "dust cost"),
        "slot.side": tuple(Side),
        "order.request.side": tuple(Side),
    },
    "grid/window.py": {"place.name.lower()": ("chosen", "outside")},
    "exchange/filters.py": {
        "name": ("price", "buy price", "sell price", "quantity", "price x quantity")
    },
    "exchange/paper_futures.py": {"name": ("leverage", "margin type", "position mode")},
    "llm/wire.py": {"remedy": ("", "; add it with: ollama pull NAME")},
    "llm/schema.py": {"place": ("the answer", "the answer.sentences[7]", "the answer[0]")},
    "sentiment/mood.py": {"what": ("the market", "BTC"), "side": ("above", "below")},
    "exchange/silence.py": {"why": ("banned this address: it wants", "asked for")},
    "exchange/binance/missing.py": {
        "kind": ("order", "end of order", "trade"),
        "more": ("", " and 7 more"),
    },
    "exchange/binance/futures.py": {
        "held": ("", " and holds LONG of X", " and holds LONG and SHORT of X")
    },
}
#: Ends that are put to a sentence which is read by itself.
JOINED: Final = frozenset({"«1» before", "«1», try again later"})


def templates() -> dict[str, str]:
    """Each template, with numbered marks in its holes, and where it stands."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(PLACES) or name in PASSED_OVER:
            continue
        choices = CHOICES[""] | CHOICES.get(name, {})
        for line, value in _values(ast.parse(path.read_text())):
            for text in map(_numbered, _texts(value, choices)):
                if text not in JOINED:
                    found.setdefault(text, f"{name}:{line}")
    return found


def _values(tree: ast.AST) -> Iterator[tuple[int, ast.expr]]:
    """Every expression that is a reason, and its line."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            yield from ((node.lineno, value) for value in _assigned(node))
        elif isinstance(node, ast.Call):
            places = CALLS.get(_name(node.func), ())
            given = [node.args[place] for place in places if place < len(node.args)]
            given += [word.value for word in node.keywords if word.arg in KEYWORDS]
            yield from ((node.lineno, value) for value in given)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value and node.name in FUNCTIONS:
                    whole = inner.value
                    parts = whole.elts if isinstance(whole, ast.Tuple) else [whole]
                    yield from ((inner.lineno, part) for part in parts)
                if isinstance(inner, ast.Yield) and inner.value and node.name in YIELDS:
                    is_pair = isinstance(inner.value, ast.Tuple)
                    yield inner.lineno, inner.value.elts[1] if is_pair else inner.value


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> Iterator[ast.expr]:
    targets: list[Any] = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = zip(target.elts, node.value.elts, strict=True)
        else:
            pairs = zip([target], [node.value], strict=True)
        for one, value in pairs:
            if _name(one) in NAMES and value is not None:
                if isinstance(node, ast.AugAssign):  # it goes on after what is there
                    value = ast.JoinedStr([ast.FormattedValue(ast.Name("before"), -1), value])
                yield value


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _texts(node: ast.expr, choices: Choices) -> Iterator[str]:
    """The texts that the expression can be, as far as they stand in it."""
    match node:
        case ast.Constant(str(value)):
            yield value
        case ast.JoinedStr(parts):
            for made in itertools.product(*(list(_parts(part, choices)) for part in parts)):
                yield "".join(made)
        case ast.IfExp(_, body, orelse):
            yield from _texts(body, choices)
            yield from _texts(orelse, choices)
        case ast.BoolOp(_, values) | ast.Dict(_, values):
            for value in values:
                yield from _texts(value, choices)
        case ast.Subscript(ast.Dict() as table):
            yield from _texts(table, choices)
        case ast.BinOp(ast.Dict() as known, ast.BitOr(), ast.Dict() as more):
            yield from _texts(known, choices)
            yield from _texts(more, choices)
        case ast.Call(ast.Attribute(ast.Constant(str()), "join"), [ast.GeneratorExp(element)]):
            yield from _texts(element, choices)


def _parts(node: ast.expr, choices: Choices) -> Iterator[str]:
    """What may stand at one place of an f-string."""
    match node:
        case ast.FormattedValue(value):
            yield from choices.get(ast.unparse(value), ("«»",))
            yield from _texts(value, choices)
        case _:
            yield from _texts(node, choices)


def _numbered(text: str) -> str:
    """`text` with a number in each mark, so that none can be lost or told twice."""
    numbers = itertools.count(1)
    return "".join(
        part if index == 0 else f"«{next(numbers)}»{part}"
        for index, part in enumerate(text.split("«»"))
    )
