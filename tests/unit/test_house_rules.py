"""The house rules that a machine can check: sizes, forbidden words, notebooks, links, secrets."""

from __future__ import annotations

import ast
import json
import re
import socket
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES = 500
TEST_LINES = 800  # a test module mirrors one of the package, and examples are long
FUNCTION_LINES = 70
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".js", ".css", ".html", ".j2", ".ipynb"}
FOLDERS = ("gridlab", "tests", "benchmarks", "examples", "notebooks", "dashboards", "docs", ".ci")
#: Put together here, so that this file does not hold the words it looks for.
FORBIDDEN = re.compile(
    "|".join(
        (
            rf"\b{'TO' + 'DO'}\b",
            rf"\b{'FIX' + 'ME'}\b",
            rf"\b{'XX' + 'X'}\b",
            rf"\b{'HA' + 'CK'}\b",
            "NotImplemented" + "Error",
            "lorem " + "ipsum",
            "/" + "work/",
            "/" + "root/",
        )
    )
)
#: 64 letters and digits in both cases are what Binance's keys look like; hashes are lower-case hex.
SECRETS = (
    re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*\d)(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z0-9]{64}(?!\w)"),
    re.compile("-----BEGIN [A-Z ]*" + "PRIVATE KEY"),
    re.compile(r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b"),
    re.compile(r"\b(?:ghp_|sk-|AKIA)[A-Za-z0-9]{16,}"),
)
LINK = re.compile(r"(?:https?|wss?):(?://|\\/\\/)[^\s\"'<>)\\]+|(?:src|href)=[\"']//[^\"']+")
#: Links that load nothing by themselves: this machine, the exchange's manual, XML names.
HARMLESS = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|\[::1\]|developers\.binance\.com|www\.w3\.org/)"
)


def files(*suffixes: str) -> list[Path]:
    """The project's text files with one of these suffixes; with none, all of them."""
    wanted = set(suffixes) or TEXT
    found = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += (ROOT / folder).rglob("*")
    return sorted(
        path
        for path in found
        if path.suffix in wanted and path.is_file() and ".ipynb_checkpoints" not in path.parts
    )


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def limit_of(path: Path) -> int:
    return TEST_LINES if "tests" in path.relative_to(ROOT).parts else MODULE_LINES


@cache
def tree_of(source: str) -> ast.Module:
    """The parsed source; several rules look at each file."""
    return ast.parse(source)


def long_functions(source: str) -> list[tuple[str, int]]:
    """(name, lines) of every function that is over the limit, decorators and docstring included."""
    return [
        (node.name, lines)
        for node in ast.walk(tree_of(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]


def swallowed(source: str) -> list[int]:
    """Lines of `except` clauses that take everything and say nothing."""
    broad = (None, "Exception", "BaseException")
    return [
        node.lineno
        for node in ast.walk(tree_of(source))
        if isinstance(node, ast.ExceptHandler)
        and (node.type.id if isinstance(node.type, ast.Name) else node.type) in broad
        and all(
            isinstance(step, ast.Pass)
            or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
            for step in node.body
        )
    ]


def links(text: str) -> list[str]:
    """Every link in `text` that would leave this machine."""
    return [link for link in LINK.findall(text) if not HARMLESS.match(link)]


def test_modules_have_one_subject() -> None:
    over = {
        named(path): lines
        for path in files(".py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > limit_of(path)
    }
    assert not over, f"split these modules, the limit is {MODULE_LINES} lines: {over}"


def test_functions_do_one_thing() -> None:
    over = [
        f"{named(path)}: {name} has {lines} lines"
        for path in files(".py")
        for name, lines in long_functions(path.read_text(encoding="utf-8"))
    ]
    assert not over, f"split these functions, the limit is {FUNCTION_LINES} lines: {over}"


def test_modules_say_what_they_are() -> None:
    silent = [
        named(path)
        for path in files(".py")
        if path.stat().st_size and not ast.get_docstring(tree_of(path.read_text("utf-8")))
    ]
    assert not silent, f"a module's first lines say its subject: {silent}"


def test_nothing_is_left_unfinished() -> None:
    found = [
        f"{named(path)}:{number}: {match[0]}"
        for path in files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := FORBIDDEN.search(line))
    ]
    assert not found, "\n".join(found)


def test_no_error_is_swallowed_whole() -> None:
    found = [
        f"{named(path)}:{line}"
        for path in files(".py")
        for line in swallowed(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"name the exception, or handle it: {found}"


def test_notebooks_are_stored_without_outputs() -> None:
    kept = [
        f"{named(path)} cell {number}"
        for path in files(".ipynb")
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"])
        if cell["cell_type"] == "code" and (cell["outputs"] or cell["execution_count"] is not None)
    ]
    assert not kept, f"clear the outputs of: {kept}"


def test_pages_load_nothing_from_elsewhere() -> None:
    found = [
        f"{named(path)}: {link}"
        for path in files(".html", ".j2", ".js", ".css", ".ipynb")
        for link in links(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_no_secret_is_stored() -> None:
    found = [
        named(path)
        for path in files()
        for pattern in SECRETS
        if pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"these hold what looks like a key: {found}"


def test_the_rules_see_what_they_forbid() -> None:
    body = "\n".join("    x = 1" for _ in range(FUNCTION_LINES))
    assert long_functions(f"def f():\n{body}\n") == [("f", FUNCTION_LINES + 1)]
    assert long_functions(f"def f():\n{body[10:]}\n") == []
    assert swallowed("try:\n    f()\nexcept:\n    pass\n") == [3]
    assert swallowed("try:\n    f()\nexcept Exception:\n    ...\n") == [3]
    assert swallowed("try:\n    f()\nexcept KeyError:\n    pass\n") == []
    assert FORBIDDEN.search("# TO" + "DO: later") and not FORBIDDEN.search("a todo list")
    assert links('<script src="https://cdn.example.org/x.js">') == ["https://cdn.example.org/x.js"]
    assert links('<img src="//example.org/x.png">') == ['src="//example.org/x.png']
    assert links("http://127.0.0.1:5000/api") == []
    key = "aB3" + "dE5fG7hJ9k" * 6 + "z"
    assert len(key) == 64 and SECRETS[0].search(f"key={key}")
    assert not SECRETS[0].search("0123456789abcdef" * 4)


def test_tests_cannot_leave_this_machine() -> None:
    with pytest.raises(AssertionError, match="loopback only"):
        socket.create_connection(("203.0.113.1", 80), timeout=1)
    with pytest.raises(AssertionError, match="loopback only"):
        socket.getaddrinfo("api.binance.com", 443)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
